"""NCTI (Wang et al., ICCV 2023): how far features are from neural collapse, relative to a hub."""

from collections.abc import Sequence
from functools import partial
from typing import NamedTuple

import jax
import jax.numpy as jnp
from jax.typing import ArrayLike

from leepjax.kernels import HIGHEST, unit_of
from leepjax.measures.of_more.relative import in_hub
from leepjax.measures.shell import score_features
from leepjax.statistics.fisher import Classes, congruent, shrunk, whitener_of
from leepjax.statistics.principal import loses_components
from leepjax.types import InputError

COMPONENTS = 64
SHRINKAGE_COMPONENTS = 32
LEAST_SHRINKAGE = 1e-10


class NCTITerms(NamedTuple):
    """The quantities, of one source on one target, that neural collapse brings to an extreme."""

    collapse: jax.Array
    """[] log of the sum over classes of the nuclear norm of their posteriors; lower is nearer to collapse"""
    simplex: jax.Array
    """[] nuclear norm of the features in Fisher's space; higher is nearer to the simplex that labels span"""
    center: jax.Array
    """[] mean posterior of each example's class, in [0, 1]; one where the nearest centre is always right"""


def ncti(
    hub: Sequence[ArrayLike], labels: ArrayLike, *, num_classes: int | None = None, where: ArrayLike | None = None
) -> jax.Array:
    """How near each source of a hub is to neural collapse on the target, relative to the others.

    Three terms of each source (`ncti_terms`) show how far fine-tuning would have to go: whether a class varies, whether
    the features span what labels do, and whether the nearest class centre is right. Each is scaled over the hub,
    s(v) = (v − min v) / (max v − min v), and

        NCTI = s(simplex) + s(center) − s(collapse)

    A score compares the sources it was computed with: it changes when one joins or leaves the hub.

    Args:
        hub: for each of m sources features [n d_m] of the same n examples.
        labels: [n] integer target classes in [0, num_classes).
        num_classes: c; read from the labels when left out, needed under `jax.jit`.
        where: [n] mask of the examples that count, or non-negative weights.

    Returns:
        [m] scores in [−1, 2], higher is better. NaN for a source with undefined terms, which is then left out of the
        scaling. A term on which all sources agree to one part in 100,000 adds nothing, so that a hub of one source
        scores 0.

    Raises:
        InputError: for an empty hub; outside jit, for features that aren't finite, labels out of range or shapes that
            don't fit.

    >>> import jax.numpy as jnp
    >>> from leepjax import ncti
    >>> labels = jnp.arange(6) % 2
    >>> near, far = jnp.array([0.0, 9, 1, 8, 0, 9])[:, None], jnp.array([0.0, 1, 1, 2, 2, 0])[:, None]
    >>> print([f"{score:.3f}" for score in ncti([near, far], labels)])
    ['1.000', '0.000']

    Notes:
        Follows the authors' code (BUserName/NCTI): PCA to 64, shrinkage, terms and signs. That code fits
        scikit-learn's LDA by one of two solvers, depending on whether the shrinkage is above its floor. Here one solver
        is used for both; covariances are divided by n, and with fewer examples than features the directions in which no
        class varies are left out.

    Reference:
        Wang, Luo, Zheng, Huang, Baktashmotlagh, *How Far Pre-trained Models Are from Neural Collapse on the Target
        Dataset Informs their Transferability*, ICCV 2023.
    """
    if len(hub) == 0:
        raise InputError("ncti: expected the features of at least one source, got none; pass a list of arrays.")
    terms = [_checked_terms("ncti", features, labels, num_classes, where) for features in hub]
    collapse, simplex, center = (jnp.stack(term) for term in zip(*terms, strict=True))
    return in_hub(simplex) + in_hub(center) - in_hub(collapse)


def ncti_terms(
    features: ArrayLike, labels: ArrayLike, *, num_classes: int | None = None, where: ArrayLike | None = None
) -> NCTITerms:
    """The three terms of `ncti` for one source, which don't depend on a hub.

    With p = min(64, d) principal components, λ = max(exp(−Σ of the 32 largest variances), 1e-10) and S(λ) = (1 − λ) S +
    λ (tr S / p) I of the covariance within classes W and in total T: P [n c] are the posteriors of Gaussians about the
    class means with covariance W(λ), A the c − 1 leading generalised eigenvectors of (T(λ) − W(λ), W(λ)), and

        collapse = log Σ_y ‖P_y‖_*,   simplex = ‖(f − mean) A‖_*,   center = (1/n) Σ_i P_{i, y_i}

    with P_y the rows of class y and ‖·‖_* the sum of singular values. Each row is multiplied by the square root of
    its weight, so that an integer weight is the same as repeating the row.

    Args:
        features: [n d] finite numbers.
        labels: [n] integer target classes in [0, num_classes).
        num_classes: c; read from the labels when left out, needed under `jax.jit`. Absent classes change nothing.
        where: [n] mask of the examples that count, or non-negative weights.

    Returns:
        Three scalars. NaN when no example counts, no feature varies within any class, or float32 can't resolve the
        terms and they can't be recomputed in float64 (as under `jax.jit`). Features are scaled to unit variance within
        classes, and directions with less than 1e-3 of that variance are left out, because float32 doesn't resolve them
        where there are hundreds; the terms depend on that threshold.

    Raises:
        InputError: outside jit, for features that aren't finite, labels out of range or shapes that don't fit.

    >>> from leepjax import ncti_terms
    >>> terms = ncti_terms([[0.0], [1.0], [2.0], [3.0]], [0, 0, 1, 1])
    >>> print(f"{terms.collapse:.4f} {terms.simplex:.4f} {terms.center:.4f}")
    1.0399 4.4721 0.9910

    Takes O(n d² + d³ + n c²) time, as a class's singular values are those of its own rows; memory for a few arrays of
    the features' size, and [2n c].
    """
    return _checked_terms("ncti_terms", features, labels, num_classes, where)


