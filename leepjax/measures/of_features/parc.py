"""PARC (Bolya et al., NeurIPS 2021)."""

import math
from functools import partial

import jax
import jax.numpy as jnp
import numpy as np
from jax.typing import ArrayLike

from leepjax.kernels import HIGHEST, nonzero_or_one, unit_of, weights_of
from leepjax.measures.shell import score_features
from leepjax.statistics.principal import loses_components
from leepjax.types import InputError

# Largest probe: the pairs of more examples can't be counted exactly in float32.
MOST = 4096
# Largest number of distinct values for which pairs are counted per value, as in float32. With more values, as in
# float64, pairs are sorted.
MOST_RUNS = 2**19
_matmul = partial(jnp.matmul, precision=HIGHEST)


def parc(
    features: ArrayLike,
    labels: ArrayLike,
    *,
    num_components: int = 32,
    probe: int = 500,
    num_classes: int | None = None,
    where: ArrayLike | None = None,
) -> jax.Array:
    """Pairwise annotation representation comparison: are examples far apart exactly where their labels differ?

    The features of a probe, a subset of the examples, are reduced to their leading principal components, each
    standardised. The distance of two examples is one minus Pearson's correlation of their components; the distance of
    their labels is one minus that of the one-hot rows, which takes two values. Over all pairs i < j of the probe,

        PARC = 100 · Spearman's ρ (1 − corr(x_i, x_j), 1 − corr(one_hot(y_i), one_hot(y_j)))

    Args:
        features: [n d] finite numbers, the input of the source's head.
        labels: [n] integer target classes in [0, num_classes).
        num_components: number of principal components, at most; those without variance are left out.
        probe: number of examples compared, at most; they are spread evenly over the examples sorted by label.
        num_classes: c; read from the labels when left out, needed under `jax.jit`. Absent classes change nothing.
        where: [n] mask of the examples that count, or non-negative weights: means, variances and ranks are weighted,
            a pair by the product of its examples' weights.

    Returns:
        A scalar in [−100, 100], higher is better. NaN with fewer than two components that vary, where the
        labels of all pairs are equal or those of all pairs differ, or where all correlations are equal.

    Raises:
        ValueError: for a `num_components` that isn't an int in [2, 4096] or a `probe` that isn't one in [3, 4096];
            outside jit, for features that aren't finite, labels out of range or shapes that don't fit.

    Notes:
        Only ranks count, so the score changes by about 0.01 where rounding swaps two pairs. Correlations across
        components depend on the components' signs, which are arbitrary: here, as in scikit-learn ≥ 1.5, the loading of
        largest magnitude is positive. The authors use a randomised PCA with seed 1919. Equal correlations get average
        ranks; in the authors' code, rounding breaks the ties of the label distances. With no more examples than
        components all pairs are equally far apart, and the score is noise. O(p·d·min(p, d) + p³) operations and memory
        for a few arrays [p p], where p is the size of the probe.

    >>> from leepjax import parc
    >>> features = [[3.0, 0.0, 1.0], [2.5, 0.1, 1.1], [0.1, 2.0, 0.0], [0.3, 2.2, 0.4], [0.0, 0.1, 3.0]]
    >>> print(f"{parc(features, [0, 0, 1, 1, 2]):.2f}")
    17.41

    Reference:
        Bolya, Mittapalli, Hoffman, *Scalable Diverse Model Selection for Accessible Transfer Learning*, NeurIPS 2021,
        arXiv:2111.06977.
    """
    for name, value, least in (("num_components", num_components, 2), ("probe", probe, 3)):
        if isinstance(value, bool) or not isinstance(value, (int, np.integer)) or not least <= value <= MOST:
            raise InputError(
                f"parc: {name} must be an int in [{least}, {MOST}], got {value!r}; choose one in that range."
            )
    compute = partial(_parc, num_components=int(num_components), probe=int(probe))
    return score_features("parc", compute, features, labels, num_classes, where)


@partial(jax.jit, static_argnames=("num_classes", "num_components", "probe"))
def _parc(features, labels, where, num_classes, num_components, probe):
    weights = weights_of(where, len(labels), features.dtype)
    if len(labels) > probe:
        rows, there = _probed(labels, weights > 0, num_classes, probe)
        features, labels, weights = features[rows], labels[rows], jnp.where(there, weights[rows], 0)
    features = jnp.where(weights[:, None] > 0, features * (1 / unit_of(features, weights)), 0)
    components, varies, known = _standardised_components(features, weights, num_components)
    differ = labels[:, None] != labels
    pairs = jnp.outer(weights, weights) * (1 - jnp.eye(len(labels), dtype=weights.dtype))
    rho = _spearman(-_row_correlations(components, varies), differ, pairs)
    return jnp.where((varies.sum() > 1) & known, 100 * rho, jnp.nan)


