"""Atomic writes, cache folders, and digests of file contents."""

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

from leepjax.printable import shown_path

try:
    import fcntl
except ImportError:  # Windows
    fcntl = None

if TYPE_CHECKING:  # the command line reads this module, and --help needs no NumPy
    import numpy as np

Loaded = TypeVar("Loaded")

_PREFIX, _SUFFIX = ".leepjax-", ".tmp"
"""Prefix and suffix of temporary files. Their names leave out the final one, which may have the maximal length."""
_ABANDONED = 86_400.0
"""Age in seconds at which a temporary file counts as abandoned on a file system without locks."""
_UNWRITABLE = {errno.EACCES, errno.EPERM, errno.EROFS, errno.ENOTDIR, errno.EEXIST}
"""Errors of a folder that can't be written to, or whose path is a file."""
ADVICE = {
    errno.ENOSPC: "free some space, or choose another folder",
    errno.EDQUOT: "free some of your quota, or choose another folder",
    errno.EFBIG: "raise the limit of file sizes (ulimit -f)",
    errno.ENAMETOOLONG: "choose a shorter name",
    errno.ENOTDIR: "choose another folder",
}


class WriteError(OSError):
    """A file couldn't be written; its previous content is unchanged. The message is one sentence."""

    def __str__(self) -> str:
        advice = ADVICE.get(self.errno or 0, "check its permissions, or choose another folder")
        return f"write: expected to write {shown_path(Path(self.filename))}, got {self.strerror}; {advice}."


@contextlib.contextmanager
def writing(path: Path) -> Iterator[None]:
    """Turn an `OSError` raised while `path` is being written into a `WriteError` that names the path."""
    try:
        yield
    except WriteError:
        raise
    except OSError as error:
        raise WriteError(error.errno, error.strerror or str(error), str(path)) from error


def user_path(text: str) -> Path:
    """A path in which ``~`` is the user's folder also after a prefix or a comma, where a shell leaves it."""
    return Path(os.path.expanduser(text))  # Path.expanduser raises an error for users that aren't there


