"""LEEP's second pass: the probability that the predictor gives to each row's own label."""

import jax
import jax.numpy as jnp
from jax import lax

from leepjax.kernels import native
from leepjax.kernels.grouped import many_own_likelihoods
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
)

# Numbers in a row that LLVM leaves scalar in any case, and in a wide row, on a CPU. A product of a vector and a matrix
# wider than `_WIDE` leaves the fast path of XLA, so such a row is summed in parts of `_PART`.
_SHORT, _WIDE, _PART = 16, 4096, 1024
# Rows per block on a CPU: so few that both sums find the block in the first caches, but of narrow rows more, for which
# the steps of the loop cost most.
_BLOCK, _NARROW_BLOCK = 16, 128
# Rows per block of one-hot labels, on a TPU.
_MATMUL_BLOCK = 4096


def own_likelihood(
    conditional: jax.Array,
    probs: jax.Array,
    labels: jax.Array,
    weights: jax.Array,
    log_norm: jax.Array | None = None,
) -> Arrays:
    """Σ_z P̂(y_i|z) θ_iz [n], and the totals Σ_z θ_iz [n], NaN where a θ_iz is negative, to check the rows.

    Where the total is NaN, the likelihood means nothing, and may be NaN.

    Args:
        conditional: [c z] P̂(y|z), or any other table.
        probs: [n z] θ in any float type, summed in float32 at least; logits, if there is a `log_norm`.
        labels: [n] int32 in [0, c).
        weights: [n] how often each row counts; both results of a row of weight zero are 1, even if it holds NaN.
        log_norm: [n] `log_normalizer` of the logits: θ = exp(logits − log_norm).
    """
    # In 64-bit mode the table may be wider than the sums.
    operands = (conditional.astype(accumulator(probs)), probs, labels, weights)
    return _kernel(*operands) if log_norm is None else _kernel_of_logits(*operands, log_norm)


def _plain(conditional, probs, labels, weights, *log_norm):
    probs = jnp.where(weights[:, None] > 0, theta(probs, *log_norm), 0)
    # A product and a sum, not an einsum: a GPU fuses them with the gather, and no [n z] is written.
    return _shown(weights, (probs * conditional[labels]).sum(axis=1), _poisoned(probs).sum(axis=1))


def _poisoned(probs):
    return jnp.where(probs >= 0, probs, jnp.nan)


def _shown(weights, *values):
    return tuple(jnp.where(weights > 0, value, 1) for value in values)


def _local(*operands):
    _, probs, _, _, *log_norm = operands
    cpu = _in_parallel if not log_norm and native.reads(probs) else _in_cache
    return lax.platform_dependent(*operands, cpu=cpu, tpu=_by_matmul, default=_plain)


def _in_parallel(conditional, probs, labels, weights):
    return _shown(weights, *native.own_likelihood(conditional, probs, labels))


def _in_cache(conditional, probs, labels, weights, *log_norm):
    """Per block: gather the labels' rows of the table, multiply, and sum by a product with a vector of ones.

    On XLA's CPU backend that product takes half as long as a reduction. A copy of the block with NaN for negative
    numbers would take as long as the sums: the product holds the NaN instead, and the block is summed as it is. Narrow
    rows and 16 bits are slower that way.
    """
    (n, z), dtype = probs.shape, accumulator(probs)
    copied = z < NARROW or probs.dtype != dtype
    block = min(1 if z > _WIDE else _NARROW_BLOCK if copied else _BLOCK, n)

    def read(start, _, state):
        p, y, *norm = (rows_at(array, start, block) for array in (probs, labels, *log_norm))
        p = theta(p, *norm)
        table = rows_at(conditional, y[0], 1) if block == 1 else conditional.at[y].get(mode="promise_in_bounds")
        own = p * table
        found = (own, _poisoned(p)) if copied else (jnp.where(p >= 0, own, jnp.nan), p)
        return _write(state, tuple(map(_sums_of_rows, found)), (0, start))

    likelihood, total = over_blocks(n, block, read, (jnp.zeros((1, n), dtype),) * 2, like=probs)
    total = total if copied else jnp.where(jnp.isnan(likelihood), jnp.nan, total)
    return _shown(weights, likelihood[0], total[0])


def _sums_of_rows(rows):
    """[1 b] the sums of rows [b z]; of one row, if they are wide."""
    (b, z), dtype = rows.shape, rows.dtype
    if _SHORT <= z < NARROW:  # as in `class_sums`, LLVM uses vectors for a row made of two parts
        rows, z = jnp.concatenate([rows, jnp.zeros((b, 1), dtype)], axis=1), z + 1
    if z <= _WIDE:
        return jnp.ones((1, z), dtype) @ rows.T
    whole = z - z % _PART
    parts = jnp.ones((1, _PART), dtype) @ rows[:, :whole].reshape(-1, _PART).T
    return parts.reshape(b, -1).sum(axis=1)[None] + jnp.ones((1, z - whole), dtype) @ rows[:, whole:].T


def _by_matmul(conditional, probs, labels, weights, *log_norm):
    """Per block: one-hot labels times the table, because a TPU gathers rows slowly."""
    n, dtype = len(probs), accumulator(probs)
    block = min(_MATMUL_BLOCK, n)

    def read(start, _, state):
        p, y, *norm = (rows_at(array, start, block) for array in (probs, labels, *log_norm))
        p = theta(p, *norm)
        one_hot = jax.nn.one_hot(y, len(conditional), dtype=dtype)
        own = p * jnp.matmul(one_hot, conditional, precision=lax.Precision.HIGHEST)
        return _write(state, (own.sum(axis=1), _poisoned(p).sum(axis=1)), (start,))

    return _shown(weights, *over_blocks(n, block, read, (jnp.zeros(n, dtype),) * 2, like=probs))


def _write(state, found, start):
    return tuple(lax.dynamic_update_slice(old, new, start) for old, new in zip(state, found, strict=True))


def _vmapped(size, in_batched, operands):
    conditional, probs, labels, weights, *log_norm = operands
    if in_batched[0] and not any((*in_batched[1:3], *in_batched[4:])):
        likelihood = many_own_likelihoods(conditional, probs, labels, *log_norm)
        total = own_likelihood(conditional[0], probs, labels, jnp.ones_like(likelihood[0]), *log_norm)[1]
        return _shown(jnp.broadcast_to(weights, likelihood.shape), likelihood, total)
    if not in_batched[1]:
        return one_by_one(own_likelihood, in_batched, operands)
    # Batch problems of the same shape into one, by giving each problem class numbers of its own.
    probs, *by_rows = broadcast(size, in_batched[1:], operands[1:])
    if in_batched[0]:
        by_rows[0] = by_rows[0] + conditional.shape[1] * jnp.arange(size, dtype=labels.dtype)[:, None]
    z = probs.shape[2]
    flat = (conditional.reshape(-1, z), probs.reshape(-1, z), *(array.reshape(-1) for array in by_rows))
    return tuple(values.reshape(size, -1) for values in own_likelihood(*flat))


_kernel = row_kernel("c z, n z, n, n -> n, n", _local, plain=_plain, vmapped=_vmapped)
_kernel_of_logits = row_kernel("c z, n z, n, n, n -> n, n", _local, plain=_plain, vmapped=_vmapped)