def _probed(labels, counting, num_classes, probe):
    """[probe] examples that count, spread evenly over them sorted by label, and [probe] whether each is filled."""
    order = jnp.argsort(jnp.where(counting, labels, num_classes), stable=True)
    j, m = jnp.arange(probe), counting.sum()
    # ⌊j m / probe⌋, but j m may be too large for an integer.
    spread = j * (m // probe) + j * (m % probe) // probe
    return order[jnp.where(m > probe, spread, j)], j < m


def _standardised_components(features, weights, num_components):
    """Principal components [n p] of unit variance, [p] which of them vary, and whether that is resolved.

    Those that don't vary are zero.
    """
    n, d = features.shape
    p, eps = min(num_components, n, d), float(jnp.finfo(features.dtype).eps)
    shares = weights / nonzero_or_one(weights.sum())
    x = features - _matmul(shares, features)
    x = x - _matmul(shares, x)
    scaled = x * jnp.sqrt(shares)[:, None]
    variances, vectors = jnp.linalg.eigh(_matmul(scaled.T, scaled) if d <= n else _matmul(scaled, scaled.T))
    variances, vectors = variances[::-1][:p], vectors[:, ::-1][:, :p]
    directions = vectors if d <= n else _matmul(scaled.T, vectors)
    rounding = d * (8 * eps * jnp.abs(features).max()) ** 2
    varies = variances > jnp.maximum(max(n, d) * eps * variances[0], rounding)
    # In place of the eigenvalues, which are mostly rounding where they are small.
    components = _matmul(x, directions)
    deviations = jnp.sqrt(_matmul(shares, components**2))
    sizes = deviations if d <= n else jnp.sqrt((directions**2).sum(axis=0))
    largest = jnp.take_along_axis(directions, jnp.abs(directions).argmax(axis=0)[None], axis=0)
    components = jnp.where(varies, components * jnp.sign(largest) / jnp.where(varies, deviations, 1), 0)
    return components, varies, ~loses_components(sizes, varies, d, weights)


def _row_correlations(components, varies):
    """[n n] Pearson's correlations of rows over the components that vary; 0 with a row whose components are equal."""
    mean = components.sum(axis=1) / jnp.maximum(varies.sum(dtype=components.dtype), 1)
    x = jnp.where(varies, components - mean[:, None], 0)
    norm = jnp.sqrt((x**2).sum(axis=1))
    x = x / nonzero_or_one(norm)[:, None]
    # Correlations that differ by rounding alone must tie: with two components all of them are ±1.
    return jnp.round(_matmul(x, x.T) * _steps(x.dtype))


def _steps(dtype):
    """The number of steps to which a correlation between 0 and 1 is rounded."""
    return float(jnp.finfo(dtype).eps) ** -0.75


def _spearman(values, binary, weights):
    """Spearman's ρ of values [n n] and a binary variable by weighted average ranks; NaN where either is constant.

    The values are whole numbers, of magnitude `_steps` at most.
    """
    values, binary, weights = values.ravel(), binary.ravel().astype(values.dtype), weights.ravel()
    vary = _varies(values, weights > 0) & _varies(binary, weights > 0)
    weights = weights / jnp.where(vary, weights.sum(), 1)

    # Equal values form a run, whose rank is its middle. The ranks of a binary variable are a linear function of it.
    run, runs = _runs(values)
    weight, ones = jax.ops.segment_sum(jnp.stack([weights, weights * binary], axis=1), run, runs).T
    rank = _cumulated(weight) - weight / 2 - 0.5
    share = ones.sum()
    scale = (weight * rank**2).sum() * share * (1 - share)
    return jnp.where(vary, (ones * rank).sum() / jnp.sqrt(jnp.where(vary, scale, 1)), jnp.nan)


def _runs(values):
    """[n²] the number of the run of equal values that each belongs to, ascending; and a bound on the runs, a square."""
    highest = round(_steps(values.dtype)) + 1
    if (side := math.isqrt(2 * highest) + 1) ** 2 <= MOST_RUNS:
        return jnp.clip(values + highest, 0, 2 * highest).astype(jnp.int32), side**2
    ordered, place = jax.lax.sort((values, jnp.arange(len(values))), num_keys=1)
    run = _cumulated(jnp.r_[False, ordered[1:] != ordered[:-1]].astype(values.dtype)).astype(jnp.int32)
    return jnp.zeros_like(run).at[place].set(run, unique_indices=True), len(run)


def _varies(values, counting):
    """Whether the values [n] that count differ; exact, unlike a variance, which is rounded."""
    return jnp.where(counting, values, jnp.inf).min() < jnp.where(counting, values, -jnp.inf).max()


def _cumulated(values):
    """Cumulative sums of n² values, by products of triangular matrices [n n]: a scan takes far longer to compile."""
    n = math.isqrt(len(values))
    upper = jnp.triu(jnp.ones((n, n), values.dtype))
    within = _matmul(values.reshape(n, n), upper)
    return (within + (_matmul(within[:, -1], upper) - within[:, -1])[:, None]).ravel()