def write_atomically(path: Path, *content: bytes | memoryview) -> None:
    """Write the parts of `content` to a temporary file beside `path` and rename it: no reader sees a partial file.

    The file's mode is the one that ``open`` would give: that of the existing file, or the umask's. Symbolic links are
    followed.

    Raises:
        WriteError: when the file can't be written; its previous content is unchanged.
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
                os.fsync(descriptor)  # file systems that allocate blocks late report a full disk here
                os.replace(temporary, target)  # before the lock on the temporary file ends
        except BaseException:
            with contextlib.suppress(OSError):
                os.unlink(temporary)
            raise


def _make_folder(folder: Path) -> None:
    try:
        folder.mkdir(parents=True, exist_ok=True)
    except FileExistsError:  # a file has this path; "File exists" would read as if the folder existed
        raise NotADirectoryError(errno.ENOTDIR, os.strerror(errno.ENOTDIR)) from None


def sweep(folder: Path) -> None:
    """Remove the temporary files that killed processes left in a folder; runs once per folder and process."""
    _sweep_once(os.path.realpath(folder))


@functools.cache
def _sweep_once(folder: str) -> None:
    with contextlib.suppress(OSError):
        for each in Path(folder).glob(f"{_PREFIX}*{_SUFFIX}"):
            with contextlib.suppress(OSError):
                _remove_if_abandoned(each)


def remove_folder(folder: Path) -> None:
    """Rename a folder to a temporary name and remove it: if the process is killed halfway, `sweep` removes the rest."""
    temporary = folder.with_name(f"{_PREFIX}{secrets.token_hex(8)}{_SUFFIX}")
    with contextlib.suppress(OSError):
        os.replace(folder, temporary)
        shutil.rmtree(temporary, ignore_errors=True)


def _temporary(folder: Path) -> tuple[int, Path]:
    """Create a temporary file that stays open and locked until its writer ends."""
    while True:
        path = folder / f"{_PREFIX}{secrets.token_hex(8)}{_SUFFIX}"
        descriptor = os.open(path, os.O_CREAT | os.O_EXCL | os.O_RDWR, 0o666)  # minus the umask
        # Another process that sweeps the folder may have removed the file before it was locked.
        if _lock(descriptor) is not False and os.fstat(descriptor).st_nlink:
            return descriptor, path
        os.close(descriptor)


def _lock(descriptor: int) -> bool | None:
    """Try to lock a file: whether this process now holds the lock, None where the file system has no locks."""
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
    """Rename a damaged file to ``<name>.damaged-<number>``, so that a new one can be written. Returns the new path."""
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
    """`digest` of parts that are read one at a time."""
    state = hashlib.blake2b(digest_size=16)
    for part in parts:
        state.update(part)
    return state.hexdigest()


def sha256_of(path: Path) -> str:
    """Hexadecimal SHA-256 of a file; computed once per state of the file."""
    return _sha256(path, state_of(path))


@functools.lru_cache(maxsize=1024)
def _sha256(path: Path, _state: tuple[int, ...]) -> str:
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def state_of(path: Path) -> tuple[int, ...]:
    """Numbers that change when a file does: its size and times, but not its inode, which can differ by machine."""
    found = path.stat()
    return found.st_size, found.st_mtime_ns, found.st_ctime_ns


def shortened(name: str, most: int = 120) -> str:
    """A file name of at most `most` bytes: the end of a longer one is replaced by a digest of it."""
    encoded = name.encode()
    if len(encoded) <= most:
        return name
    return f"{encoded[: most - 17].decode(errors='ignore')}-{digest(encoded)[:16]}"


def cache_folder() -> Path | None:
    """$LEEPJAX_CACHE, or the system's cache folder; None, with a warning, for a user without a home folder."""
    import platformdirs

    try:
        folder = Path(os.environ.get("LEEPJAX_CACHE") or platformdirs.user_cache_dir("leepjax"))
    except RuntimeError as error:  # no $HOME, and the user isn't in the password database
        warn_unkept("the cache", str(error))
        return None
    if folder.parts[:1] == ("~",):  # older versions of platformdirs return this instead of raising
        warn_unkept("the cache", "the user has no home folder")
        return None
    return folder


def check_writable(folder: Path) -> Path:
    """Create a folder if it is missing, check that files can be created in it, and return its absolute path.

    Raises:
        WriteError: when they can't.
    """
    with writing(folder):
        _make_folder(folder)
        descriptor, temporary = _temporary(folder)
        os.close(descriptor)
        temporary.unlink()
    return folder.absolute()


def check_room(folder: Path, size: int) -> None:
    """Check that a folder's disk, and the user's quota on it, have room for a file of `size` bytes.

    Raises:
        WriteError: when they don't.
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
    """Turn a `WriteError` into a warning where the file is `optional`, as in a cache."""
    try:
        yield
    except WriteError as error:
        if not optional:
            raise
        warn_unkept(str(cache), error.strerror or "")


@functools.cache
def warn_unkept(what: str, reason: str, variable: str = "LEEPJAX_CACHE") -> None:
    """Warn once that a cache can't be written: results don't change, but are computed or downloaded again next time."""
    logging.getLogger("leepjax").warning(
        "%s can't be written (%s), so nothing is kept there; set %s to a folder that can.", what, reason, variable
    )


def in_cache_or_temporary(load: Callable[..., Loaded], cache: str, variable: str) -> Loaded:
    """Call a library's loader; if its cache can't be written, warn and call it again with a temporary cache.

    Args:
        load: called without arguments at first, then with ``cache_dir=`` the temporary cache.
        cache: the library's cache folder, for the warning.
        variable: the environment variable that sets another cache folder, for the warning.
    """
    try:
        return load()
    except OSError as error:
        if error.errno not in _UNWRITABLE:
            raise
        warn_unkept(cache, error.strerror or "", variable)
        return load(cache_dir=str(temporary_cache()))


def temporary_cache() -> Path:
    """A temporary folder, the same for the whole process and removed at its end."""
    return Path(_temporary_cache().name)


@functools.cache
def _temporary_cache() -> tempfile.TemporaryDirectory:
    return tempfile.TemporaryDirectory(prefix="leepjax-")