def _checked_terms(function, features, labels, num_classes, where) -> NCTITerms:
    by_gram, by_svd = (partial(_terms, by_svd=by_svd) for by_svd in (False, True))
    return NCTITerms(*score_features(function, by_gram, features, labels, num_classes, where, exact=by_svd))


@partial(jax.jit, static_argnames=("num_classes", "by_svd"))
def _terms(features, labels, where, num_classes, by_svd):
    unit = unit_of(features, where)
    classes = Classes.of(features * (1 / unit), labels, where, num_classes)
    directions, known = _principal(classes, by_svd)
    classes = classes.along(directions)
    variances = jnp.diagonal(classes.total)
    strength = jnp.maximum(jnp.exp(-variances[:SHRINKAGE_COMPONENTS].sum() * unit * unit), LEAST_SHRINKAGE)
    whitener, kept = whitener_of(shrunk(classes.within, strength))
    posteriors = classes.posteriors(whitener)

    axes = _fisher_axes(classes, whitener, kept)
    spread = jnp.linalg.eigvalsh(congruent(classes.total, axes))
    simplex = jnp.sqrt(jnp.maximum(spread, 0) * classes.weights.sum()).sum()
    terms = _log_nuclear_norm(posteriors, classes.weights, labels), simplex
    undefined = ~kept.any() | (classes.weights.sum() == 0) | ~known
    return tuple(jnp.where(undefined, jnp.nan, term) for term in (*terms, classes.mean_posterior(posteriors, labels)))


def _principal(classes, by_svd):
    """[p q] the directions of most variance, zeros for those without any, and [] whether all are resolved.

    Singular values keep twice as many digits as a covariance, which holds their squares.
    """
    d, dtype = classes.x.shape[1], classes.x.dtype
    eps, count = float(jnp.finfo(dtype).eps), min(d, COMPONENTS)
    if by_svd:
        _, sizes, rows = jnp.linalg.svd(jnp.sqrt(classes.shares)[:, None] * classes.x, full_matrices=False)
        directions = jnp.where((sizes > max(classes.x.shape) * eps * sizes[0])[:, None], rows, 0)[:count].T
        return jnp.pad(directions, ((0, 0), (0, count - directions.shape[1]))), jnp.array(True)
    values, vectors = (array[..., ::-1][..., :count] for array in jnp.linalg.eigh(classes.total))
    varies = values > d * eps * values[0]
    components = jnp.matmul(classes.x, vectors, precision=HIGHEST)
    deviations = jnp.sqrt(jnp.matmul(classes.shares, components**2, precision=HIGHEST))
    return jnp.where(varies, vectors, 0), ~loses_components(deviations, varies, d, classes.weights)


def _fisher_axes(classes, whitener, kept):
    """[p c−1] the axes that separate classes the most, of unit variance within; zeros for those beyond present classes.

    With B = T − W, the generalised eigenvectors of (T(λ) − W(λ), W(λ)) are those of (B − (tr B / tr W) W, W(λ)): taking
    the same multiple of W(λ) from both moves all eigenvalues alike. This avoids cancellation where λ is near 1.
    """
    between, within, counts = classes.between, classes.within, classes.counts
    spread = congruent(between - jnp.trace(between) / jnp.trace(within) * within, whitener)
    # What isn't resolved comes last.
    spread = spread - jnp.diag(jnp.where(kept, 0, 1 + jnp.linalg.norm(spread)))
    axes = jnp.matmul(whitener, jnp.linalg.eigh(spread)[1][:, ::-1], precision=HIGHEST)
    axes = axes[:, : max(len(counts) - 1, 1)]
    return jnp.where(jnp.arange(axes.shape[1]) < (counts > 0).sum() - 1, axes, 0)


def _log_nuclear_norm(posteriors, weights, labels):
    """Log Σ_y ‖P_y‖_*, one class after another, each by the singular values of little more than its own rows."""
    n, c = posteriors.shape
    order = jnp.argsort(jnp.where(weights > 0, labels, c), stable=True)
    lengths = _block_lengths(n)
    # A block may extend past the end of its class; beyond the last class lie rows of zeros.
    rows = jnp.concatenate([(jnp.sqrt(weights)[:, None] * posteriors)[order], jnp.zeros((n, c), posteriors.dtype)])
    sizes = jax.ops.segment_sum((weights > 0).astype(jnp.int32), labels, c)

    def norm_of_block(length, start, size):
        block = jax.lax.dynamic_slice_in_dim(rows, start, length)
        own = jnp.where(jnp.arange(length)[:, None] < size, block, 0)
        return jnp.linalg.svd(own, compute_uv=False).sum()

    def norm(start, size):
        fitting = jnp.searchsorted(jnp.array(lengths), size)
        return jax.lax.switch(fitting, [partial(norm_of_block, length) for length in lengths], start, size)

    norms = jax.lax.map(lambda one: norm(*one), (jnp.cumsum(sizes) - sizes, sizes))
    return jnp.log(norms.sum())


def _block_lengths(n):
    """Lengths that double up to n. A class uses the least that holds it, because shapes can't depend on data."""
    lengths = [min(8, n)]
    while lengths[-1] < n:
        lengths.append(min(2 * lengths[-1], n))
    return lengths
