"""Gaussian mixtures fitted by expectation–maximisation, with static shapes."""

import math
from functools import partial
from typing import Any, Literal, NamedTuple

import jax
import jax.numpy as jnp
from jax.custom_batching import sequential_vmap

from leepjax.kernels import HIGHEST, nonzero_or_one, weights_of

_matmul = partial(jnp.matmul, precision=HIGHEST)
Covariance = Literal["diagonal", "spherical", "full"]
# (x − μ)² / σ² is computed as x²/σ² − 2xμ/σ² + μ²/σ², by matrix products, for components whose μ²/σ² is at most this on
# average over columns. For others, which are narrow and far from the mean, rounding would destroy the difference.
WIDE_ENOUGH = 32


class GaussianMixture(NamedTuple):
    """Σ_k π_k N(μ_k, Σ_k). A component of weight zero is unused."""

    weights: jax.Array
    """[k] π, which sum to one"""
    means: jax.Array
    """[k d] μ"""
    covariances: jax.Array
    """[k d] variances if diagonal or spherical, [k d d] if full; one for a column that isn't kept"""


class _Rows(NamedTuple):
    """The rows to which a mixture is fitted, in the forms that the steps need."""

    x: jax.Array
    """[n d] zero in rows that don't count and columns that aren't kept"""
    columns: jax.Array
    """[d n] the transpose of x"""
    squares: jax.Array
    """[n d] x²"""
    kept: jax.Array
    """[] number of leading columns used"""


class Fit(NamedTuple):
    """A fitted mixture and its posterior and likelihood of the rows."""

    mixture: GaussianMixture
    posterior: jax.Array
    """[n k] posterior probability of each component for each row"""
    log_likelihood: jax.Array
    """[] mean over rows of log Σ_k π_k N(x|μ_k, Σ_k)"""
    steps: jax.Array
    """[] number of EM steps"""
    change: jax.Array
    """[] change of the log-likelihood in the second to last step, below the tolerance if EM converged"""


@partial(jax.jit, static_argnames=("num_components", "covariance"))
def fit_gaussian_mixture(
    key: jax.Array,
    x: jax.Array,
    num_components: int,
    *,
    covariance: Covariance = "diagonal",
    where: jax.Array | None = None,
    active: jax.Array | int | None = None,
    kept: jax.Array | int | None = None,
    start: GaussianMixture | None = None,
    tolerance: float = 1e-3,
    max_steps: int = 100,
    floor: jax.Array | float = 1e-6,
) -> Fit:
    """Fit a Gaussian mixture by EM from a k-means++ start.

    Each component starts as the Gaussian of the rows nearest to its centre. With fewer distinct rows than components,
    the remaining components start empty and stay so.

    Args:
        key: random key of the start: component k draws its centre with ``fold_in(key, k)``.
        x: [n d] rows.
        num_components: k, the largest number of components.
        covariance: "diagonal", "spherical" (one variance per component) or "full".
        where: [n] weights; rows of weight zero must be finite, but don't count.
        active: number of components used, k by default; may be traced.
        kept: number of leading columns used, d by default; may be traced.
        start: the mixture from which EM starts, instead of k-means++.
        tolerance: EM stops when a step changes the mean log-likelihood by less.
        max_steps: largest number of EM steps.
        floor: added to every variance, so that none becomes zero.

    Returns:
        The fit, a local maximum. Apart from `floor`, EM never lowers the likelihood. Steps and stopping rule are those
        of scikit-learn, the start isn't. A step takes n·k·d operations (n·k·d² if full); memory is n·(k + 2d) numbers.

    Reference:
        Dempster, Laird, Rubin, JRSS B 1977; Arthur, Vassilvitskii, *k-means++*, SODA 2007.
    """
    n, d = x.shape
    active, kept = jnp.asarray(num_components if active is None else active), jnp.asarray(d if kept is None else kept)
    # Under `jax.vmap`, fit one mixture after another: in a batch, the slower computation of a component that is narrow
    # in one mixture would be repeated in all.
    fit = sequential_vmap(partial(_fit, num_components=num_components, covariance=covariance))
    return fit(key, x, weights_of(where, n, x.dtype), active, kept, start, tolerance, max_steps, floor)


def _fit(key, x, weights, active, kept, start, tolerance, max_steps, floor, *, num_components, covariance):
    d = x.shape[1]
    x = jnp.where((weights > 0)[:, None] & (jnp.arange(d) < kept), x, 0)
    rows = _Rows(x, x.T, x * x, kept)
    maximise = partial(_maximise, rows, covariance=covariance, floor=floor)

    def expect(mixture):
        joint = _log_densities(rows, mixture)
        evidence = jax.nn.logsumexp(joint, axis=0)
        # A softmax: for a row far from all components, exp(joint − evidence) wouldn't sum to one in float32.
        return jax.nn.softmax(joint, axis=0), (weights * evidence).sum() / weights.sum()

    def step(state):
        _, posterior, before, change, _, steps = state
        mixture = maximise(weights * posterior)
        posterior, likelihood = expect(mixture)
        return mixture, posterior, likelihood, likelihood - before, change, steps + 1

    def goes_on(state):
        # One more step follows a step that changes little, as in scikit-learn, which compares in the next E step.
        return (state[5] < max_steps) & ~(jnp.abs(state[4]) < tolerance)

    infinity = jnp.asarray(jnp.inf, x.dtype)
    if start is None:
        nearest = _nearest_centres(key, rows.columns, weights, active)
        shape = (num_components, d, d) if covariance == "full" else (num_components, d)
        nothing = GaussianMixture(*(jnp.zeros(shape, x.dtype) for shape in (shape[:1], shape[:2], shape)))
        # The first M step computes the start.
        shares = jax.nn.one_hot(nearest, num_components, axis=0, dtype=x.dtype)
        first = nothing, shares, -infinity, infinity, infinity, -1
    else:
        first = start, *expect(start), infinity, infinity, 0
    state: Any = (*first[:5], jnp.asarray(first[5]))
    mixture, posterior, likelihood, _, change, steps = jax.lax.while_loop(goes_on, step, state)
    return Fit(mixture, posterior.T, likelihood, steps, change)


