"""Gaussian mixtures fitted by expectation–maximisation, with static shapes."""

from functools import partial
from typing import Literal, NamedTuple

import jax
import jax.numpy as jnp

from leepjax.kernels import HIGHEST, nonzero_or_one, weights_of

Covariance = Literal["diagonal", "spherical", "full"]


class GaussianMixture(NamedTuple):
    """Σ_k π_k N(μ_k, Σ_k). A component of weight zero is unused."""

    weights: jax.Array
    """[k] π, which sum to one"""
    means: jax.Array
    """[k d] μ"""
    covariances: jax.Array
    """[k d] variances if diagonal or spherical, [k d d] if full; one for a column that isn't kept"""


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
        of scikit-learn, the start isn't. A step takes n·k·kept operations (n·k·d² if full); memory is n·k numbers.

    Reference:
        Dempster, Laird, Rubin, JRSS B 1977; Arthur, Vassilvitskii, *k-means++*, SODA 2007.
    """
    n, d = x.shape
    weights = weights_of(where, n, x.dtype)
    kept = jnp.asarray(d if kept is None else kept)
    x = jnp.where((weights > 0)[:, None] & (jnp.arange(d) < kept), x, 0)
    density = partial(_log_densities, x, kept)
    maximise = partial(_maximise, x, kept, covariance=covariance, floor=floor)

    def expect(mixture):
        joint = density(mixture)
        evidence = jax.nn.logsumexp(joint, axis=1)
        # A softmax: for a row far from all components, exp(joint − evidence) wouldn't sum to one in float32.
        return jax.nn.softmax(joint, axis=1), (weights * evidence).sum() / weights.sum()

    def step(state):
        _, posterior, before, change, _, steps = state
        mixture = maximise(weights[:, None] * posterior)
        posterior, likelihood = expect(mixture)
        return mixture, posterior, likelihood, likelihood - before, change, steps + 1

    def goes_on(state):
        # One more step follows a step that changes little, as in scikit-learn, which compares in the next E step.
        return (state[5] < max_steps) & ~(jnp.abs(state[4]) < tolerance)

    infinity = jnp.asarray(jnp.inf, x.dtype)
    if start is None:
        nearest = _nearest_centres(key, x, weights, num_components if active is None else active)
        shape = (num_components, d, d) if covariance == "full" else (num_components, d)
        nothing = GaussianMixture(*(jnp.zeros(shape, x.dtype) for shape in (shape[:1], shape[:2], shape)))
        # The first M step computes the start.
        first = nothing, jax.nn.one_hot(nearest, num_components, dtype=x.dtype), -infinity, infinity, infinity, -1
    else:
        first = start, *expect(start), infinity, infinity, 0
    mixture, posterior, likelihood, _, change, steps = jax.lax.while_loop(
        goes_on, step, (*first[:5], jnp.asarray(first[5]))
    )
    return Fit(mixture, posterior, likelihood, steps, change)


def _nearest_centres(key, x, weights, active):
    """[n] the nearest centre of each row; k-means++ draws centres in proportion to the squared distance from others."""

    def draw(k, state):
        nearest, distance = state
        mass = weights * distance
        mass = jnp.where(mass.sum() > 0, mass, weights)
        reached = jnp.cumsum(mass)
        # Always in float32, so that the start doesn't depend on the dtype of the rows.
        drawn = jax.random.uniform(jax.random.fold_in(key, k), dtype=jnp.float32) * reached[-1]
        from_centre = ((x - x[(reached > drawn).argmax()]) ** 2).sum(axis=1)
        closer = (from_centre < distance) | (k == 0)
        return jnp.where(closer, k, nearest), jnp.where(closer, from_centre, distance)

    start = jnp.zeros(len(x), jnp.int32), jnp.ones(len(x), x.dtype)
    return jax.lax.fori_loop(0, jnp.asarray(active, jnp.int32), draw, start)[0]


def _maximise(x, kept, shares, *, covariance, floor):
    """The M step: the most likely mixture given each row's shares [n k] of the components."""
    totals = shares.sum(axis=0)
    some = nonzero_or_one(totals)
    means = jnp.matmul(shares.T, x, precision=HIGHEST) / some[:, None]
    looked_at = jnp.arange(x.shape[1]) < kept

    def covariance_of(component):
        mean, share, total = component
        apart = x - mean
        return jnp.matmul(apart.T, share[:, None] * apart, precision=HIGHEST) / total

    def put_variances(j, variances):
        # From differences: in float32, E[x²] − μ² would lose the variance of a narrow component.
        apart = x[:, j, None] - means[:, j]
        return variances.at[j].set((shares * apart**2).sum(axis=0) / some)

    if covariance == "full":
        found = jax.lax.map(covariance_of, (means, shares.T, some))
        found += jnp.diag(jnp.where(looked_at, jnp.asarray(floor, x.dtype), 1))
    else:
        found = jax.lax.fori_loop(0, kept, put_variances, jnp.zeros(means.T.shape, x.dtype)).T
        if covariance == "spherical":
            found = jnp.broadcast_to(found.sum(axis=1, keepdims=True) / kept, found.shape)
        found = jnp.where(looked_at, found + floor, 1)
    return GaussianMixture(totals / totals.sum(), means, found)


def _log_densities(x, kept, mixture):
    """[n k] log π_k N(x|μ_k, Σ_k)."""
    weights, means, covariances = mixture

    def add_direction(j, exponents):
        variances = covariances[:, j]
        return exponents + ((x[:, j, None] - means[:, j]) ** 2 / variances + jnp.log(variances))

    def exponent_of(component):
        mean, covariance = component
        lower = jnp.linalg.cholesky(covariance)
        whitened = jax.lax.linalg.triangular_solve(lower, (x - mean).T, left_side=True, lower=True)
        return (whitened**2).sum(axis=0) + 2 * jnp.log(jnp.diagonal(lower)).sum()

    if covariances.ndim == 3:
        exponents = jax.lax.map(exponent_of, (means, covariances)).T
    else:
        exponents = jax.lax.fori_loop(0, kept, add_direction, jnp.zeros((len(x), len(means)), x.dtype))
    log_weights = jnp.where(weights > 0, jnp.log(nonzero_or_one(weights)), -jnp.inf)
    return log_weights - (exponents + kept * jnp.log(2 * jnp.pi).astype(x.dtype)) / 2
