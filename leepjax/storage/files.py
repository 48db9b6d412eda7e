"""Files that are either whole or not there, and digests of what they hold."""

import contextlib
import errno
import functools
import hashlib
import logging
import os
import secrets
import shutil
import stat
import tempfile
import time
from collections.abc import Callable, Iterable, Iterator
from pathlib import Path
from typing import TYPE_CHECKING, TypeVar

from leepjax.printable import printable

try:
    import fcntl
except ImportError:  # Windows
    fcntl = None

if TYPE_CHECKING:  # the command line reads this module, and --help needs no NumPy
    import numpy as np

Loaded = TypeVar("Loaded")

_PREFIX, _SUFFIX = ".leepjax-", ".tmp"
"""Of temporary files. They don't contain the final name, which may be as long as the file system allows."""
_ABANDONED = 86_400.0
"""Seconds after which a temporary file is taken for abandoned where the file system has no locks to tell."""
_UNWRITABLE = {errno.EACCES, errno.EPERM, errno.EROFS, errno.ENOTDIR, errno.EEXIST}
"""Errors of a folder in which nothing can be made, or in whose place there is a file."""
_ADVICE = {
    errno.ENOSPC: "free some space, or choose another folder",
    errno.EDQUOT: "free some of your quota, or choose another folder",
    errno.ENAMETOOLONG: "choose a shorter name",
    errno.ENOTDIR: "choose another folder",
}


class WriteError(OSError):
    """A file that couldn't be written, as one sentence; what was there before is unchanged."""

    def __str__(self) -> str:
        advice = _ADVICE.get(self.errno or 0, "check its permissions, or choose another folder")
        return f"write: expected to write {printable(str(self.filename))}, got {self.strerror}; {advice}."


@contextlib.contextmanager
def writing(path: Path) -> Iterator[None]:
    """Turn what the operating system refuses while `path` is being written into a `WriteError` that names it."""
    try:
        yield
    except WriteError:
        raise
    except OSError as error:
        raise WriteError(error.errno, error.strerror or str(error), str(path)) from error


def write_atomically(path: Path, *content: bytes | memoryview) -> None:
    """Write the parts of `content` to `path` through a temporary file beside it: no reader ever sees half of it.

    The file gets the mode that ``open`` would give it: the umask's, or the one that it already has. A symbolic link is
    followed.

    Raises:
        WriteError: when it can't be written; what was there before is unchanged.
    """
    with writing(path):
        target = Path(os.path.realpath(path))
        _make_folder(target.parent)
        sweep(target.parent)
        descriptor, temporary = _temporary(target.parent)
        try:
            with os.fdopen(descriptor, "wb") as file:
                with contextlib.suppress(FileNotFoundError, PermissionError):
                    os.chmod(temporary, stat.S_IMODE(target.stat().st_mode))
                file.writelines(content)
                file.flush()
                os.fsync(descriptor)  # where blocks are allocated late, a full disk says so here
                os.replace(temporary, target)  # before the lock on the temporary file ends
        except BaseException:
            with contextlib.suppress(OSError):
                os.unlink(temporary)
            raise


def _make_folder(folder: Path) -> None:
    try:
        folder.mkdir(parents=True, exist_ok=True)
    except FileExistsError:  # the system's text for a file in its place would read as if the folder were there
        raise NotADirectoryError(errno.ENOTDIR, os.strerror(errno.ENOTDIR)) from None


def sweep(folder: Path) -> None:
    """Remove the temporary files that killed processes left in a folder; once per folder and process."""
    _sweep_once(os.path.realpath(folder))


@functools.cache
def _sweep_once(folder: str) -> None:
    with contextlib.suppress(OSError):
        for each in Path(folder).glob(f"{_PREFIX}*{_SUFFIX}"):
            with contextlib.suppress(OSError):
                _remove_if_abandoned(each)


def remove_folder(folder: Path) -> None:
    """Remove a folder as a whole: a process killed on the way leaves it under a temporary name, to be swept."""
    temporary = folder.with_name(f"{_PREFIX}{secrets.token_hex(8)}{_SUFFIX}")
    with contextlib.suppress(OSError):
        os.replace(folder, temporary)
        shutil.rmtree(temporary, ignore_errors=True)


def _temporary(folder: Path) -> tuple[int, Path]:
    """A new temporary file, open and locked for as long as its writer lives."""
    while True:
        path = folder / f"{_PREFIX}{secrets.token_hex(8)}{_SUFFIX}"
        descriptor = os.open(path, os.O_CREAT | os.O_EXCL | os.O_RDWR, 0o666)  # less the umask
        # Another process that sweeps the folder may have removed the file before it was locked.
        if _lock(descriptor) is not False and os.fstat(descriptor).st_nlink:
            return descriptor, path
        os.close(descriptor)


