"""Tokenizers of the library ``tokenizers``, kept by the digest of their files."""

import json
from functools import lru_cache
from typing import Any, NamedTuple

import numpy as np

from leepjax.models.bridges.libraries import library
from leepjax.storage.files import digest
from leepjax.types import InputError

_CONTENTS: dict[str, bytes] = {}


class Encoded(NamedTuple):
    """The tokens of a text or a pair."""

    ids: np.ndarray
    """[t]"""
    types: np.ndarray
    """[t] 1 for the tokens of the second text of a pair"""
    places: dict[int, int]
    """Word → place of its first token, where the text is given as words"""


def keep(content: bytes) -> str:
    """Keep the content of a ``tokenizer.json`` while this process runs, and return its digest."""
    key = digest(content)
    _CONTENTS[key] = content
    return key


def content_of(key: str) -> bytes | None:
    """The content of a tokenizer that is kept, by its digest."""
    return _CONTENTS.get(key)


def encode(
    key: str,
    text: str | tuple[str, ...],
    pair: str | None,
    *,
    max_length: int,
    special: bool,
    dropped: int | None,
    from_start: bool = False,
) -> Encoded:
    """Tokenise a text, or its words, and the second text of a pair; the longer of the two is cut first.

    What is cut is the end of a text, or its start if `from_start` is set.

    Raises:
        InputError: without the library ``tokenizers``, or for a tokenizer that isn't kept or can't be read.
    """
    of_words = not isinstance(text, str)
    tokenizer = _tokenizer(key, max_length, of_words, from_start)
    found = tokenizer.encode(list(text) if of_words else text, _like(text, pair), of_words, special)
    places: dict[int, int] = {}
    if of_words:
        for place, (word, sequence) in enumerate(zip(found.word_ids, found.sequence_ids, strict=True)):
            if word is not None and sequence == 0:
                places.setdefault(word, place)
    ids, types = np.array(found.ids, np.int32), np.array(found.type_ids, np.int32)
    if dropped is None:
        return Encoded(ids, types, places)
    kept = ids != dropped
    moved = np.cumsum(kept) - 1
    return Encoded(ids[kept], types[kept], {word: int(moved[at]) for word, at in places.items() if kept[at]})


def vocabulary_size(key: str) -> int:
    """One more than the largest number of a token of a tokenizer that is kept.

    Raises:
        InputError: as `encode`.
    """
    return max(_tokenizer(key, None, False).get_vocab(with_added_tokens=True).values(), default=-1) + 1


def unknown_token(key: str) -> int | None:
    """The number of the token for what isn't in the vocabulary, if the tokenizer has one."""
    model = json.loads(_CONTENTS[key]).get("model", {})
    if isinstance(name := model.get("unk_token"), str):
        return _tokenizer(key, None, False).token_to_id(name)
    return model.get("unk_id")


def tokenizer_of(content: bytes) -> Any:
    """The tokenizer of a ``tokenizer.json``, as the library ``tokenizers`` opens it.

    Raises:
        InputError: without that library, or for what it can't read.
    """
    tokenizers = library("source", "tokenizers", "text")
    try:
        return tokenizers.Tokenizer.from_buffer(content)
    except Exception as error:  # the library raises plain exceptions, of any version's format
        raise InputError(
            f"source: expected a tokenizer.json that the library tokenizers reads, got {str(error)[:200]!r}; save it "
            "again by tokenizer.save."
        ) from error


def _like(text: str | tuple[str, ...], pair: str | None) -> str | list[str] | None:
    """The second text of a pair in the form of the first."""
    return pair if pair is None or isinstance(text, str) else pair.split()


@lru_cache(maxsize=16)
def _tokenizer(key: str, max_length: int | None, of_words: bool, from_start: bool = False) -> Any:
    if (content := content_of(key)) is None:
        raise InputError(
            f"source: expected the tokenizer of digest {key[:12]} in this process, got none; open its source here."
        )
    tokenizer = tokenizer_of(_spaced(content) if of_words else content)
    tokenizer.no_padding()
    tokenizer.no_truncation()
    if max_length is not None:
        tokenizer.enable_truncation(max_length, direction="left" if from_start else "right")
    return tokenizer


def _spaced(content: bytes) -> bytes:
    """A tokenizer that puts a space before each word, which byte-level vocabularies join to the word's first token."""
    fields = json.loads(content)
    first = fields.get("pre_tokenizer") or {}
    for each in (first, *(first.get("pretokenizers") or ())):
        if each.get("type") == "ByteLevel":
            each["add_prefix_space"] = True
    return json.dumps(fields).encode()
