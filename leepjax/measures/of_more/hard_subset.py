"""The hard part of a target (HASTE, Menta et al. 2023): weights that any measure takes as its `where`."""

from functools import partial

import jax
import jax.numpy as jnp
from jax import lax
from jax.core import Tracer
from jax.typing import ArrayLike

from leepjax.checks.arrays import check_features
from leepjax.checks.columns import check_unlabelled
from leepjax.kernels import HIGHEST, nonzero_or_one, resolved, unit_of, weights_of
from leepjax.statistics.class_means import class_means
from leepjax.types import InputError

# Rows of one class that are whitened at once.
_BLOCK = 256
# The least shrinkage, in roundings of the dtype: 0.001 in float32. A covariance is rounded relative to its largest
# direction, which can be d times the level that shrinkage adds to each.
_LEAST_SHRINKAGE = 2**13


def hard_subset(
    features: ArrayLike,
    labels: ArrayLike,
    source_features: ArrayLike | None = None,
    *,
    fraction: float = 0.5,
    shrinkage: float = 0.1,
    num_classes: int | None = None,
    where: ArrayLike | None = None,
) -> jax.Array:
    """Which examples are hard for a source: score a measure on those alone with ``where=hard_subset(...)``.

    Sources differ most on hard examples, and easy ones hide the difference. Hardness is defined in one of two ways:

    *Class-agnostic*, given features g_j of the source's own data: how unlike that data an example is,

        h_i = −(1/m) Σ_j cos(f_i, g_j)

    and the hardest share of all examples is kept. *Class-specific*, without them: how far an example lies from its
    class, by the class's own Gaussian,

        h_i = (f_i − μ_y)ᵀ Σ̃_y⁻¹ (f_i − μ_y),   Σ̃_y = (1 − s) Σ_y + s tr(Σ_y)/d I

    and the hardest share of every class is kept, so that no class is lost.

    Args:
        features: [n d] finite numbers, the input of the source's head.
        labels: [n] integer target classes in [0, num_classes).
        source_features: [m d] features of the source's own data, by the same network; or None for the class-specific
            form.
        fraction: in (0, 1], the share that is kept of the examples that count, or of those of each class, rounded up.
        shrinkage: s in (0, 1], what makes a class's covariance invertible when it has fewer examples than features; at
            least 0.001 in float32, which doesn't resolve less.
        num_classes: c; read from the labels when left out, needed under `jax.jit`.
        where: [n] mask of the examples that count, or non-negative weights. A row counts as one example in the share,
            whatever its weight.

    Returns:
        [n] the weight of each example that is kept and 0 for the others; of equally hard ones the first are kept. It
        has a derivative only with respect to `where`, with the choice held fixed.

    Raises:
        ValueError: for a `fraction` or `shrinkage` outside (0, 1], or a shrinkage too small for the dtype; outside jit,
            for features that aren't finite, labels out of range or shapes that don't fit.

    Notes:
        Class-agnostic: n·d + m·d operations, because the mean of cosines is the product with the mean of unit rows.
        Class-specific: n·d² + c·d³ operations, as each row is whitened only by its own class, and memory for a copy of
        the features and d² numbers. The paper proposes a class-agnostic method on the network's internal
        representations and a class-specific one. Its text and the code that its abstract mentions weren't available:
        the formulae above, one layer's features, shrinkage and shares are choices made here.

    >>> from leepjax import hard_subset
    >>> features, labels = [[0.0], [0.1], [0.9], [5.0], [5.1], [4.2]], [0, 0, 0, 1, 1, 1]
    >>> hard_subset(features, labels, fraction=0.3).tolist()
    [0.0, 0.0, 1.0, 0.0, 0.0, 1.0]

    Reference:
        Menta, Jandial, Patil, KB, Bachu, Krishnamurthy, Balasubramanian, Agarwal, Sarkar, *Towards Estimating
        Transferability using Hard Subsets*, 2023, arXiv:2301.06928.
    """
    for name, value in (("fraction", fraction), ("shrinkage", shrinkage)):
        if isinstance(value, Tracer) or not 0 < value <= 1:
            raise InputError(f"hard_subset: {name} must be a number in (0, 1], got {value}; pass a share.")
    features, labels, where, c = check_features("hard_subset", features, labels, num_classes, where)
    if source_features is None:
        _check_resolved(shrinkage, features.dtype)
        compute = partial(_far_from_class, num_classes=c, fraction=float(fraction), shrinkage=float(shrinkage))
        return resolved(compute, features, labels, where)
    known = check_unlabelled("hard_subset", source_features, name="source_features").evidence
    if known.shape[1] != features.shape[1]:
        raise InputError(
            f"hard_subset: expected source_features of {features.shape[1]} columns, got {known.shape[1]}; "
            "take both from one layer of one network."
        )
    return resolved(partial(_unlike_source, fraction=float(fraction)), features, known, where)


def _check_resolved(shrinkage, dtype):
    least = _LEAST_SHRINKAGE * float(jnp.finfo(dtype).eps)
    if shrinkage < least:
        raise InputError(
            f"hard_subset: shrinkage must be at least {least:.1g} in {dtype}, got {shrinkage}; "
            "pass more, or features in float64."
        )


