"""Targets from any iterable of labelled images: a generator, a PyTorch data set, a list."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import replace
from itertools import chain
from typing import Any

import numpy as np
from PIL import Image

from leepjax.data.columns import one_line
from leepjax.data.encoded import Content, decoded, from_rows
from leepjax.data.labels import plain_scalar
from leepjax.data.pixels import check_no_path, to_pixels, warn_if_nearly_black
from leepjax.data.target import Pixels, Target
from leepjax.data.text.in_memory import are_texts, from_texts
from leepjax.types import InputError, Task


def from_iterable(
    pairs: Iterable[Any],
    classes: Sequence[str] | None = None,
    name: str = "iterable",
    task: Task | None = "classes",
) -> Target:
    """Make a target of (image, label) or (text, label) pairs, which are iterated over once and kept in memory.

    An image is a PIL image; an array [h w], [h w 1], [h w 3] or [h w 4] (with alpha) of uint8, uint16, booleans or
    floats in [0, 1]; or an encoded file's bytes, which stay encoded. Sizes may differ. A text is as in
    `leepjax.data.text.in_memory.from_texts`. Labels are integers from zero,
    or strings, numbered in the order of `classes` or else sorted (see `class_numbers`); or those of another task (see
    `leepjax.data.answers`).

    Raises:
        InputError: when there are no pairs, or an image or a label has another type.
    """
    contents: list[Content] = []
    labels = []
    rows = iter(pairs)
    for i, pair in enumerate(rows):
        image, label = _checked_pair(name, i, pair)
        if not i and are_texts([image]):
            texts = [_checked_pair(name, i, each) for i, each in enumerate(chain([pair], rows))]
            return from_texts(
                [text for text, _ in texts], [plain_scalar(label) for _, label in texts], classes, name, task=task
            )
        contents.append(_content(image, f"{name}: image {i}"))
        # A loader may overwrite the same array.
        labels.append(
            np.array(label, subok=True) if isinstance(label, np.ndarray) and label.ndim else plain_scalar(label)
        )
    target = from_rows(name, zip(contents, labels, strict=True), contents.__getitem__, classes, task=task)
    pixels = [content for content in contents if isinstance(content, np.ndarray)]
    if len(pixels) < len(contents):
        return target
    warn_if_nearly_black(name, max(int(each.max()) for each in pixels))
    return replace(target, read=Pixels(pixels))


def _checked_pair(name: str, i: int, pair: Any) -> tuple[Any, Any]:
    parts = _parts(pair)
    if len(parts) != 2:
        raise InputError(
            f"{name}: expected pairs (image, label), got {_described(pair)} at {i}; pass one label with each image."
        )
    return parts[0], parts[1]


def _parts(pair: Any) -> tuple[Any, ...]:
    """The elements of a pair; none for a string or mapping, even one of length two."""
    if isinstance(pair, (str, bytes, Mapping)) or not isinstance(pair, Iterable):
        return (pair,)
    return tuple(pair)


def _described(pair: Any) -> str:
    return f"a dict of {', '.join(map(str, pair))}" if isinstance(pair, Mapping) else type(pair).__name__


def _content(image: Any, where: str) -> bytes | np.ndarray:
    check_no_path(image, where)
    if isinstance(image, (bytes, bytearray, memoryview)):
        return bytes(image)
    if isinstance(image, Image.Image):
        return _pixels(image, where)
    try:
        array = np.asanyarray(image)
        got = f"{array.dtype} {list(array.shape)}"
    except ValueError:  # for example, a pair of an image and a label
        array, got = None, type(image).__name__
    if array is None or array.dtype.kind not in "biuf":
        raise InputError(
            f"{where}: expected a PIL image, an array of pixels, or an encoded image's bytes, got {got}; convert it to "
            "one of these."
        )
    return to_pixels(array, where).copy()  # a loader may overwrite the same array


def _pixels(image: Image.Image, where: str) -> np.ndarray:
    try:
        return np.asarray(decoded(image, where))
    except InputError:
        raise
    except Exception as error:  # decoders raise many types for damaged files
        raise InputError(f"{where}: expected an image, got {one_line(error)}; replace or remove it.") from None
