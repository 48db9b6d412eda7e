"""LogME from the singular values of the features, which keep twice as many digits as the Gram."""

from functools import partial

import jax
import jax.numpy as jnp

from leepjax.kernels import unit_of, weights_of
from leepjax.solvers.evidence_maximum import Problem, maximise


@partial(jax.jit, static_argnames="num_classes")
def logme_by_svd(features, labels, where, num_classes):
    """LogME of features [n d]. Their singular values keep twice as many digits as a Gram, which holds the squares."""
    weights = weights_of(where, len(labels), features.dtype)
    n, counting = weights.sum(), weights[:, None] > 0
    one_hot = jnp.where(counting, jax.nn.one_hot(labels, num_classes, dtype=features.dtype), 0)
    unit = unit_of(features, weights)
    features = jnp.where(counting, features / unit, 0)
    mean = weights @ features / n
    x = jnp.where(counting, features - mean, 0)
    counts, root = weights @ one_hot, jnp.sqrt(weights)[:, None]
    problem = _problem_by_svd(root * (x - weights @ x / n), root * one_hot, mean, n, counts, counting.sum())
    return jnp.where(counts > 0, maximise(problem)[0], 0).sum() / (counts > 0).sum(dtype=n.dtype) / n


def _problem_by_svd(x, columns, mean, n, totals, rows) -> Problem:
    """The problem for rows [n d] and columns [n c], both times the roots of the weights; see `evidence_by_gram`."""
    left_vectors, sizes, right = jnp.linalg.svd(x, full_matrices=False)
    eps = max(x.shape) * float(jnp.finfo(x.dtype).eps)
    known = sizes > eps * jnp.maximum(sizes[0], jnp.sqrt(n) * jnp.abs(mean).max())
    squares = (columns**2).sum(axis=0)
    spread = squares - totals**2 / n
    targets = jnp.where(known, columns.T @ left_vectors, 0)
    left = spread - (targets**2).sum(axis=1)
    left = jnp.where((known.sum() >= rows - 1) | (left <= eps * spread), 0, left)
    # The part of the mean outside all directions is one more direction, without variance.
    along = jnp.where(known, right @ mean, 0)
    outside = jnp.linalg.norm(mean - along @ right)
    outside = jnp.where(outside > eps * jnp.linalg.norm(mean), outside, 0)
    values, targets = jnp.append(jnp.where(known, sizes**2, 0), 0), jnp.pad(targets, ((0, 0), (0, 1)))
    zero = jnp.zeros((), x.dtype)
    return Problem(
        n,
        totals,
        squares,
        values,
        right,
        jnp.append(along, outside),
        targets,
        jnp.where(squares > 0, left, 1),
        zero,
        jnp.zeros_like(targets),
        zero,
    )
