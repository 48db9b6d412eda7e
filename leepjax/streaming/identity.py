"""Digests of arrays, by which a checkpoint is resumed only with the arrays that it was made from."""

from collections.abc import Iterable

import numpy as np
from jax.typing import ArrayLike

from leepjax.checks.single import on_host
from leepjax.storage.files import digest_stream


def digest_of(*arrays: ArrayLike | None) -> str:
    """A digest of the shapes, types and contents of arrays."""
    return digest_stream(part for array in arrays for part in _parts(array))


def _parts(array: ArrayLike | None) -> Iterable[bytes | np.ndarray]:
    if array is None:
        return [b"none"]
    array = np.ascontiguousarray(on_host(array))
    # Objects have no bytes of their own; a check refuses them later.
    content = repr(array).encode() if array.dtype.hasobject else array.reshape(-1).view(np.uint8)
    return [f"{array.shape} {array.dtype}".encode(), content]
