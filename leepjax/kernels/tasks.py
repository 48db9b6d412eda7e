"""LEEP's second pass for many tasks that are subsets of the classes of one labelled set."""

import jax
import jax.numpy as jnp
from jax import lax

from leepjax.kernels.rows import Arrays, accumulator, one_by_one, over_blocks, row_kernel, rows_at, theta

# Numbers per block of rows, which stays in the cache between the product and the matmul.
_BLOCK = 2**20


def tasks_log_likelihoods(
    table: jax.Array,
    inverse_masses: jax.Array,
    tasks: jax.Array,
    probs: jax.Array,
    labels: jax.Array,
    weights: jax.Array,
) -> Arrays:
    """Σ_i w_i log Σ_z θ_iz J[y_i, z] / M_t[z] over the rows of each task [t], and Σ_z θ_iz of each row [n].

    The class sums J are the same in every task; tasks differ only in the mass M_t of their classes. So with
    A = θ ⊙ J[y] all likelihoods are one matmul, A · (1/M)ᵀ.

    Args:
        table: [c z] J, the class sums.
        inverse_masses: [t z] 1/M_t, zero where a task has no mass.
        tasks: [t c] 1 where a class belongs to a task, else 0.
        probs: [n z] θ in any float type.
        labels: [n] int32 in [0, c).
        weights: [n] how often each row counts, ≥ 0.
    """
    return _kernel(table, inverse_masses, tasks, probs, labels, weights)


def _of_rows(table, inverse_masses, tasks, probs, labels, weights):
    member = tasks.T[labels] * weights[:, None]
    p = jnp.where(weights[:, None] > 0, theta(probs), 0)
    likelihood = jnp.matmul(p * table[labels], inverse_masses.T, precision=lax.Precision.HIGHEST)
    logs = jnp.log(jnp.where(member > 0, likelihood, 1))
    total = jnp.where(p >= 0, p, jnp.nan).sum(axis=1)
    return (member * logs).sum(axis=0), jnp.where(weights > 0, total, 1)


def _in_blocks(table, inverse_masses, tasks, probs, labels, weights):
    (n, z), dtype = probs.shape, accumulator(probs)
    block = min(n, max(16, _BLOCK // z))

    def read(start, fresh, state):
        p, y, w = (rows_at(array, start, block) for array in (probs, labels, weights))
        found, total = _of_rows(table, inverse_masses, tasks, p, y, jnp.where(fresh, w, 0))
        # The last block overlaps the one before it: the sums count those rows once, and each keeps its first total.
        total = jnp.where(fresh, total, rows_at(state[1], start, block))
        return state[0] + found, lax.dynamic_update_slice(state[1], total, (start,))

    return over_blocks(n, block, read, (jnp.zeros(len(tasks), dtype), jnp.zeros(n, dtype)), like=probs)


_kernel = row_kernel(
    "c z, t z, t c, n z, n, n -> t, n",
    _in_blocks,
    plain=_of_rows,
    vmapped=lambda _, *batched: one_by_one(tasks_log_likelihoods, *batched),
)