@partial(jax.jit, static_argnames="fraction")
def _unlike_source(features, known, where, fraction):
    weights = weights_of(where, len(features), features.dtype)
    hardness = -jnp.matmul(_unit(features), _unit(known).mean(axis=0), precision=HIGHEST)
    return _hardest(hardness, jnp.zeros(len(features), jnp.int32), weights, 1, fraction)


@partial(jax.jit, static_argnames=("num_classes", "fraction", "shrinkage"))
def _far_from_class(features, labels, where, num_classes, fraction, shrinkage):
    weights = weights_of(where, len(features), features.dtype)
    features = lax.stop_gradient(features) * (1 / unit_of(features, weights))
    hardness = _distances(features, labels, lax.stop_gradient(weights), num_classes, shrinkage)
    return _hardest(hardness, labels, weights, num_classes, fraction)


def _unit(rows):
    """[n d] rows of norm one; zeros stay zeros."""
    rows = rows / jnp.maximum(jnp.abs(rows).max(axis=1, keepdims=True), jnp.finfo(rows.dtype).tiny)
    norm = jnp.linalg.norm(rows, axis=1, keepdims=True)
    return jnp.where(norm > 0, rows / nonzero_or_one(norm), 0)


def _distances(features, labels, weights, num_classes, shrinkage):
    """[n] squared Mahalanobis distances to the own class, class by class in blocks of rows sorted by class."""
    (n, d), counting = features.shape, weights > 0
    order = jnp.argsort(jnp.where(counting, labels, num_classes), stable=True)
    ends = jnp.cumsum(jax.ops.segment_sum(counting.astype(jnp.int32), labels, num_classes))
    centred, rounding = _centred(features, labels, weights, num_classes)
    # A block may extend past the end of its class; beyond the last class lie rows of zeros.
    rows, shares = (jnp.concatenate([x[order], jnp.zeros((_BLOCK, *x.shape[1:]), x.dtype)]) for x in (centred, weights))

    def blocks(y, start, step, state):
        def at(i, state):
            first = start + i * _BLOCK
            inside = first + jnp.arange(_BLOCK) < ends[y]
            x, w = (lax.dynamic_slice_in_dim(array, first, _BLOCK) for array in (rows, shares))
            return step(first, x, jnp.where(inside, w, 0), state)

        return lax.fori_loop(0, -(-(ends[y] - start) // _BLOCK), at, state)

    def of_class(y, distances):
        start = jnp.where(y > 0, ends[y - 1], 0)

        def add(_, x, w, sums):
            return sums[0] + jnp.matmul(x.T, x * w[:, None], precision=HIGHEST), sums[1] + w.sum()

        gram, size = blocks(y, start, add, (jnp.zeros((d, d), rows.dtype), jnp.zeros((), rows.dtype)))
        lower, varies = _shrunk_factor(gram / nonzero_or_one(size), shrinkage, rounding[y])

        def write(first, x, _, distances):
            white = lax.linalg.triangular_solve(lower, x.T, left_side=True, lower=True)
            found = jnp.where(varies, (white**2).sum(axis=0), 0)
            return lax.dynamic_update_slice(distances, found, (first,))  # the next class overwrites its own part

        return blocks(y, start, write, distances)

    found = lax.fori_loop(0, num_classes, of_class, jnp.zeros(n + _BLOCK, rows.dtype))
    return jnp.zeros(n, rows.dtype).at[order].set(found[:n])


def _shrunk_factor(covariance, shrinkage, rounding):
    """[d d] the lower Cholesky factor of a class's shrunk covariance; [] whether the class varies beyond rounding."""
    d = len(covariance)
    level = jnp.trace(covariance) / d
    varies = level * d > rounding
    ridge = jnp.where(varies, shrinkage * level, 1) * jnp.eye(d, dtype=covariance.dtype)
    return lax.linalg.cholesky((1 - shrinkage) * covariance + ridge, symmetrize_input=False), varies


def _centred(features, labels, weights, num_classes):
    """[n d] features about the mean of their class, zero where hidden; [c] the variance that rounding can produce."""
    features = jnp.where(weights[:, None] > 0, features, 0)
    counts = jax.ops.segment_sum(weights, labels, num_classes)
    first = class_means(features, labels, weights, counts)
    centred = jnp.where(weights[:, None] > 0, features - first[labels], 0)
    rounding = ((8 * float(jnp.finfo(features.dtype).eps) * first) ** 2).sum(axis=1)
    rest = class_means(centred, labels, weights, counts)
    return jnp.where(weights[:, None] > 0, centred - rest[labels], 0), rounding


def _hardest(hardness, groups, weights, num_groups, fraction):
    """[n] the weights of the hardest share of each group's rows that count, 0 for the rest."""
    counting = weights > 0
    groups = jnp.where(counting, groups, num_groups)
    order = jnp.argsort(-hardness, stable=True)
    order = order[jnp.argsort(groups[order], stable=True)]
    sizes = jax.ops.segment_sum(counting.astype(jnp.int32), groups, num_groups + 1)
    place = jnp.arange(len(groups)) - (jnp.cumsum(sizes) - sizes)[groups[order]]
    # A product that exceeds a whole number only by rounding counts as that number.
    share = sizes * fraction * (1 - 4 * float(jnp.finfo(weights.dtype).eps))
    kept = place < jnp.ceil(share)[groups[order]]
    return jnp.where(jnp.zeros(len(groups), bool).at[order].set(kept) & counting, weights, 0)
