"""N-LEEP (Li et al., CVPR 2021)."""

from functools import partial
from typing import get_args

import jax
import jax.numpy as jnp
import numpy as np
from jax.typing import ArrayLike

from leepjax.kernels import resolved, unit_of, weights_of
from leepjax.measures.shell import score_features
from leepjax.solvers.gaussian_mixture import Covariance, fit_gaussian_mixture
from leepjax.statistics.joint import Joint
from leepjax.statistics.principal import principal_components
from leepjax.types import InputError

COMPONENTS_PER_CLASS = 5
FLOOR = 1e-6  # what scikit-learn adds to each variance


def n_leep(
    key: jax.Array,
    features: ArrayLike,
    labels: ArrayLike,
    *,
    num_components: int | None = None,
    covariance: Covariance = "diagonal",
    energy: float = 0.8,
    num_classes: int | None = None,
    where: ArrayLike | None = None,
) -> jax.Array:
    """LEEP of clusters of the features in place of source classes, so that a source needs no head.

    The centred features' leading principal components that hold most of the variance are modelled by a mixture of K
    Gaussians; the posterior of its components v takes the place of the source's class probabilities:

        N-LEEP = (1/n) Σ_i log Σ_v P̂(y_i|v) p(v|x_i),   P̂(y, v) = (1/n) Σ_{i: y_i = y} p(v|x_i)

    Args:
        key: a `jax.random` key; the start of the mixture depends on it, and so, slightly, does the score.
        features: [n d] finite numbers, the input of the source's head.
        labels: [n] integer target classes in [0, num_classes).
        num_components: K; by default five per present class, but at most half the examples, and at least one.
        covariance: "diagonal", "spherical" or "full", of each component.
        energy: in (0, 1], the share of the variance that the fewest leading principal components must hold.
        num_classes: c; read from the labels when left out, needed under `jax.jit`.
        where: [n] mask of the examples that count, or non-negative weights.

    Returns:
        A scalar in [−H(Y), 0], in nats, higher is better; −H(Y) for constant features. NaN when no example counts. With
        few examples per component it is optimistic, because the same ones are fitted and scored.

    Raises:
        ValueError: for an invalid key, number of components, covariance or energy; outside jit, for features that
            aren't finite, labels out of range or shapes that don't fit.

    Notes:
        n·d² + d³ operations for the components, at most n·K·d for each of up to 100 EM steps (n·K·d² if full),
        and n·(d + K) + d² numbers besides the evidence. EM starts from k-means++ and stops as scikit-learn's
        GaussianMixture does (1e-3 of the mean log-likelihood; 1e-6 added to variances), which first runs k-means until
        it converges and has full covariances. Some published code leaves out the logarithm.

    >>> import jax
    >>> from leepjax import n_leep
    >>> features, key = [[0.0], [1], [9], [10], [20], [21], [2], [22]], jax.random.key(0)
    >>> print(f"{n_leep(key, features, [0, 0, 1, 1, 0, 0, 1, 0]):.4f}")
    -0.1733

    Reference:
        Li, Jia, Sang, Zhu, Green, Wang, Gong, *Ranking Neural Checkpoints*, CVPR 2021, arXiv:2011.11200.
    """
    _check(num_components, covariance, energy)
    _check_key(key)
    options = {"key": key, "num_components": num_components, "covariance": covariance, "energy": float(energy)}
    return score_features("n_leep", _n_leep, features, labels, num_classes, where, run=resolved, **options)


def _check(num_components, covariance, energy):
    if num_components is not None and (
        isinstance(num_components, bool) or not isinstance(num_components, (int, np.integer)) or num_components < 1
    ):
        raise InputError(
            f"n_leep: num_components must be an int >= 1, got {num_components!r}; pass one, or leave it out."
        )
    if covariance not in get_args(Covariance):
        raise InputError(
            f"n_leep: covariance must be diagonal, spherical or full, got {covariance!r}; pass one of these."
        )
    if isinstance(energy, bool) or not isinstance(energy, (int, float, np.number)) or not 0 < energy <= 1:
        raise InputError(f"n_leep: energy must lie in (0, 1], got {energy!r}; pass 0.8, as in the paper.")


def _check_key(key):
    typed = isinstance(key, jax.Array) and jnp.issubdtype(key.dtype, jax.dtypes.prng_key) and key.ndim == 0
    raw = isinstance(key, (jax.Array, np.ndarray)) and key.dtype == np.uint32 and key.ndim == 1
    if not (typed or raw):
        raise InputError(f"n_leep: expected a key first, got {type(key).__name__}; pass jax.random.key(0).")


@partial(jax.jit, static_argnames=("num_components", "covariance", "energy", "num_classes"))
def _n_leep(features, labels, where, key, num_components, covariance, energy, num_classes):
    n, d = features.shape
    weights = weights_of(where, n, features.dtype)
    unit = unit_of(features, where)
    x, variances = principal_components(features * (1 / unit), labels, num_classes, where, min(n, d))
    kept = 1 + (jnp.cumsum(variances)[:-1] < energy * variances.sum()).sum()
    if num_components is None:
        num_components = max(min(COMPONENTS_PER_CLASS * num_classes, n // 2), 1)
        present = (jax.ops.segment_sum(weights, labels, num_classes) > 0).sum()
        active = jnp.maximum(jnp.minimum(COMPONENTS_PER_CLASS * present, (weights > 0).sum() // 2), 1)
    else:
        active = num_components
    options = {"covariance": covariance, "where": weights, "active": active, "kept": kept}
    fit = fit_gaussian_mixture(key, x, num_components, **options, floor=FLOOR / unit**2)
    # LEEP in plain operations: its kernels would take longer to compile than this whole function.
    table, counts = (
        jax.ops.segment_sum(terms, labels, num_classes) for terms in (weights[:, None] * fit.posterior, weights)
    )
    likelihood = (Joint(table, counts).conditional[labels] * fit.posterior).sum(axis=1)
    return jnp.where(weights > 0, weights * jnp.log(likelihood), 0).sum() / weights.sum()
