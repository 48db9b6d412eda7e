"""Decode images ahead of their use, with the fastest number of threads."""

import os
import time
from collections import deque
from collections.abc import Callable, Generator, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from typing import TypeVar

T = TypeVar("T")

_IN_PYTHON = 0.25e-3
"""Seconds per image during which decoding holds Python's global lock, so that threads can't run in parallel."""
_SAMPLE = 16
_SAMPLE_SECONDS = 0.02
_TOGETHER = 16
"""Most images that a thread decodes per task: decoding a small image takes less time than submitting a task."""


def decode_ahead(
    decode: Callable[[int], T], indices: Sequence[int], ahead: int, threads: int | None = None
) -> Generator[T]:
    """Yield `decode` of each index, in order, decoding about `ahead` images before they are needed.

    Pillow releases Python's global lock while it decompresses, so threads decode photographs in parallel. Small images
    spend most of their time under the lock: two threads decode images of 64 pixels at half the rate of one. So the
    first few images are decoded in the calling thread, and their time determines the number of threads, at most one
    per core, unless `threads` is given.
    """
    seconds: list[float] = []
    for i in indices[: min(_SAMPLE, max(2, ahead // 4))] if threads is None else ():
        started = time.thread_time()
        decoded = decode(int(i))
        seconds.append(time.thread_time() - started)
        yield decoded
        if sum(seconds[1:]) > _SAMPLE_SECONDS:
            break
    if rest := indices[len(seconds) :]:
        yield from _by_threads(decode, rest, ahead, threads or _num_threads(seconds))


def _num_threads(seconds: Sequence[float]) -> int:
    """Number of threads, from the seconds of each image; the first image's also include loading libraries."""
    each = sum(seconds[1:]) / max(len(seconds) - 1, 1)
    return min(os.cpu_count() or 1, max(1, round(each / _IN_PYTHON)))


def _by_threads(decode: Callable[[int], T], indices: Sequence[int], ahead: int, threads: int) -> Generator[T]:
    together = max(1, min(_TOGETHER, ahead // (2 * threads)))
    parts = [indices[start : start + together] for start in range(0, len(indices), together)]
    pool = ThreadPoolExecutor(threads, "leepjax-decode")
    waiting: deque[Future[list[T]]] = deque()
    try:
        for part in parts:
            waiting.append(pool.submit(_decode_all, decode, part))
            if len(waiting) * together > ahead:
                yield from waiting.popleft().result()
        while waiting:
            yield from waiting.popleft().result()
    finally:
        pool.shutdown(cancel_futures=True)


def _decode_all(decode: Callable[[int], T], indices: Sequence[int]) -> list[T]:
    return [decode(int(i)) for i in indices]
