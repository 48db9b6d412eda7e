"""The passes over rows in C++, which XLA calls on a CPU: they use all of its threads, where XLA runs a loop on one.

`hatch_build.py` compiles them when leepjax is installed and there is a C++ compiler. Without them, with an older JAX
than they were compiled for, or with ``LEEPJAX_NATIVE=0`` in the environment, loops in JAX compute the same.
"""

import ctypes
import functools
import math
import os
import re
from pathlib import Path

import jax
import jax.numpy as jnp

from leepjax.kernels.rows import NARROW, Arrays, accumulator

# The name is none of a Python module, as which tools that walk through packages would import it.
_LIBRARY = Path(__file__).with_name("passes.cpu.so")
_TARGETS = ("leepjax_class_sums", "leepjax_own_likelihood", "leepjax_first_largest")
_TYPES = ("float32", "float64", "bfloat16", "float16")
# The tables of narrow rows are padded to a multiple of this, a width that the compiler knows.
_LANES = 16


@functools.cache
def is_built() -> bool:
    """Whether the passes were compiled, this JAX takes them, and the environment doesn't rule them out."""
    if os.environ.get("LEEPJAX_NATIVE") == "0":
        return False
    try:
        library = ctypes.CDLL(str(_LIBRARY))
    except OSError:  # there is none, or it is for another system
        return False
    # A newer interface than that of this JAX has to be refused here: registered, it would stop JAX from starting.
    if library.leepjax_interface() > _interface():
        return False
    for target in _TARGETS:
        jax.ffi.register_ffi_target(target, jax.ffi.pycapsule(getattr(library, target)), platform="cpu")
    return True


def _interface() -> int:
    """The version of this JAX's interface to foreign functions, of which a later one takes what an earlier one took."""
    header = Path(jax.ffi.include_dir(), "xla/ffi/api/c_api.h").read_text(encoding="utf-8")
    major, minor = (re.search(rf"#define XLA_FFI_API_{part} (\d+)", header) for part in ("MAJOR", "MINOR"))
    return 1000 * int(major[1]) + int(minor[1]) if major and minor else 0


def reads(evidence: jax.Array) -> bool:
    """Whether there are passes for evidence of this type."""
    return evidence.dtype.name in _TYPES and is_built()


def class_sums(num_classes: int, blocks: int, probs: jax.Array, labels: jax.Array, weights: jax.Array) -> Arrays:
    """[b c z] and [b c] the sums per class of the rows, and of their weights, in each of `blocks` blocks of rows.

    Rows whose labels aren't in [0, c), and rows of weight zero, aren't read.
    """
    z, dtype = probs.shape[1], accumulator(probs)
    counts = jax.ShapeDtypeStruct((blocks, num_classes), dtype)
    tables = jax.ShapeDtypeStruct((blocks, num_classes, _width(z)), dtype)
    call = jax.ffi.ffi_call("leepjax_class_sums", (tables, counts))
    sums, weighted = call(probs, labels.astype(jnp.int32), weights.astype(dtype))
    return sums[:, :, :z], weighted


def own_likelihood(conditional: jax.Array, probs: jax.Array, labels: jax.Array) -> Arrays:
    """[n] the likelihood of each row's own label, and [n] its sum, NaN where a number is below zero.

    Both are NaN where the label isn't in [0, c).
    """
    (n, z), dtype = probs.shape, accumulator(probs)
    each = jax.ShapeDtypeStruct((n,), dtype)
    table = jnp.pad(conditional.astype(dtype), ((0, 0), (0, _width(z) - z)))
    likelihood, total = jax.ffi.ffi_call("leepjax_own_likelihood", (each, each))(table, probs, labels.astype(jnp.int32))
    return likelihood, total


def first_largest(rows: jax.Array) -> jax.Array:
    """[n] the index of the largest number in each row [n z], the first of equal ones; of NaN, the first."""
    return jax.ffi.ffi_call("leepjax_first_largest", jax.ShapeDtypeStruct(rows.shape[:1], jnp.int32))(rows)


def _width(z: int) -> int:
    """The width of a table for rows of z numbers."""
    return math.ceil(z / _LANES) * _LANES if 0 < z <= NARROW else z
