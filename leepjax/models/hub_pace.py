"""End downloads from the Hugging Face Hub that are too slow, like downloads from URLs."""

import functools
import sys
from collections.abc import Iterator
from typing import Any

from leepjax.models.requests import Pace


def watch_pace(timeout: float) -> None:
    """Make every response body in huggingface_hub raise ``TooSlowError`` if its download is too slow.

    Args:
        timeout: seconds over which the speed is measured.
    """
    from huggingface_hub.utils import get_session

    hooks = get_session().event_hooks
    others = [hook for hook in hooks["response"] if getattr(hook, "func", None) is not _watch]
    get_session().event_hooks = hooks | {"response": [*others, functools.partial(_watch, timeout)]}


def _watch(timeout: float, response: Any) -> None:
    """Wrap the stream of a response of httpx or httpx2, whichever huggingface_hub uses."""
    library = sys.modules[type(response).__module__.partition(".")[0]]
    response.stream = _watched(library.SyncByteStream)(response.stream, Pace(timeout))


@functools.cache
def _watched(base: type) -> type:
    class Watched(base):
        def __init__(self, stream: Any, pace: Pace):
            self._stream, self._pace = stream, pace

        def __iter__(self) -> Iterator[bytes]:
            for block in self._stream:
                yield block
                self._pace.count(len(block))

        def close(self) -> None:
            self._stream.close()

    return Watched