def _lock(descriptor: int) -> bool | None:
    """Whether this process now holds the file's lock; None where the file system has no locks."""
    if fcntl is None:
        return None
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        return False
    except OSError:
        return None
    return True


def _remove_if_abandoned(path: Path) -> None:
    """Remove a temporary file whose lock nobody holds, or a folder that was being removed."""
    if path.is_dir():
        shutil.rmtree(path, ignore_errors=True)
        return
    descriptor = os.open(path, os.O_RDWR)
    try:
        locked = _lock(descriptor)
        if locked or (locked is None and time.time() - os.fstat(descriptor).st_mtime > _ABANDONED):
            path.unlink()
    finally:
        os.close(descriptor)


def set_aside(path: Path) -> Path:
    """Rename a damaged file, so that a new one can be written and nothing of it is lost. Returns its new path."""
    number = 1
    while (aside := path.with_name(f"{path.name}.damaged-{number}")).exists():
        number += 1
    with writing(aside):
        os.replace(path, aside)
    return aside


def digest(*parts: "bytes | np.ndarray") -> str:
    """A short content hash, the same on every machine."""
    return digest_stream(parts)


def digest_stream(parts: Iterable["bytes | np.ndarray"]) -> str:
    """`digest` of parts that needn't be in memory together."""
    state = hashlib.blake2b(digest_size=16)
    for part in parts:
        state.update(part)
    return state.hexdigest()


def shortened(name: str, most: int = 120) -> str:
    """A file name of at most `most` bytes: the end of a longer one is replaced by a digest of it."""
    encoded = name.encode()
    if len(encoded) <= most:
        return name
    return f"{encoded[: most - 17].decode(errors='ignore')}-{digest(encoded)[:16]}"


def cache_folder() -> Path | None:
    """$LEEPJAX_CACHE, or the place that the system gives caches; None, with a warning, for a user without a home."""
    import platformdirs

    try:
        folder = Path(os.environ.get("LEEPJAX_CACHE") or platformdirs.user_cache_dir("leepjax"))
    except RuntimeError as error:  # neither $HOME nor an entry of the user
        warn_unkept("the cache", str(error))
        return None
    if folder.parts[:1] == ("~",):  # what older versions of platformdirs give then
        warn_unkept("the cache", "the user has no home")
        return None
    return folder


def check_writable(folder: Path) -> None:
    """Make sure that files can be made in a folder, and make it if there is none.

    Raises:
        WriteError: when they can't.
    """
    with writing(folder):
        _make_folder(folder)
        descriptor, temporary = _temporary(folder)
        os.close(descriptor)
        temporary.unlink()


def check_room(folder: Path, size: int) -> None:
    """Make sure that a folder's disk, and the user's quota of it, have room for so many bytes.

    Raises:
        WriteError: when they haven't.
    """
    with writing(folder):
        descriptor, temporary = _temporary(folder)
        try:
            if hasattr(os, "posix_fallocate"):
                os.posix_fallocate(descriptor, 0, size)
        finally:
            os.close(descriptor)
            temporary.unlink()


@contextlib.contextmanager
def unkept_if(optional: bool, cache: Path) -> Iterator[None]:
    """Where what is written is `optional`, because it is a cache, let a failure be a warning."""
    try:
        yield
    except WriteError as error:
        if not optional:
            raise
        warn_unkept(str(cache), error.strerror or "")


@functools.cache
def warn_unkept(what: str, reason: str, variable: str = "LEEPJAX_CACHE") -> None:
    """Warn, once, that a cache can't be written: results are the same, and are computed or fetched again next time."""
    logging.getLogger("leepjax").warning(
        "%s can't be written (%s), so nothing is kept there; set %s to a folder that can.", what, reason, variable
    )


def in_cache_or_temporary(load: Callable[..., Loaded], cache: str, variable: str) -> Loaded:
    """What a library loads through its own cache; with `cache_dir`, through a temporary one if that can't be written.

    Args:
        load: called without arguments, and with `cache_dir` where it raises that its cache can't be written.
        cache: the library's cache, for the warning.
        variable: which environment variable sets another.
    """
    try:
        return load()
    except OSError as error:
        if error.errno not in _UNWRITABLE:
            raise
        warn_unkept(cache, error.strerror or "", variable)
        return load(cache_dir=str(temporary_cache()))


def temporary_cache() -> Path:
    """A folder for what can't be kept; it is removed when the process ends."""
    return Path(_temporary_cache().name)


@functools.cache
def _temporary_cache() -> tempfile.TemporaryDirectory:
    return tempfile.TemporaryDirectory(prefix="leepjax-")
