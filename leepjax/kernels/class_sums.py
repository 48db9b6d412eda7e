"""LEEP's first pass: sums of rows per class."""

import functools
import math

import jax
import jax.numpy as jnp
from jax import lax

from leepjax.kernels import native
from leepjax.kernels.grouped import many_class_sums
from leepjax.kernels.rows import (
    NARROW,
    Arrays,
    accumulator,
    broadcast,
    one_by_one,
    over_blocks,
    row_kernel,
    rows_at,
    theta,
    varying,
)

# Rows per block of the matmul form, whose one-hot operand has c/z times the size of the block.
_BLOCK = 4096
# Above this, a scatter on a GPU is faster than the matmul, whose flops grow with the number of classes.
_MAX_MATMUL_CLASSES = 256


def class_sums(
    probs: jax.Array, labels: jax.Array, weights: jax.Array, num_classes: int, log_norm: jax.Array | None = None
) -> Arrays:
    """J[y, z] = Σ_{i: y_i = y} w_i θ_iz [c z] and Σ_{i: y_i = y} w_i [c], in one read of the evidence.

    Args:
        probs: [n z] θ in any float type, summed in float32 at least; logits, if there is a `log_norm`.
        labels: [n] int32 in [0, c).
        weights: [n] how often each row counts, ≥ 0; a row of weight zero isn't read.
        num_classes: c.
        log_norm: [n] `log_normalizer` of the logits: θ = exp(logits − log_norm).
    """
    operands = (probs, labels, weights) if log_norm is None else (probs, labels, weights, log_norm)
    return _kernel(num_classes, len(operands))(*operands)


@functools.cache
def _kernel(num_classes: int, arity: int):
    def local(*operands):
        forms = (_on_cpu(operands), _by_matmul, _on_gpu)
        cpu, tpu, default = (functools.partial(form, num_classes) for form in forms)
        return lax.platform_dependent(*operands, cpu=cpu, tpu=tpu, default=default)

    def vmapped(size, in_batched, operands):
        if in_batched == [False, False, True, False][:arity]:
            return many_class_sums(num_classes, *operands)
        if not in_batched[0]:
            return one_by_one(_kernel(num_classes, arity), in_batched, operands)
        # Batch problems of the same shape into one, by giving each problem class numbers of its own.
        probs, labels, *rest = broadcast(size, in_batched, operands)
        labels = labels + num_classes * jnp.arange(size, dtype=labels.dtype)[:, None]
        flat = (array.reshape(-1, *array.shape[2:]) for array in (probs, labels, *rest))
        found = _kernel(size * num_classes, arity)(*flat)
        return tuple(sums.reshape(size, num_classes, *sums.shape[1:]) for sums in found)

    norm = ", n" * (arity - 3)
    return row_kernel(
        f"n z, n, n{norm} -> c z, c", local, plain=functools.partial(_at_once, num_classes), vmapped=vmapped
    )


def _at_once(num_classes, probs, labels, weights, *log_norm):
    weighted = jnp.where(weights[:, None] > 0, theta(probs, *log_norm), 0) * weights[:, None]
    return tuple(jax.ops.segment_sum(terms, labels, num_classes) for terms in (weighted, weights))


def _on_cpu(operands):
    probs, _, _, *log_norm = operands
    return _in_parallel if not log_norm and native.reads(probs) else _row_by_row


def _blocks(n, num_classes):
    """Blocks of rows with a table of sums each, because adding many thousand float32 rows in sequence loses digits.

    There are about as many blocks as rows of a class per block; the tables take at most 1/64 of the evidence's memory.
    """
    return max(1, min(math.isqrt(n // num_classes), n // (64 * num_classes)))


def _in_parallel(num_classes, probs, labels, weights):
    blocks = _blocks(len(probs), num_classes)
    return tuple(sums.sum(axis=0) for sums in native.class_sums(num_classes, blocks, probs, labels, weights))


def _row_by_row(num_classes, probs, labels, weights, *log_norm):
    """Add each row to the sum of its class: XLA compiles this to one loop that runs at the speed of the memory.

    Narrow rows have their weight as a last column: LLVM unrolls a loop over a few numbers, which then stays scalar, but
    it uses vectors for a row made of two parts.
    """
    (n, z), dtype = probs.shape, accumulator(probs)
    blocks = _blocks(n, num_classes)
    places = labels + num_classes * (jnp.arange(n, dtype=labels.dtype) // -(-n // blocks))
    counts_inside = z < NARROW

    def add(i, sums):
        weight, at = weights[i].astype(dtype), places[i]
        row = theta(rows_at(probs, i, 1), *(rows_at(array, i, 1) for array in log_norm))
        row = jnp.where(weight > 0, row * weight, 0)
        if counts_inside:
            return (_add_at(sums[0], at, jnp.concatenate([row, weight.reshape(1, 1)], axis=1)),)
        return _add_at(sums[0], at, row), _add_at(sums[1], at, weight[None])

    slots = blocks * num_classes
    empty = (
        (jnp.zeros((slots, z + 1), dtype),)
        if counts_inside
        else (jnp.zeros((slots, z), dtype), jnp.zeros(slots, dtype))
    )
    sums = lax.fori_loop(0, n, add, varying(empty, probs))
    if counts_inside:
        sums = sums[0][:, :z], sums[0][:, z]
    return tuple(array.reshape(blocks, num_classes, *array.shape[1:]).sum(axis=0) for array in sums)


def _add_at(array, row, addend):
    found = rows_at(array, row, 1) + addend
    return lax.dynamic_update_slice_in_dim(array, found, row, 0, allow_negative_indices=False)


def _by_matmul(num_classes, *operands):
    """One-hot labels times probs, block by block, so that the one-hot matrix of all rows never exists."""
    (n, z), dtype = operands[0].shape, accumulator(operands[0])
    block = min(_BLOCK, n)

    def add(start, fresh, sums):
        p, y, w, *log_norm = (rows_at(array, start, block) for array in operands)
        w = jnp.where(fresh, w, 0).astype(dtype)
        p = jnp.where(w[:, None] > 0, theta(p, *log_norm), 0)
        one_hot = jax.nn.one_hot(y, num_classes, dtype=dtype) * w[:, None]
        return sums[0] + jnp.matmul(one_hot.T, p, precision=lax.Precision.HIGHEST), sums[1] + one_hot.sum(axis=0)

    empty = jnp.zeros((num_classes, z), dtype), jnp.zeros(num_classes, dtype)
    return over_blocks(n, block, add, empty, like=operands[0])


def _on_gpu(num_classes, *operands):
    return (_by_matmul if num_classes <= _MAX_MATMUL_CLASSES else _at_once)(num_classes, *operands)
