"""Models of texts of transformers as sources, where PyTorch is installed: `.ci/run` runs these on Python 3.11."""

import pickle

import numpy as np
import pytest
from recorded.text_cases import CASES, LABELS
from small_text import text_folder, tokenizer

import leepjax
from leepjax.data.text.example import Text
from leepjax.models.opening import load_source
from leepjax.types import InputError

torch = pytest.importorskip("torch")
transformers = pytest.importorskip("transformers")

TEXTS = [Text("a cat."), Text("no", pair="b"), Text("")]


def outputs(source):
    prepared = [source.preparation.on_host(each) for each in TEXTS]
    found = {}
    for part in source.preparation.parts(prepared, len(prepared)):
        features, logits = source(part.inputs)
        found |= {place: (features[row], logits[row]) for row, place in enumerate(part.places)}
    return [np.stack([found[place][which] for place in range(len(TEXTS))]) for which in range(2)]


@pytest.mark.parametrize("name", ["bert", "distilbert-classifier", "roberta-classifier"])
def test_transformers_computes_what_leepjax_does(tmp_path, name):
    folder = text_folder(tmp_path / "mini", name, pad_token_id=0)
    (folder / "tokenizer_config.json").write_text('{"tokenizer_class": "PreTrainedTokenizerFast"}')
    ours, theirs = load_source(f"local-dir:{folder}"), load_source(f"transformers:{folder}")
    assert (theirs.reads, theirs.card.num_classes) == ("text", ours.card.num_classes)
    assert theirs.card.classes == (tuple(LABELS.values()) if "classifier" in name else ())
    for got, expected in zip(outputs(theirs), outputs(ours), strict=True):
        np.testing.assert_allclose(got, expected, atol=1e-5 * max(np.abs(expected).max(initial=0), 1))
    assert pickle.loads(pickle.dumps(theirs)).identity == theirs.identity


def test_a_module_of_texts_takes_a_tokenizer():
    fields = {name: value for name, value in CASES["bert"].fields.items() if name != "model_type"}
    model = transformers.BertModel(transformers.BertConfig(**fields)).eval()
    fast = transformers.PreTrainedTokenizerFast(tokenizer_object=tokenizer())
    source = leepjax.as_source(model, tokenizer=fast, name="mine")
    assert (source.reads, source.preparation.max_length, source.card.num_classes) == ("text", 20, 0)
    with torch.no_grad():
        (ids,) = source.preparation.on_host(TEXTS[0])[1:].reshape(2, -1)[:1]
        states = model(input_ids=torch.from_numpy(ids)[None].long()).last_hidden_state
    np.testing.assert_allclose(outputs(source)[0][0], states[0].mean(0), atol=1e-5)
    words = source.preparation.on_host(Text(("a", "b"), word=1))
    (part,) = source.preparation.parts([words], 1)
    with pytest.raises(InputError, match="expected labels of whole texts for a PyTorch module, got labels of words"):
        source(part.inputs)
    with pytest.raises(InputError, match="as_source: expected a tokenizer of the library tokenizers, got str; pass"):
        leepjax.as_source(model, tokenizer="bert")
