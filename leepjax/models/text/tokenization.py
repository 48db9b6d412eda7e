"""What a source does to texts before its network computes: sub-word tokens, in batches of a few padded lengths."""

from collections.abc import Iterator, Sequence
from functools import lru_cache
from typing import Annotated, Any

import jax
import jax.numpy as jnp
import msgspec
import numpy as np

from leepjax.data.preparation import BatchPart
from leepjax.data.text.example import Text
from leepjax.models.text.buckets import buckets_of, padded_texts, parts_of_texts, parts_of_words
from leepjax.models.text.tokenizers import Encoded, content_of, encode, keep
from leepjax.models.text.tokens import Tokens
from leepjax.types import InputError, Kind

WHOLE = -1
"""In place of a word's first token: the label is of the whole text."""
_COMMON = 32
"""Tokens of a text of common length, for measuring costs."""


class Tokenization(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """How texts become tokens, as the library ``tokenizers`` computes them.

    The tokenizer itself, a JSON file of megabytes, is kept by its digest, and goes with this to other processes.
    """

    digest: str
    """Of the tokenizer's file."""
    max_length: Annotated[int, msgspec.Meta(ge=1)]
    """Most tokens of a text or pair, special ones included; longer ones are cut, the longer text of a pair first."""
    special: bool = True
    """Whether special tokens, such as [CLS] and [SEP], are added."""
    dropped: int | None = None
    """Number of a token that is left out, such as the unknown one."""
    lower: bool = False
    """Whether texts are lowercased first."""
    from_start: bool = False
    """Whether a longer text loses its start in place of its end; the words of a sentence never do."""

    @classmethod
    def of(cls, content: bytes, **settings: Any) -> "Tokenization":
        """A tokenization by the tokenizer in a ``tokenizer.json``."""
        return cls(digest=keep(content), **settings)

    def __reduce__(self) -> tuple[Any, tuple[Any, ...]]:
        return _restored, (msgspec.structs.asdict(self), content_of(self.digest))

    @property
    def kind(self) -> Kind:
        """What it prepares: texts."""
        return "text"

    def on_host(self, example: Text) -> np.ndarray:
        """Tokenise a text, a pair of texts, or the words of a sentence.

        Returns:
            int32 [1 + 2t]: the place of the first token of the word that the label is of, or -1; the ids of t tokens;
            and their types, 1 for the second text of a pair.
        """
        if example.word is None:
            ids, types, _ = self._encoded(example.text, example.pair)
            return _prepared(WHOLE, ids, types)
        words, word = tuple(example.text), example.word
        ids, types, places = self._encoded(words, example.pair)
        while word > 0 and word > max(places, default=-1):  # beyond the longest text: drop half of the words before it
            words, word = words[-(-word // 2) :], word // 2
            ids, types, places = self._encoded(words, example.pair)
        # A word without tokens, such as a control character, has the state of the first one, the class token's.
        return _prepared(places.get(word, 0), ids, types)

    def parts(self, prepared: Sequence[np.ndarray], batch_size: int) -> Iterator[BatchPart]:
        """Put examples of similar lengths together, padded to one of a few lengths.

        All parts have the same number of tokens, except for rounding. Where labels are of words, a sentence is passed
        once for all of its words that are in the batch.
        """
        of_words = bool(len(prepared)) and prepared[0][0] != WHOLE
        return (parts_of_words if of_words else parts_of_texts)(prepared, batch_size, buckets_of(self.max_length))

    def in_memory(self, prepared: Sequence[np.ndarray]) -> np.ndarray:
        """Texts of their own lengths: an array [n] of arrays.

        Raises:
            InputError: where labels are of words.
        """
        if any(each[0] != WHOLE for each in prepared):
            raise InputError(
                "train: expected labels of whole texts, got labels of words; leave the network as it is and train a "
                "head, or pass texts."
            )
        found = np.empty(len(prepared), object)
        found[:] = prepared
        return found

    def batch(self, rows: np.ndarray) -> np.ndarray:
        """Texts padded to the length of the longest of them: int32 [n 2 t]."""
        return padded_texts(list(rows), buckets_of(self.max_length))

    def blank(self, batch_size: int) -> np.ndarray:
        """Texts of the same token, of a common length: int32 [n 2 t]."""
        text = _prepared(WHOLE, *2 * [np.zeros(min(_COMMON, self.max_length), int)])
        (part,) = parts_of_texts([text], batch_size, buckets_of(self.max_length))
        return np.zeros_like(part.inputs)

    def normalise(self, inputs: jax.Array) -> Tokens:
        """The network's input, from the inputs of a part."""
        ids = inputs[:, 0]
        places = inputs[:, 2].reshape(-1)[: ids.size // 2] if inputs.shape[1] == 3 else None
        return Tokens(jnp.maximum(ids, 0), inputs[:, 1], ids >= 0, places)

    def _encoded(self, text: str | tuple[str, ...], pair: str | None) -> Encoded:
        if self.lower:
            text, pair = _lowered(text), pair and pair.lower()
        return _encoded(self, text, pair)


@lru_cache(maxsize=1024)
def _encoded(how: Tokenization, text: str | tuple[str, ...], pair: str | None) -> Encoded:
    """The tokens of a text; the last ones are kept, because each word of a sentence is an example of its own."""
    return encode(
        how.digest,
        text,
        pair,
        max_length=how.max_length,
        special=how.special,
        dropped=how.dropped,
        from_start=how.from_start and isinstance(text, str),
    )


def _lowered(text: str | tuple[str, ...]) -> str | tuple[str, ...]:
    return text.lower() if isinstance(text, str) else tuple(map(str.lower, text))


def _prepared(place: int, ids: np.ndarray, types: np.ndarray) -> np.ndarray:
    return np.concatenate([[place], ids, types]).astype(np.int32)


def _restored(fields: dict[str, Any], content: bytes | None) -> Tokenization:
    if content is not None:
        keep(content)
    return Tokenization(**fields)
