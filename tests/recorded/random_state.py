"""A network's random state and images as pure functions of names and shapes, the same bits in every process.

Scales are such that signals neither die nor explode through depth, and BatchNorm's statistics are not the identity.
"""

import hashlib
import math
import re
import zlib
from collections.abc import Mapping

import numpy as np

# The last norm of a residual branch: halved, so that a hundred blocks don't double the signal a hundred times.
_BRANCH_END = re.compile(r"(bn3|layer\d\.\d+\.bn2|blocks\.\d+\.conv2\.bn|blocks\.\d+\..*(ln|ln2)\.bn)\.weight$")


def uniform(name: str, shape: tuple[int, ...]) -> np.ndarray:
    """Mean 0, variance 1; from integers by exact operations only, hence independent of the platform's libm."""
    values = np.random.default_rng(zlib.crc32(name.encode())).random(shape, np.float32)
    values -= np.float32(0.5)
    values *= np.float32(math.sqrt(12))
    return values


def random_tensor(name: str, shape: tuple[int, ...]) -> np.ndarray:
    """A tensor of a state dict, by its PyTorch name and shape."""
    values = uniform(name, shape)
    if name.endswith("running_var"):
        return np.float32(1) + np.float32(0.25) * values
    if len(shape) in (2, 4):
        values *= np.float32(math.sqrt(2 / math.prod(shape[1:])))
        return values
    if len(shape) == 3:  # a transformer's class token and positions
        return np.float32(0.5) * values
    values *= np.float32(0.2)
    if name.endswith(".weight"):
        values += np.float32(1)
        if _BRANCH_END.search(name):
            values *= np.float32(0.5)
    return values


def random_state(shapes: Mapping[str, tuple[int, ...]]) -> dict[str, np.ndarray]:
    """A state dict of random tensors by PyTorch's names."""
    return {name: random_tensor(name, tuple(shape)) for name, shape in sorted(shapes.items())}


def digest(state: Mapping[str, np.ndarray]) -> str:
    """A hash of all names, shapes and bytes."""
    sha = hashlib.sha256()
    for name, values in sorted(state.items()):
        sha.update(f"{name}{values.shape}".encode())
        sha.update(np.ascontiguousarray(values, np.float32))
    return sha.hexdigest()


def digest_of_shapes(shapes: Mapping[str, tuple[int, ...]]) -> str:
    """A short hash of all names and shapes."""
    lines = "\n".join(f"{name} {tuple(shape)}" for name, shape in sorted(shapes.items()))
    return hashlib.sha256(lines.encode()).hexdigest()[:16]


def images(model: str) -> np.ndarray:
    """Two images [2 h w 3]: oblong and odd for convolutions, where paddings differ; a transformer's own size."""
    return uniform("images", (2, 224, 224, 3) if model.startswith("vit") else (2, 67, 64, 3))
