"""Models of texts open from the files of transformers and model2vec; bad files give an error of one sentence."""

import json
import pickle

import numpy as np
import pytest
import tokenizers
from recorded.text_cases import LABELS
from small_text import WORDS, static_folder, text_folder, tokenizer
from tokenizers import models, pre_tokenizers

from leepjax.data.text.example import Text
from leepjax.models.opening import load_source
from leepjax.models.tapped import Together, blocks_of_source, candidates_of, read_layers
from leepjax.types import InputError

TEXTS = [Text("a cat."), Text("no"), Text("")]


def opened(folder):
    return load_source(f"local-dir:{folder}")


def features(source, examples=TEXTS):
    prepared = [source.preparation.on_host(each) for each in examples]
    found = {}
    for part in source.preparation.parts(prepared, len(examples)):
        found |= zip(part.places, np.asarray(source(part.inputs).features), strict=False)  # the last rows are filled
    return np.stack([found[place] for place in range(len(examples))])


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


def ids(source, text):
    return np.split(source.preparation.on_host(Text(text))[1:], 2)[0].tolist()


@pytest.mark.parametrize("separator", ["\u2028", "\x85", "\x0b", "\x1c"])
def test_a_token_of_a_vocabulary_ends_at_a_newline_alone(tmp_path, separator):
    folder = text_folder(tmp_path / "mini")
    (folder / "tokenizer.json").unlink()
    words = [separator if word == "z" else word for word in WORDS]
    (folder / "vocab.txt").write_bytes("\r\n".join(words).encode())
    assert ids(opened(folder), "cat.") == [2, WORDS.index("cat"), WORDS.index("."), 3]


@pytest.mark.parametrize(
    ("stated", "model_type", "is_lowered"),
    [
        ({"do_lower_case": False}, "bert", False),
        ({"do_lower_case": False, "tokenizer_class": "DistilBertTokenizerFast"}, "roberta", False),
        ({"tokenizer_class": "BertTokenizer"}, "bert", True),
        ({"do_lower_case": False, "tokenizer_class": "PreTrainedTokenizerFast"}, "bert", True),
        ({"do_lower_case": False}, "roberta", True),
    ],
)
def test_berts_normaliser_is_that_of_the_configuration(tmp_path, caplog, stated, model_type, is_lowered):
    folder = text_folder(tmp_path / "mini", model_type)
    (folder / "tokenizer_config.json").write_text(json.dumps(stated))
    assert ids(opened(folder), "Cat") == [2, WORDS.index("cat") if is_lowered else WORDS.index("[UNK]"), 3]
    message = "mini: tokenizer.json has other settings than tokenizer_config.json; as transformers, it takes"
    assert caplog.text.count(f"{message} strip_accents false, lowercase false.") == (not is_lowered)


@pytest.mark.parametrize("in_tokenizer", [False, True])
@pytest.mark.parametrize("stated", [{}, {"add_prefix_space": True}, {"tokenizer_class": "PreTrainedTokenizerFast"}])
def test_a_space_before_a_text_is_that_of_robertas_configuration(tmp_path, caplog, stated, in_tokenizer):
    folder = text_folder(tmp_path / "mini", "roberta")
    made = tokenizers.Tokenizer(models.BPE({"a": 0, "Ġ": 1, "Ġa": 2}, [("Ġ", "a")]))
    made.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=in_tokenizer)
    (folder / "tokenizer.json").write_text(made.to_str())
    (folder / "tokenizer_config.json").write_text(json.dumps(stated))
    is_spaced = in_tokenizer if "tokenizer_class" in stated else "add_prefix_space" in stated
    assert ids(opened(folder), "a") == ([2] if is_spaced else [0])
    assert ("as transformers, it takes" in caplog.text) == (is_spaced != in_tokenizer)
    assert ("tokenizer.json adds no special tokens" in caplog.text) == ("tokenizer_class" not in stated)


def test_special_tokens_have_the_names_of_the_configuration(tmp_path):
    folder = text_folder(tmp_path / "mini")
    (folder / "tokenizer.json").unlink()
    words = ["<s>" if word == "[CLS]" else word for word in WORDS[:-1]]
    (folder / "vocab.txt").write_text("\n".join(words))
    special = {"cls_token": {"content": "<s>"}, "sep_token": "[SEP]", "additional_special_tokens": ["a cat"]}
    (folder / "tokenizer_config.json").write_text(json.dumps(special))
    assert ids(opened(folder), "b a cat") == [2, WORDS.index("b"), len(words), 3]


def test_a_part_that_transformers_makes_otherwise_is_named(tmp_path, caplog):
    folder = text_folder(tmp_path / "mini")
    parts = json.loads(tokenizer().to_str()) | {"post_processor": None}
    (folder / "tokenizer.json").write_text(json.dumps(parts))
    opened(folder)
    assert "mini: tokenizer.json has post_processor none, where transformers makes BERT's; it is used" in caplog.text


@pytest.mark.parametrize("filename", ["tokenizer.json", "vocab.txt"])
@pytest.mark.parametrize("is_configured", [False, True])
def test_added_tokens_are_those_of_their_file(tmp_path, filename, is_configured):
    words = WORDS[:-1]
    folder = text_folder(tmp_path / "mini")
    (folder / "tokenizer.json").unlink()
    (folder / filename).write_text(tokenizer(words).to_str() if filename == "tokenizer.json" else "\n".join(words))
    (folder / "added_tokens.json").write_text(json.dumps({"<e1>": len(words)}))
    if is_configured:
        added = {"added_tokens_decoder": {len(words): {"content": "<e2>", "__type": "AddedToken"}}}
        (folder / "tokenizer_config.json").write_text(json.dumps(added))
    found = ids(opened(folder), "a<e1>")
    assert (found == [2, WORDS.index("a"), len(words), 3]) is not is_configured
    assert (ids(opened(folder), "<e2>") == [2, len(words), 3]) is is_configured


def test_settings_of_sentence_transformers_have_the_names_of_its_files(tmp_path, caplog):
    folder = text_folder(tmp_path / "mini")
    modules = {"Transformer": "", "Pooling": "pool"}
    stated = [{"type": f"sentence_transformers.models.{kind}", "path": path} for kind, path in modules.items()]
    (folder / "modules.json").write_text(json.dumps([*stated, {"type": "my.Pooling"}]))
    (folder / "sentence_xlm-roberta_config.json").write_text('{"max_seq_length": 7}')
    assert '"pool"' not in opened(folder).card.model
    assert "mini: expected the Pooling of modules.json in pool/config.json, got none; pooling by mean." in caplog.text
    assert "mini: modules.json has my.Pooling, which leepjax doesn't compute" in caplog.text
    (folder / "pool").mkdir()
    (folder / "pool" / "config.json").write_text('{"pooling_mode_cls_token": true}')
    assert '"pool":"cls"' in opened(folder).card.model
    assert opened(folder).card.tokenization.max_length == 7


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


def japanese(folder):
    (folder / "vocab.txt").write_text("\n".join(WORDS))
    text_folder(folder, tokenizer_class="BertJapaneseTokenizer")
    (folder / "tokenizer.json").unlink()


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
        (japanese, "expected the vocab.txt of BertTokenizer, got that of BertJapaneseTokenizer; save the tokenizer as"),
        (
            lambda folder: (folder / "added_tokens.json").write_text('{"<e1>": 70}'),
            "expected the added token '<e1>' to have the number 70, got 58 from the vocabulary; put",
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
