"""SFDA (Shao et al., ECCV 2022)."""

from functools import partial

import jax
import jax.numpy as jnp
from jax.typing import ArrayLike

from leepjax.kernels import nonzero_or_one, unit_of
from leepjax.measures.shell import score_features
from leepjax.statistics.class_gaussians import ClassGaussians

LEAST_RIDGE = 1e-10  # the paper's


def sfda(
    features: ArrayLike,
    labels: ArrayLike,
    *,
    log: bool = False,
    num_classes: int | None = None,
    where: ArrayLike | None = None,
) -> jax.Array:
    """Self-challenging Fisher discriminant analysis: how well classes separate once hard examples are made harder.

    Fisher discriminant analysis with a covariance S within classes that is regularised by its largest eigenvalue,

        S̃ = (1 − λ) S + λ I,   λ = max(exp(−5 λ_max(S)), 1e-10)
        p(c|x) = softmax_c(xᵀ S̃⁻¹ μ_c − ½ μ_cᵀ S̃⁻¹ μ_c + log n_c/n)

    is fitted twice. Between the fits each example is moved towards the mean o_y of all examples outside its class, the
    further the less confident the first fit is ("ConfMix"), because it is hard for fine-tuning, too; λ is kept:

        x̃_i = p(y_i|x_i) x_i + (1 − p(y_i|x_i)) o_{y_i},   SFDA = (1/n) Σ_i p̃(y_i|x̃_i)

    Args:
        features: [n d] finite numbers, the input of the source's head.
        labels: [n] integer target classes in [0, num_classes).
        log: score by the mean of log p̃ instead, a log-likelihood like LEEP. The authors leave the logarithm out as
            unstable; computed as a log-softmax it is stable.
        num_classes: c; read from the labels when left out, needed under `jax.jit`.
        where: [n] mask of the examples that count, or non-negative weights.

    Returns:
        A scalar in [0, 1], or ≤ 0 in nats with `log`; higher is better. 1 (with `log` 0) for one class; Σ_c (n_c/n)²
        for constant features. Where n ≤ d and features are large, λ is 1e-10 and the score is 1 for any features: it
        can distinguish sources only with more examples. NaN when no example counts. Unchanged by rotations of the
        features and by adding to them; changed by their scale, through λ.

    Raises:
        ValueError: outside jit, for features that aren't finite, labels out of range or shapes that don't fit.

    >>> from leepjax import sfda
    >>> print(f"{sfda([[-1.0], [-2], [1], [2]], [0, 0, 1, 1]):.4f}")
    0.9992

    Notes:
        The authors' code differs from the formulas above, which are the paper's: it scales λ I by tr S / d, takes λ_max
        from three steps of a power iteration, applies a second softmax to p before mixing, averages the other
        classes' means unweighted for o_y, and modifies the caller's array, so that a second call gives another score.
        n·d² + d³ operations for each fit, and memory for n·d + n·c + d² numbers.

    Reference:
        Shao, Zhao, Ge, Zhang, Yang, Wang, Shan, Luo, *Not All Models Are Equal: Predicting Model Transferability in a
        Self-challenging Fisher Space*, ECCV 2022, arXiv:2207.03036.
    """
    return score_features("sfda", _sfda, features, labels, num_classes, where, log=log)


@partial(jax.jit, static_argnames=("num_classes", "log"))
def _sfda(features, labels, where, num_classes, log):
    unit = unit_of(features, where)
    classes = ClassGaussians.of(features * (1 / unit), labels, where, num_classes)
    λ = jnp.maximum(jnp.exp(-5 * jnp.linalg.eigvalsh(classes.within)[-1] * unit * unit), LEAST_RIDGE)
    # For covariances of scaled features. Beyond these bounds one term is negligible, and the other might overflow.
    ridge = jnp.clip(λ / unit / unit, 1e-30, 1e30)

    def fit(features, _):
        fitted = ClassGaussians.of(features, labels, where, num_classes)
        log_p = fitted.log_posterior(labels, 1 - λ, ridge)
        return _mix(fitted, labels, jnp.exp(log_p)[:, None]), log_p

    log_p = jax.lax.scan(fit, classes.centred(labels), length=2)[1][-1]
    return classes.average(log_p if log else jnp.exp(log_p))


def _mix(classes, labels, p):
    """[n d] p [n 1] of each example's features, and 1 − p of the mean of the examples outside its class."""
    sums = classes.counts[:, None] * classes.means
    others = classes.counts.sum() - classes.counts
    outside = (sums.sum(axis=0) - sums) / nonzero_or_one(others)[:, None]
    return p * classes.centred(labels) + (1 - p) * outside[labels]
