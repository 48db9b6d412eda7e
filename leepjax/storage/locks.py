"""Locks between processes, each beside the file that it protects; they end with the process that holds them."""

import contextlib
import errno
import functools
import logging
from collections.abc import Iterator
from pathlib import Path

from filelock import FileLock, Timeout

PATIENCE = 2.0
"""Seconds to wait before saying so."""
_NO_LOCKS = {errno.ENOLCK, errno.ENOSYS, errno.EOPNOTSUPP, errno.EINVAL}


@contextlib.contextmanager
def locked(path: Path, doing: str = "is writing it") -> Iterator[bool]:
    """Hold the lock of `path`, ``<path>.lock``, among all processes; wait while another one holds it.

    The lock file is removed at the end. One that a killed process left behind is taken over at once. Gives False, and
    goes on without a lock, where the folder can't be written to (writing will fail and say so) or where its file
    system has no locks (which is a warning).

    Args:
        path: what to protect; needn't exist.
        doing: what the other process is doing, for the message of a long wait.
    """
    lock = FileLock(path.with_name(f"{path.name}.lock"))
    held = _acquire(lock, path, doing)
    try:
        yield held
    finally:
        if held:
            # While it is held: whoever waits for a file that is removed then makes a new one.
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
