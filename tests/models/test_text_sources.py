"""Models of texts open from the files of transformers and model2vec; bad files give an error of one sentence."""

import json
import pickle

import numpy as np
import pytest
from recorded.text_cases import LABELS
from small_text import WORDS, static_folder, text_folder, tokenizer

from leepjax.data.text.example import Text
from leepjax.models.opening import load_source
from leepjax.models.tapped import Together, blocks_of_source, candidates_of, read_layers
from leepjax.types import InputError

TEXTS = [Text("a cat."), Text("no"), Text("")]


def opened(folder):
    return load_source(f"local-dir:{folder}")


def features(source, examples=TEXTS):
    prepared = [source.preparation.on_host(each) for each in examples]
    found = np.empty((len(examples), source(source.preparation.blank(1)).features.shape[1]), np.float32)
    for part in source.preparation.parts(prepared, len(examples)):
        found[part.places] = source(part.inputs).features[: len(part.places)]
    return found


def test_an_encoder_opens_with_the_pooling_of_its_files(tmp_path):
    folder = text_folder(tmp_path / "mini")
    (folder / "README.md").write_text("---\nlicense: mit\n---\n")
    mean = opened(folder)
    assert (mean.name, mean.reads, mean.card.num_classes, mean.card.licence) == ("mini", "text", 0, "mit")
    assert mean.card.tokenization.max_length == 20
    assert list(blocks_of_source(mean)) == ["embeddings", "encoder.layer.0", "encoder.layer.1"]
    (folder / "1_Pooling").mkdir()
    (folder / "1_Pooling" / "config.json").write_text('{"pooling_mode_cls_token": true}')
    cls = opened(folder)
    layers = candidates_of(mean, read_layers("rank", "encoder.layer.1", ["cls", "mean"]))
    pooled = [features(each) for each in layers]
    np.testing.assert_allclose(pooled, [features(cls), features(mean)], atol=1e-6)
    assert cls.identity != mean.identity
    both = Together(tuple(layers))(mean.preparation.blank(1))
    assert [outputs.features.shape[1] for outputs in both] == [24, 24]


def test_a_text_has_the_same_features_alone_and_in_a_batch(tmp_path):
    source = opened(text_folder(tmp_path / "mini"))
    together = features(source, [*TEXTS, Text("a b c d e f g h i j k l m n o p q")])
    alone = np.concatenate([features(source, [each]) for each in TEXTS])
    np.testing.assert_allclose(together[:3], alone, atol=2e-6)


def test_a_classifier_has_the_names_of_its_classes(tmp_path):
    source = opened(text_folder(tmp_path / "mini", "distilbert-classifier"))
    assert source.card.classes == tuple(LABELS.values())
    assert source(source.preparation.blank(1)).logits.shape == (1, 3)


def test_the_head_of_a_single_number_has_no_classes(tmp_path):
    source = opened(text_folder(tmp_path / "mini", "roberta-classifier", id2label={"0": "score"}))
    assert source.card.num_classes == 0


def test_the_identity_has_the_tokenizer_and_its_settings(tmp_path):
    folder = text_folder(tmp_path / "mini")
    found = {opened(folder).identity}
    (folder / "tokenizer_config.json").write_text('{"model_max_length": 12}')
    found.add(opened(folder).identity)
    (folder / "sentence_bert_config.json").write_text('{"max_seq_length": 8, "do_lower_case": true}')
    found.add(opened(folder).identity)
    (folder / "tokenizer.json").write_text(tokenizer([*WORDS, "!"]).to_str())
    found.add(opened(folder).identity)
    assert len(found) == 4
    assert opened(folder).card.tokenization.max_length == 8


@pytest.mark.parametrize(
    ("in_tokenizer", "configured", "expected"), [(None, None, False), ("left", None, True), ("left", "right", False)]
)
def test_the_side_on_which_texts_are_cut_is_that_of_the_tokenizer(tmp_path, in_tokenizer, configured, expected):
    folder = text_folder(tmp_path / "mini")
    made = tokenizer()
    if in_tokenizer:
        made.enable_truncation(20, direction=in_tokenizer)
    (folder / "tokenizer.json").write_text(made.to_str())
    (folder / "tokenizer_config.json").write_text(json.dumps({"truncation_side": configured}))
    assert opened(folder).card.tokenization.from_start is expected


def test_steps_of_sentence_transformers_that_are_not_computed_are_named(tmp_path, caplog):
    folder = text_folder(tmp_path / "mini")
    prompts = {"prompts": {"query": "query: ", "document": ""}, "default_prompt_name": "document"}
    (folder / "config_sentence_transformers.json").write_text(json.dumps(prompts))
    modules = [f"sentence_transformers.models.{kind}" for kind in ("Transformer", "Pooling", "Normalize")]
    (folder / "modules.json").write_text(json.dumps([{"idx": 0, "type": each} for each in modules]))
    opened(folder)
    assert not caplog.text
    dense = {"type": "sentence_transformers.base.modules.dense.Dense"}
    (folder / "modules.json").write_text(json.dumps([*({"type": each} for each in modules), dense]))
    (folder / "config_sentence_transformers.json").write_text(json.dumps(prompts | {"default_prompt_name": "query"}))
    opened(folder)
    assert "mini: modules.json has Dense, which leepjax doesn't compute; its features are those without" in caplog.text
    assert "mini: its default prompt 'query: ' is left out; put it into the texts if they need it." in caplog.text
    caplog.clear()
    opened(text_folder(folder, "distilbert-classifier"))
    assert not caplog.text


