"""Keep libraries that log by absl, as Orbax and TensorFlow Datasets do, from configuring Python's root logger."""

import logging
import threading
from collections.abc import Iterator
from contextlib import contextmanager

_LOCK = threading.Lock()
_users = 0
"""How many threads, or nested contexts, are inside `root_logger_kept`."""
_HANDLER = logging.lastResort or logging.NullHandler()
"""Prints as Python does without any handler."""


@contextmanager
def root_logger_kept() -> Iterator[None]:
    """Leave the root logger without handlers if it has none, whatever is logged by absl meanwhile.

    Where it finds none, absl calls ``logging.basicConfig``, also for what isn't shown. The user's own ``basicConfig``
    would then do nothing, and warnings would be printed in another form.
    """
    global _users
    with _LOCK:
        if not logging.root.handlers:
            logging.root.addHandler(_HANDLER)
        _users += 1
    try:
        yield
    finally:
        with _LOCK:
            _users -= 1
            if not _users:
                logging.root.removeHandler(_HANDLER)
