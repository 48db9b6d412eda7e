"""Which images of a target can be decoded: found out before hours are spent on the others."""

import logging
import os
from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor

import numpy as np

from leepjax.data.target import Target
from leepjax.types import InputError

_AT_A_TIME = 64
"""Images that a thread decodes in a row: neighbours lie in the same part of a file."""


def readable(target: Target, *, strict: bool = False, threads: int | None = None) -> tuple[Target, tuple[str, ...]]:
    """The target without the images that can't be decoded, and the ids of those; one warning says how many.

    Every image is decoded, by `threads` threads (one a core if left out): 1,000 JPEGs of 224 × 224 take 0.28 s with
    one, 0.22 s with two. Decoding at an eighth of the size would halve that, but another decoder's verdict isn't this
    one's. Images that are pixels in memory can't fail, and the target is returned at once.

    Raises:
        InputError: when no image can be decoded, or, if `strict`, when one can't: the first.
    """
    if target.is_pixels:
        return target, ()
    failures = _all_failures(target, strict, threads)
    if not failures:
        return target, ()
    bad = sorted(failures)
    first = bad[0]
    if len(bad) == len(target):
        raise InputError(f"{target.name}: expected images, got none that can be decoded; the first: {failures[first]}")
    logging.getLogger("leepjax").warning(
        "%s of %s images can't be decoded and are left out, the first: %s (%s).",
        f"{len(bad):,}",
        f"{len(target):,}",
        target.id(first),
        str(failures[first]).removesuffix("."),
    )
    return target.subset(np.delete(np.arange(len(target)), bad)), tuple(map(target.id, bad))


def _all_failures(target: Target, strict: bool, threads: int | None) -> dict[int, InputError]:
    """Index → error of the images that can't be decoded; the first one is raised if `strict`."""
    failures = {}
    with ThreadPoolExecutor(threads or os.cpu_count()) as pool:
        for found in pool.map(lambda part: dict(_failures(target, part)), _parts(len(target))):
            if strict and found:
                pool.shutdown(wait=False, cancel_futures=True)
                raise found[min(found)]
            failures |= found
    return failures


def _parts(number: int) -> Sequence[range]:
    return [range(start, min(start + _AT_A_TIME, number)) for start in range(0, number, _AT_A_TIME)]


def _failures(target: Target, part: range) -> Iterator[tuple[int, InputError]]:
    for i in part:
        try:
            target.read(i)
        except InputError as error:
            yield i, error
