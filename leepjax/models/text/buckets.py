"""Batches of prepared texts as inputs of few shapes: similar lengths together, padded to one of a few lengths."""

from collections.abc import Iterator, Sequence

import numpy as np

from leepjax.data.preparation import BatchPart

SHORTEST = 16
"""Tokens of the shortest padded length; the others are its double, its fourfold and so on."""
PADDING = -1
"""In place of a token's number"""
_TOKENS_PER_TEXT, _TOKENS_PER_WORD = 8, 2
"""Tokens of a part for each example of a batch. Parts are smaller than a batch, so that a single long text doesn't pad
all others. Most sentences whose words are examples have all of them in one batch, after each other."""


def buckets_of(max_length: int) -> list[int]:
    """The padded lengths of texts of at most `max_length` tokens, the shortest first.

    >>> buckets_of(100)
    [16, 32, 64, 100]
    """
    lengths = [SHORTEST]
    while lengths[-1] < max_length:
        lengths.append(2 * lengths[-1])
    return [*lengths[:-1], min(lengths[-1], max_length)]


def parts_of_texts(prepared: Sequence[np.ndarray], batch_size: int, buckets: Sequence[int]) -> Iterator[BatchPart]:
    """Parts of the texts of a batch, the longest first: int32 inputs [n 2 t], ids and types.

    Each part is filled up by the next shorter texts, so that only the last one may have rows that are padding alone.
    """
    order = sorted(range(len(prepared)), key=lambda place: -len(prepared[place]))
    while order:
        length = _padded(prepared[order[0]], buckets)
        rows = _rows(batch_size, _TOKENS_PER_TEXT, length)
        chosen, order = order[:rows], order[rows:]
        yield BatchPart(np.array(chosen), _padded_rows([prepared[place] for place in chosen], rows, length, planes=2))


def parts_of_words(prepared: Sequence[np.ndarray], batch_size: int, buckets: Sequence[int]) -> Iterator[BatchPart]:
    """Parts of the sentences whose words are the examples of a batch: int32 inputs [n 3 t].

    The third plane, read as one row, begins with the places of the examples among the n · t tokens. Outputs have a row
    for each of at most n · t / 2 examples.
    """
    of_sentence: dict[bytes, list[int]] = {}
    for place, example in enumerate(prepared):
        of_sentence.setdefault(example[1:].tobytes(), []).append(place)
    waiting = sorted(of_sentence.values(), key=lambda places: -len(prepared[places[0]]))
    while waiting:
        length = _padded(prepared[waiting[0][0]], buckets)
        rows = _rows(batch_size, _TOKENS_PER_WORD, length)
        room, taken = max(1, rows * length // 2), []
        while waiting and len(taken) < rows and room:
            places = waiting.pop(0)
            taken.append(places[:room])
            if places[room:]:
                waiting.insert(0, places[room:])
            room -= len(taken[-1])
        inputs = _padded_rows([prepared[places[0]] for places in taken], rows, length, planes=3)
        at = [row * length + prepared[place][0] for row, places in enumerate(taken) for place in places]
        inputs[:, 2] = np.pad(at, (0, rows * length - len(at))).reshape(rows, length)
        yield BatchPart(np.concatenate(taken), inputs)


def padded_texts(prepared: Sequence[np.ndarray], buckets: Sequence[int]) -> np.ndarray:
    """Texts in the order in which they are given, padded to one length: int32 [n 2 t]."""
    longest = _padded(max(prepared, key=len), buckets)
    return _padded_rows(prepared, len(prepared), longest, planes=2)


def _padded(example: np.ndarray, buckets: Sequence[int]) -> int:
    return next(length for length in buckets if 2 * length + 1 >= len(example))


def _rows(batch_size: int, tokens_per_example: int, length: int) -> int:
    return min(batch_size, max(1, batch_size * tokens_per_example // length))


def _padded_rows(examples: Sequence[np.ndarray], rows: int, length: int, planes: int) -> np.ndarray:
    """Ids and types of texts, and rows of padding below them: int32 [rows planes length]."""
    inputs = np.zeros((rows, planes, length), np.int32)
    inputs[:, 0] = PADDING
    for row, example in enumerate(examples):
        tokens = example[1:].reshape(2, -1)
        inputs[row, :2, : tokens.shape[1]] = tokens
    return inputs
