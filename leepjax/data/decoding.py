"""Images decoded ahead of their use, by as many threads as do it fastest."""

import os
import time
from collections import deque
from collections.abc import Callable, Generator, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from typing import TypeVar

T = TypeVar("T")

_IN_PYTHON = 0.25e-3
"""Seconds of an image's decoding during which Python's lock is held, so that threads can't share them."""
_SAMPLE = 16
_SAMPLE_SECONDS = 0.02
_TOGETHER = 16
"""Images that a thread decodes in a row, at most: small ones take less time than handing them over one by one."""


def decode_ahead(
    decode: Callable[[int], T], indices: Sequence[int], ahead: int, threads: int | None = None
) -> Generator[T]:
    """What `decode` gives for each index, in order; about `ahead` of them are decoded before they are asked for.

    Pillow decompresses without Python's lock, so threads share the work on photographs. Small images take little more
    than the time under the lock, which threads only hand to each other: two of them decode images of 64 pixels at half
    the rate of one. So the first few images are decoded in the calling thread, and their time sets the number of
    threads, at most one per core, unless `threads` does.
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
    """From the seconds of each image; the first one's also hold what is loaded once."""
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
