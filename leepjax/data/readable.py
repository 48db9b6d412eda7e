"""Find the images of a target that can't be decoded, before hours are spent on the others."""

import logging
import warnings
from collections.abc import Sequence
from contextlib import closing
from dataclasses import dataclass, field
from functools import partial
from typing import Any

import numpy as np
from PIL import Image

from leepjax.data.decoding import decode_ahead
from leepjax.data.encoded import ANIMATED, ChangedError
from leepjax.data.pixels import CLEAR, is_nearly_black, warn_if_nearly_black
from leepjax.data.split import stratified_limit, stratified_order
from leepjax.data.target import Target
from leepjax.types import InputError

_AHEAD = 1024
"""Images decoded ahead of the one whose result is examined."""


@dataclass
class _Checked:
    """What was found while decoding images of a target."""

    failures: dict[int, InputError] = field(default_factory=dict)
    animated: list[int] = field(default_factory=list)
    clear: list[int] = field(default_factory=list)
    """Images whose transparency was ignored."""
    brightest: int = 0
    """The largest pixel of the images decoded so far; it isn't updated once an image isn't nearly black."""


def readable(
    target: Target, *, limit: int | None = None, seed: int = 0, strict: bool = False, threads: int | None = None
) -> tuple[Target, tuple[str, ...]]:
    """Leave out the images that can't be decoded, count them in a warning, and also return their ids.

    With a `limit`, that many examples are drawn, stratified by label, and only these are decoded; an image that can't
    be decoded is replaced by the next of its class, as long as there is one. Without a limit every image is decoded.
    Texts, and images whose pixels are in memory, are always readable, and so aren't checked.

    Args:
        target: n labelled images.
        limit: the largest number of examples to draw.
        seed: seed of the draw.
        strict: whether an image that can't be decoded is an error.
        threads: number of decoding threads; by default the fastest for images of this size.

    Raises:
        InputError: when no image can be decoded, or, if `strict`, for the first that can't.
    """
    drawn = stratified_limit(target.strata, limit, seed)
    if target.always_readable:
        return target.subset(drawn), ()
    checked = _Checked()
    with warnings.catch_warnings():
        # Images of too many pixels are rejected anyway, so Pillow's warning about them is superfluous.
        warnings.simplefilter("ignore", Image.DecompressionBombWarning)
        fresh = drawn
        while len(fresh):
            failed = _check(target, fresh.tolist(), threads, strict, checked)
            fresh = _replacements(target, drawn, failed, seed)
            drawn = np.sort(np.concatenate([drawn, fresh]))
    bad = sorted(checked.failures)
    _report(target, len(drawn), checked)
    if not bad:
        return target.subset(drawn), ()
    return target.subset(drawn[~np.isin(drawn, bad)]), tuple(map(target.id, bad))


def _check(target: Target, indices: Sequence[int], threads: int | None, strict: bool, checked: _Checked) -> list[int]:
    """Decode these images, add the findings to `checked`, and return the indices of those that fail."""
    failed = []
    with closing(decode_ahead(partial(_finding, target, checked), indices, _AHEAD, threads)) as findings:
        for i, found in zip(indices, findings, strict=True):
            if isinstance(found, InputError):
                if strict:
                    raise found
                checked.failures[i] = found
                failed.append(i)
                continue
            info, brightest = found
            checked.brightest = max(checked.brightest, brightest)
            if ANIMATED in info:
                checked.animated.append(i)
            if CLEAR in info:
                checked.clear.append(i)
    return failed


def _finding(target: Target, checked: _Checked, i: int) -> InputError | tuple[dict[Any, Any], int]:
    """The error of an image that can't be decoded, or else the marks in its `info`, and its brightest pixel.

    The brightest pixel isn't computed (0 is returned) if an earlier image wasn't nearly black.

    Raises:
        ChangedError: when the image changed since it was digested; it isn't left out like a damaged one.
    """
    try:
        image = target.read(i)
    except ChangedError:
        raise
    except InputError as error:
        return error
    brightest = np.asarray(image).max() if is_nearly_black(checked.brightest) else 0
    return image.info, int(brightest)


def _replacements(target: Target, drawn: np.ndarray, failed: Sequence[int], seed: int) -> np.ndarray:
    """For each failed example, the next of its class in the order of the draw that hasn't been drawn."""
    if not len(failed) or len(drawn) == len(target):
        return np.arange(0)
    order = stratified_order(target.strata, seed)
    left = order[~np.isin(order, drawn)]
    missing = np.bincount(target.strata[np.asarray(failed)])
    return np.concatenate([left[target.strata[left] == each][:count] for each, count in enumerate(missing) if count])


def _report(target: Target, num_decoded: int, checked: _Checked) -> None:
    """Warn about images that can't be decoded, classes that lose all of them, and unusual ones among the others.

    These are animations, images that are transparent throughout, and images that are all nearly black.

    Raises:
        InputError: when no image can be decoded.
    """
    warn = logging.getLogger("leepjax").warning
    if checked.animated:
        first = target.id(min(checked.animated))
        warn(f"{len(checked.animated):,} images have several frames, of which the first is used; the first: {first}.")
    if checked.clear:
        first = target.id(min(checked.clear))
        warn(f"{len(checked.clear):,} images are transparent throughout: their alpha is ignored; the first: {first}.")
    if len(checked.failures) < num_decoded:
        warn_if_nearly_black(target.name, checked.brightest)
    if not checked.failures:
        return
    bad = sorted(checked.failures)
    first = checked.failures[bad[0]]
    if len(bad) == num_decoded:
        raise InputError(f"{target.name}: expected images, got none that can be decoded; the first: {first}")
    reason = str(first).removesuffix(".")
    lost = [target.classes[label] for label in _classes_of(target, bad) if not _has_others(target, label, bad)]
    warn(
        f"{len(bad):,} of {num_decoded:,} images can't be decoded and are left out, "
        f"the first: {target.id(bad[0])} ({reason})."
    )
    if lost:
        warn(f"No image is left in the {'class' if len(lost) == 1 else 'classes'} {', '.join(lost)}.")


def _classes_of(target: Target, bad: Sequence[int]) -> list[int]:
    return np.unique(target.labels[np.asarray(bad)]).tolist() if target.task == "classes" else []


def _has_others(target: Target, label: int, bad: Sequence[int]) -> bool:
    return int((target.labels == label).sum()) > int((target.labels[np.asarray(bad)] == label).sum())
