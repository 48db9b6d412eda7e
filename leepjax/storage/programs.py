"""Let JAX's cache of compiled programs notice damage to its files."""

import zlib

try:
    from jax._src import compilation_cache
except ImportError:  # it is private, and may be moved
    compilation_cache = None


def add_checksums() -> bool:
    """Let JAX's cache compress programs by zlib, whose format has a checksum; False if this JAX can't be made to.

    Where there is zstandard (also in Python 3.14) JAX uses it, without checksums, and has no setting for that: the
    machine code of a damaged file is then run, which may end the process.
    """
    for name in ("zstd", "zstandard"):  # the modules that it prefers, None if missing, in JAX 0.10.1 to 0.12
        if hasattr(compilation_cache, name):
            setattr(compilation_cache, name, None)
    return have_checksums()


def have_checksums() -> bool:
    """Whether programs that JAX's cache writes now have checksums."""
    try:
        compressed = compilation_cache.compress_executable(b"program")  # type: ignore[union-attr]
        return zlib.decompress(compressed) == b"program"
    except (AttributeError, TypeError, zlib.error):
        return False
