"""Models of texts of transformers as sources, where PyTorch is installed: `.ci/run` runs these on Python 3.11."""

import json
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


def outputs(source, texts=TEXTS):
    prepared = [source.preparation.on_host(each) for each in texts]
    found = {}
    for part in source.preparation.parts(prepared, len(prepared)):
        features, logits = source(part.inputs)
        found |= {place: (features[row], logits[row]) for row, place in enumerate(part.places)}
    return [np.stack([found[place][which] for place in range(len(texts))]) for which in range(2)]


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


def test_sentence_transformers_computes_its_own_embeddings(tmp_path):
    """Pooling and normalisation included; a text has its embedding alone and in a batch."""
    library = pytest.importorskip("sentence_transformers")
    folder = text_folder(tmp_path / "mini", pad_token_id=0)
    names = {"pad_token": "[PAD]", "unk_token": "[UNK]", "cls_token": "[CLS]", "sep_token": "[SEP]"}
    (folder / "tokenizer_config.json").write_text(json.dumps({"tokenizer_class": "PreTrainedTokenizerFast"} | names))
    (folder / "sentence_bert_config.json").write_text('{"max_seq_length": 12}')
    paths = {"Transformer": "", "Pooling": "1_Pooling", "Normalize": "2_Normalize"}
    modules = [
        {"idx": at, "name": str(at), "path": path, "type": f"sentence_transformers.models.{kind}"}
        for at, (kind, path) in enumerate(paths.items())
    ]
    (folder / "modules.json").write_text(json.dumps(modules))
    for path in filter(None, paths.values()):
        (folder / path).mkdir()
    pooling = {"word_embedding_dimension": 24, "pooling_mode_mean_tokens": True}
    (folder / "1_Pooling" / "config.json").write_text(json.dumps(pooling))
    model = library.SentenceTransformer(str(folder), device="cpu")
    source = leepjax.as_source(model, name="sentences")
    assert (source.reads, source.card.num_classes, source.preparation.max_length) == ("text", 0, 12)
    texts = ["a cat.", "", "a b c d e f g h i j k l m n"]
    found, logits = outputs(source, [Text(each) for each in texts])
    assert logits.shape == (3, 0)
    np.testing.assert_allclose(found, model.encode(texts), atol=1e-5)
    np.testing.assert_allclose(np.linalg.norm(found, axis=1), 1, atol=1e-5)


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
