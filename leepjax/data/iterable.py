"""Targets from any iterable of labelled images: a generator, a PyTorch data set, a list."""

from collections.abc import Iterable, Sequence
from dataclasses import replace
from typing import Any

import numpy as np
from PIL import Image

from leepjax.data.columns import one_line
from leepjax.data.encoded import Content, decoded, from_rows
from leepjax.data.pixels import to_pixels
from leepjax.data.target import Pixels, Target
from leepjax.types import InputError


def from_iterable(pairs: Iterable[Any], classes: Sequence[str] | None = None, name: str = "iterable") -> Target:
    """A target of (image, label) pairs, which are gone through once and kept in memory.

    An image is a PIL image; an array [h w], [h w 1], [h w 3] or [h w 4] (with alpha) of uint8, uint16, booleans or
    floats in [0, 1]; or an encoded file's bytes, which stay encoded. Sizes may differ. Labels are integers from zero or
    strings; strings are numbered as in `classes`, else in sorted order.

    Raises:
        InputError: when it is empty, or an image or a label is something else.
    """
    contents: list[Content] = []
    labels = []
    for i, pair in enumerate(pairs):
        try:
            image, label = pair
        except (TypeError, ValueError):
            raise InputError(
                f"{name}: expected pairs (image, label), got {type(pair).__name__} at {i}; give one label an image."
            ) from None
        contents.append(_content(image, f"{name}: image {i}"))
        labels.append(_label(label))
    target = from_rows(name, zip(contents, labels, strict=True), contents.__getitem__, classes)
    pixels = [content for content in contents if isinstance(content, np.ndarray)]
    return replace(target, read=Pixels(pixels)) if len(pixels) == len(contents) else target


def _content(image: Any, where: str) -> bytes | np.ndarray:
    if isinstance(image, (bytes, bytearray, memoryview)):
        return bytes(image)
    if isinstance(image, Image.Image):
        return _pixels(image, where)
    array = np.asarray(image)
    if array.dtype.kind not in "biuf":
        raise InputError(
            f"{where}: expected a PIL image, an array of pixels, or an encoded image's bytes, "
            f"got {array.dtype} {list(array.shape)}; convert it."
        )
    return to_pixels(array, where).copy()  # a loader may fill the same array again


def _pixels(image: Image.Image, where: str) -> np.ndarray:
    try:
        return np.asarray(decoded(image, where))
    except InputError:
        raise
    except Exception as error:  # as for encoded files, which are decoded here and now
        raise InputError(f"{where}: expected an image, got {one_line(error)}; replace or remove it.") from None


def _label(label: Any) -> Any:
    return label.item() if hasattr(label, "item") else label  # a scalar of NumPy, JAX or PyTorch
