"""Texts become the tokens of their tokenizer, in parts of few shapes that have each example once."""

import pickle
from collections import Counter

import numpy as np
import pytest
import tokenizers
from small_text import WORDS, tokenizer
from tokenizers import models, pre_tokenizers

from leepjax.data.text.example import Text
from leepjax.models.text import tokenizers as kept
from leepjax.models.text.buckets import buckets_of
from leepjax.models.text.tokenization import Tokenization
from leepjax.types import InputError

HOW = Tokenization.of(tokenizer().to_str().encode(), max_length=100)
NAMES = np.array(WORDS)


def tokens(prepared):
    ids, types = prepared[1:].reshape(2, -1)
    return " ".join(NAMES[ids]), types.tolist(), int(prepared[0])


@pytest.mark.parametrize(
    ("how", "example", "expected"),
    [
        ({}, Text("Cat a."), ("[CLS] cat a . [SEP]", [0] * 5, -1)),
        ({}, Text("a", pair="ab"), ("[CLS] a [SEP] a ##b [SEP]", [0, 0, 0, 1, 1, 1], -1)),
        ({}, Text(("a", "bc", "cat"), word=2), ("[CLS] a b ##c cat [SEP]", [0] * 6, 4)),
        ({}, Text(("a", "\u200b", "b"), word=1), ("[CLS] a b [SEP]", [0] * 4, 0)),
        ({"special": False, "dropped": 1}, Text("a é⊕ b"), ("a b", [0] * 2, -1)),
        ({"special": False, "dropped": 1}, Text(("⊕", "b"), word=1), ("b", [0], 0)),
        ({"max_length": 4}, Text("abcdef"), ("[CLS] a ##b [SEP]", [0] * 4, -1)),
        ({"max_length": 5}, Text("ab", pair="abcdef"), ("[CLS] a [SEP] a [SEP]", [0, 0, 0, 1, 1], -1)),
        ({"max_length": 4, "from_start": True}, Text("abcdef"), ("[CLS] ##e ##f [SEP]", [0] * 4, -1)),
        (
            {"max_length": 5, "from_start": True},
            Text("ab", pair="abcd"),
            ("[CLS] ##b [SEP] ##d [SEP]", [0, 0, 0, 1, 1], -1),
        ),
        ({}, Text(""), ("[CLS] [SEP]", [0] * 2, -1)),
    ],
    ids=[
        "text",
        "pair",
        "word",
        "no-piece",
        "dropped",
        "dropped-word",
        "cut",
        "cut-pair",
        "cut-start",
        "cut-pair-start",
        "empty",
    ],
)
def test_an_example_becomes_the_tokens_of_its_tokenizer(how, example, expected):
    made = Tokenization.of(tokenizer().to_str().encode(), **{"max_length": 100, **how})
    found = tokens(made.on_host(example))
    assert found == expected


@pytest.mark.parametrize("from_start", [False, True])
@pytest.mark.parametrize("word", range(8))
def test_a_word_beyond_the_longest_text_is_passed_with_the_words_around_it(word, from_start):
    how = Tokenization.of(tokenizer().to_str().encode(), max_length=4, from_start=from_start)
    found, _, place = tokens(how.on_host(Text(tuple("abcdefgh"), word=word)))
    assert found.split()[place] == "abcdefgh"[word]


def test_lowercasing_comes_before_the_tokenizer():
    cased = tokenizers.Tokenizer(models.WordPiece({"[UNK]": 1, "a": 4}, unk_token="[UNK]"))
    cased.pre_tokenizer = pre_tokenizers.Whitespace()
    content = cased.to_str().encode()
    assert Tokenization.of(content, max_length=9).on_host(Text("A a"))[1:3].tolist() == [1, 4]
    assert Tokenization.of(content, max_length=9, lower=True).on_host(Text("A a"))[1:3].tolist() == [4, 4]


def test_words_of_a_byte_level_vocabulary_begin_with_a_space():
    vocabulary = {"a": 0, "Ġ": 1, "Ġa": 2, "b": 3, "Ġb": 4, "<unk>": 5}
    made = tokenizers.Tokenizer(models.BPE(vocabulary, [("Ġ", "a"), ("Ġ", "b")], unk_token="<unk>"))
    made.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
    how = Tokenization.of(made.to_str().encode(), max_length=9)
    assert how.on_host(Text("a b"))[1:3].tolist() == [0, 4]
    assert how.on_host(Text(("a", "b"), word=1)).tolist() == [1, 2, 4, 0, 0]


def test_padded_lengths_double_up_to_the_longest():
    assert buckets_of(512) == [16, 32, 64, 128, 256, 512]
    assert buckets_of(7) == [7]


def test_parts_have_each_text_once_and_few_shapes():
    texts = ["a" * 90, *("ab" for _ in range(40)), "cat " * 40, ""]
    prepared = [HOW.on_host(Text(text)) for text in texts]
    parts = list(HOW.parts(prepared, 32))
    assert sorted(np.concatenate([part.places for part in parts])) == list(range(len(texts)))
    assert {part.inputs.shape[1] * part.inputs.shape[0] * part.inputs.shape[2] for part in parts} <= {512, 400}
    for part in parts:
        for place, row in zip(part.places, part.inputs, strict=False):
            ids, types = prepared[place][1:].reshape(2, -1)
            assert (row[0, : len(ids)] == ids).all()
            assert (row[0, len(ids) :] == -1).all()
            assert (row[1, : len(ids)] == types).all()
        assert (part.inputs[len(part.places) :, 0] == -1).all()


def test_a_sentence_is_passed_once_for_all_of_its_words():
    sentences = [tuple("abcdefghijkl"), ("cat", "cat"), tuple("xyz") * 9]
    examples = [Text(words, word=i) for words in sentences for i in range(len(words))]
    prepared = [HOW.on_host(example) for example in examples]
    parts = list(HOW.parts(prepared, 64))
    assert sorted(np.concatenate([part.places for part in parts])) == list(range(len(examples)))
    rows = Counter(row[0].tobytes() for part in parts for row in part.inputs if (row[0] >= 0).any())
    assert len(rows) == len(sentences)
    assert set(rows.values()) == {1}
    for part in parts:
        at = np.asarray(HOW.normalise(part.inputs).at)
        found = part.inputs[:, 0].reshape(-1)[at[: len(part.places)]]
        assert found.tolist() == [prepared[place][1 + prepared[place][0]] for place in part.places]


def test_words_that_are_examples_many_times_fill_several_parts():
    prepared = [HOW.on_host(Text(("cat",), word=0))] * 100
    parts = list(HOW.parts(prepared, 16))
    assert sorted(np.concatenate([part.places for part in parts])) == list(range(100))
    assert {part.inputs.shape for part in parts} == {(2, 3, 16)}


def test_it_takes_its_tokenizer_to_another_process():
    sent = pickle.dumps(HOW)
    kept._CONTENTS.pop(HOW.digest)
    kept._tokenizer.cache_clear()
    with pytest.raises(InputError, match=r"source: expected the tokenizer of digest .* in this process, got none"):
        HOW.on_host(Text("never seen before"))
    assert pickle.loads(sent) == HOW
    assert tokens(HOW.on_host(Text("never")))[0] == "[CLS] n ##e ##v ##e ##r [SEP]"


def test_what_is_not_a_tokenizer_is_one_sentence():
    with pytest.raises(InputError, match=r"source: expected a tokenizer.json that the library tokenizers reads, got"):
        Tokenization.of(b"{}", max_length=9).on_host(Text("a"))