def _nearest_centres(key, columns, weights, active):
    """[n] the nearest centre of each row; k-means++ draws centres in proportion to the squared distance from others.

    The rows are given as `columns` [d n], over which sums are faster.
    """

    def draw(k, state):
        nearest, distance = state
        mass = weights * distance
        mass = jnp.where(mass.sum() > 0, mass, weights)
        reached = jnp.cumsum(mass)
        # Always in float32, so that the start doesn't depend on the dtype of the rows.
        drawn = jax.random.uniform(jax.random.fold_in(key, k), dtype=jnp.float32) * reached[-1]
        from_centre = ((columns - columns[:, (reached > drawn).argmax()][:, None]) ** 2).sum(axis=0)
        closer = (from_centre < distance) | (k == 0)
        return jnp.where(closer, k, nearest), jnp.where(closer, from_centre, distance)

    n, dtype = columns.shape[1], columns.dtype
    return jax.lax.fori_loop(0, active, draw, (jnp.zeros(n, jnp.int32), jnp.ones(n, dtype)))[0]


def _maximise(rows, shares, *, covariance, floor):
    """The M step: the most likely mixture given each row's shares [k n] of the components."""
    totals = shares.sum(axis=1)
    some = nonzero_or_one(totals)
    means = _matmul(shares, rows.x) / some[:, None]
    looked_at = jnp.arange(rows.x.shape[1]) < rows.kept

    def covariance_of(component):
        mean, share, total = component
        apart = rows.x - mean
        return _matmul(apart.T, share[:, None] * apart) / total

    def variances_of(k):
        return (shares[k] * (rows.columns - means[k][:, None]) ** 2).sum(axis=1) / some[k]

    if covariance == "full":
        found = jax.lax.map(covariance_of, (means, shares, some))
        found += jnp.diag(jnp.where(looked_at, jnp.asarray(floor, means.dtype), 1))
    else:
        found = jnp.maximum(_matmul(shares, rows.squares) / some[:, None] - means**2, 0)
        found = _replaced(_are_narrow(means, found + floor, rows.kept), found, variances_of)
        if covariance == "spherical":
            found = jnp.broadcast_to(found.sum(axis=1, keepdims=True) / rows.kept.astype(found.dtype), found.shape)
        found = jnp.where(looked_at, found + floor, 1)
    return GaussianMixture(totals / totals.sum(), means, found)


def _log_densities(rows, mixture):
    """[k n] log π_k N(x|μ_k, Σ_k)."""
    weights, means, covariances = mixture
    if covariances.ndim == 3:
        exponents, log_determinants = _exponents_of_full(rows, means, covariances)
    else:
        inverse, log_determinants = 1 / covariances, jnp.log(covariances).sum(axis=1)
        products = _matmul(inverse, rows.squares.T) - 2 * _matmul(means * inverse, rows.x.T)
        narrow = (weights > 0) & _are_narrow(means, covariances, rows.kept)

        def exponents_of(k):
            return ((rows.columns - means[k][:, None]) ** 2 * inverse[k][:, None]).sum(axis=0)

        exponents = _replaced(narrow, products + (means**2 * inverse).sum(axis=1)[:, None], exponents_of)
    constants = (
        jnp.log(nonzero_or_one(weights))
        - (log_determinants + rows.kept.astype(means.dtype) * math.log(2 * math.pi)) / 2
    )
    return jnp.where(weights[:, None] == 0, -jnp.inf, constants[:, None] - exponents / 2)


def _exponents_of_full(rows, means, covariances):
    """[k n] squared Mahalanobis distances, and [k] log det Σ_k."""

    def of_component(component):
        mean, covariance = component
        lower = jnp.linalg.cholesky(covariance)
        whitened = jax.lax.linalg.triangular_solve(lower, rows.columns - mean[:, None], left_side=True, lower=True)
        return (whitened**2).sum(axis=0), 2 * jnp.log(jnp.diagonal(lower)).sum()

    return jax.lax.map(of_component, (means, covariances))


def _are_narrow(means, variances, kept):
    """[k] components whose exponents need differences (see `WIDE_ENOUGH`), and those whose ratios overflow."""
    return ~((means**2 / variances).sum(axis=1) <= WIDE_ENOUGH * kept.astype(means.dtype))


def _replaced(chosen, values, value_of):
    """The values [k …], with ``value_of(k)`` in place of the chosen ones [k]."""

    def replace(state):
        left, values = state
        k = left.argmax()
        return left.at[k].set(False), values.at[k].set(value_of(k))

    return jax.lax.while_loop(lambda state: state[0].any(), replace, (chosen, values))[1]