def test_a_vocabulary_alone_gives_berts_tokenizer(tmp_path):
    folder = text_folder(tmp_path / "mini")
    whole = opened(folder)
    (folder / "tokenizer.json").unlink()
    (folder / "vocab.txt").write_text("\n".join(WORDS) + "\n")
    made = opened(folder)
    for example in (Text("A Cat. Én"), Text("a", pair="b")):
        np.testing.assert_array_equal(made.preparation.on_host(example), whole.preparation.on_host(example))


def test_a_source_goes_to_another_process(tmp_path):
    folder = text_folder(tmp_path / "mini")
    source = opened(folder)
    expected = features(source)
    sent = pickle.dumps(source)
    (folder / "model.safetensors").unlink()
    np.testing.assert_array_equal(features(pickle.loads(sent)), expected)


@pytest.mark.parametrize("dtype", [np.float16, np.int8])
def test_static_embeddings_are_the_mean_over_known_tokens(tmp_path, dtype):
    table = (20 * np.random.default_rng(0).normal(size=(9, 3))).astype(dtype)
    mapping = (np.arange(len(WORDS)) % 9).astype(np.int64)
    weights = np.linspace(0.5, 2, len(WORDS)).astype(np.float32)
    source = opened(static_folder(tmp_path / "static", table, mapping=mapping, weights=weights))
    rows = table.astype(np.float32)[mapping] * weights[:, None]
    mean = rows[[WORDS.index("cat"), WORDS.index("a")]].mean(axis=0)
    found = features(source, [Text("cat ⊕ a"), Text("")])
    np.testing.assert_allclose(found, [mean / np.linalg.norm(mean), [0, 0, 0]], atol=1e-6)
    assert source.card.num_parameters == len(WORDS) * 3


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (
            lambda folder: (folder / "tokenizer.json").unlink(),
            "expected tokenizer.json or vocab.txt beside the weights",
        ),
        (
            lambda folder: (folder / "tokenizer.json").write_text(tokenizer([*WORDS, *"0123456789"]).to_str()),
            "expected embeddings of all 68 tokens of the tokenizer, got 60; put",
        ),
        (lambda folder: (folder / "tokenizer.json").write_text("{}"), "expected a tokenizer.json that the library"),
        (
            lambda folder: text_folder(folder, model_type="t5"),
            "expected model_type bert, roberta, .* or model2vec in config.json, got 't5'; choose",
        ),
        (lambda folder: text_folder(folder, hidden_size=32), r"expected shape .* for .*, got .*"),
        (lambda folder: text_folder(folder, hidden_size="24"), "expected hidden_size as transformers has it"),
        (lambda folder: text_folder(folder, num_attention_heads=5), "expected hidden_size divisible by num_attention"),
        (lambda folder: text_folder(folder, hidden_act="sine"), "expected hidden_act gelu, .*, got 'sine'"),
        (lambda folder: text_folder(folder, is_decoder=True), "expected an encoder with absolute positions, got a dec"),
        (
            lambda folder: text_folder(folder, position_embedding_type="relative_key"),
            "expected an encoder with absolute positions, got position_embedding_type 'relative_key'",
        ),
        (
            lambda folder: text_folder(folder, "modernbert", layer_types=["sliding_attention", "full_attention"]),
            "expected layer_types that repeat one full_attention and a number of sliding_attention, got",
        ),
        (
            lambda folder: text_folder(folder, "modernbert", rope_parameters={"full_attention": {"rope_type": "yarn"}}),
            "expected rope_parameters of the type default for full_attention, got .*yarn.*; open it as transformers",
        ),
        (
            lambda folder: text_folder(folder, "modernbert", rope_parameters=[1]),
            "expected rope_parameters for each kind of layers, got",
        ),
        (
            lambda folder: text_folder(folder, "modernbert", rope_scaling={"type": "linear"}),
            "expected no rope_scaling, got one",
        ),
        (
            lambda folder: text_folder(folder, "modernbert", classifier_pooling="max"),
            "expected classifier_pooling cls or mean, got 'max'",
        ),
        (
            lambda folder: (folder / "tokenizer_config.json").write_text('{"model_max_length": "long"}'),
            "expected settings in tokenizer_config.json, got ",
        ),
        (lambda folder: static_folder(folder, np.ones((60, 3), np.float32), embeddings=np.ones(3)), "expected a table"),
    ],
)
def test_bad_files_are_one_sentence(tmp_path, change, message):
    folder = text_folder(tmp_path / "mini")
    change(folder)
    with pytest.raises(InputError, match=message):
        opened(folder).opened  # noqa: B018


def test_without_the_library_the_sentence_names_the_extra(tmp_path, monkeypatch):
    folder = text_folder(tmp_path / "mini")
    monkeypatch.setitem(__import__("sys").modules, "tokenizers", None)
    from leepjax.models.text.tokenizers import _tokenizer

    _tokenizer.cache_clear()
    with pytest.raises(InputError, match=r"expected the library tokenizers, got none; pip install 'leepjax\[text\]'"):
        opened(folder)


def test_the_configuration_of_timm_is_another(tmp_path):
    folder = text_folder(tmp_path / "mini")
    (folder / "config.json").write_text(json.dumps({"architecture": "none", "model_type": "bert"}))
    with pytest.raises(InputError, match="architecture: expected one of"):
        opened(folder)
