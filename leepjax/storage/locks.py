"""File locks between processes, each beside the file that it protects and released when its process ends."""

import contextlib
import errno
import functools
import logging
from collections.abc import Iterator
from pathlib import Path

from filelock import FileLock, Timeout

PATIENCE = 2.0
"""Seconds to wait for a lock before the first message."""
_NO_LOCKS = {errno.ENOLCK, errno.ENOSYS, errno.EOPNOTSUPP, errno.EINVAL}


@contextlib.contextmanager
def locked(path: Path, doing: str = "is writing it") -> Iterator[bool]:
    """Hold the lock file of `path`, ``<path>.lock``; wait while another process holds it.

    The lock file is removed at the end. A lock file left by a killed process is taken over at once. Where the folder
    isn't writable (writing to it will fail with its own error) or the file system has no locks (a warning), the body
    runs without a lock.

    Args:
        path: the file to protect; needn't exist.
        doing: what the other process is doing, for the message of a long wait.

    Yields:
        Whether the lock is held.
    """
    lock = FileLock(path.with_name(f"{path.name}.lock"))
    held = _acquire(lock, path, doing)
    try:
        yield held
    finally:
        if held:
            # Remove the lock file before releasing it: a process waiting for the removed file then makes a new one.
            with contextlib.suppress(OSError):
                Path(lock.lock_file).unlink()
            lock.release()


def _acquire(lock: FileLock, path: Path, doing: str) -> bool:
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        try:
            lock.acquire(timeout=PATIENCE)
        except Timeout:
            logging.getLogger("leepjax").warning("%s: another process %s; waiting until it has ended.", path, doing)
            lock.acquire()
    except OSError as error:
        if error.errno in _NO_LOCKS:
            _warn_once(path.parent, str(error.strerror))
        return False
    return True


@functools.cache
def _warn_once(folder: Path, reason: str) -> None:
    logging.getLogger("leepjax").warning(
        "%s: its file system has no locks (%s); let only one process at a time write there.", folder, reason
    )
