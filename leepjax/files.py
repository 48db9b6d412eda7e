"""Files that are either whole or not there, and digests of what they hold."""

import hashlib
import os
import tempfile
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:  # the command line reads this module, and --help needs no NumPy
    import numpy as np


def write_atomically(path: Path, content: bytes) -> None:
    """Write `content` to `path` through a temporary file beside it, so that no reader ever sees half of it."""
    path.parent.mkdir(parents=True, exist_ok=True)
    descriptor, temporary = tempfile.mkstemp(dir=path.parent, prefix=f".{path.name}.")
    try:
        with os.fdopen(descriptor, "wb") as file:
            file.write(content)
        os.chmod(temporary, 0o644)
        os.replace(temporary, path)
    except BaseException:
        os.unlink(temporary)
        raise


def digest(*parts: "bytes | np.ndarray") -> str:
    """A short content hash, the same on every machine."""
    state = hashlib.blake2b(digest_size=16)
    for part in parts:
        state.update(part)
    return state.hexdigest()


def cache_folder() -> Path:
    """$LEEPJAX_CACHE, or the place that the system gives caches."""
    import platformdirs

    return Path(os.environ.get("LEEPJAX_CACHE") or platformdirs.user_cache_dir("leepjax"))
