"""Encoders of texts are fine-tuned, written with their tokenizer, and opened again."""

import numpy as np
import pytest
from small_text import text_folder

from leepjax.adapting.finetune import finetune
from leepjax.adapting.parts import Parts
from leepjax.data.target import Target
from leepjax.data.text.example import Text
from leepjax.models.opening import load_source
from leepjax.transfer.recipe import FineTuning
from leepjax.types import InputError

RECIPE = FineTuning(epochs=6, batch_size=16, optimizer="adamw", learning_rate=5e-3)


def target(name, count, seed):
    """Texts whose class is whether there is a cat in them."""
    rng = np.random.default_rng(seed)
    labels = (np.arange(count) % 2).astype(np.int32)
    texts = [
        " ".join(rng.permutation(["cat" if label else "dog", *"abcdefg"[: 1 + i % 6]]))
        for i, label in enumerate(labels)
    ]
    return Target(name, labels, ("no", "cat"), f"{name} {count} {seed}", lambda i: Text(texts[i]), kind="text")


@pytest.fixture(scope="module")
def tuned(tmp_path_factory):
    folder = tmp_path_factory.mktemp("tuned")
    source = load_source(f"local-dir:{text_folder(folder / 'mini')}")
    parts = Parts(target("train", 48, 0), target("test", 20, 1))
    return finetune(source, parts, recipe=RECIPE, out=folder, name="mine"), parts, folder


def test_an_encoder_learns_and_is_written_with_its_tokenizer(tuned):
    adapted, parts, folder = tuned
    assert adapted.rows[0]["accuracy"] >= 0.9
    opened = load_source(folder / "mine.safetensors")
    assert (opened.reads, opened.card.classes, opened.card.accuracy) == (
        "text",
        ("no", "cat"),
        adapted.rows[0]["accuracy"],
    )
    assert opened.card.tokenization == adapted.source.card.tokenization
    prepared = [opened.preparation.on_host(parts.test.read(i)) for i in range(4)]
    for part in opened.preparation.parts(prepared, 4):
        found = np.asarray(opened(part.inputs).logits).argmax(axis=1)[: len(part.places)]
        assert (found == parts.test.labels[part.places]).all()


def test_a_written_network_without_its_tokenizer_is_a_sentence(tuned, tmp_path):
    _, _, folder = tuned
    for name in ("mine.safetensors", "mine.json"):
        (tmp_path / name).write_bytes((folder / name).read_bytes())
    with pytest.raises(InputError, match=r"mine.tokenizer.json"):
        load_source(tmp_path / "mine.safetensors")
    (tmp_path / "mine.tokenizer.json").write_text("{}")
    with pytest.raises(InputError, match=r"expected the tokenizer of mine in .*mine.tokenizer.json, got another; put"):
        load_source(tmp_path / "mine.safetensors")


def test_labels_of_words_are_refused(tuned):
    adapted, parts, _ = tuned
    words = Target("w", parts.train.labels, parts.train.classes, "w", lambda i: Text(("a", "b"), word=1), kind="text")
    with pytest.raises(InputError, match="train: expected labels of whole texts, got labels of words; leave"):
        finetune(adapted.source, Parts(words, parts.test), recipe=RECIPE)
