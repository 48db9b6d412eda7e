"""The Expected Empirical Predictor, step 3 of LEEP as a classifier in its own right."""

from dataclasses import dataclass
from functools import partial
from typing import Self

import jax
import jax.numpy as jnp
from jax.typing import ArrayLike

from leepjax.checks.columns import check_unlabelled_probs
from leepjax.kernels import HIGHEST, own_likelihood, settled, theta, weights_of
from leepjax.measures.shell import score_probs
from leepjax.statistics.joint import Joint


@partial(jax.tree_util.register_dataclass, data_fields=("conditional",), meta_fields=())
@dataclass(frozen=True)
class ExpectedEmpiricalPredictor:
    """A classifier of the target's classes that reads nothing but the source's probabilities."""

    conditional: jax.Array
    """[c z] P̂(y|z); each column sums to one"""

    def predict(self, probs: ArrayLike) -> jax.Array:
        """p(y|x) = Σ_z P̂(y|z) θ(x)_z of each row of probs [n z], as [n c] rows that sum to one.

        Raises:
            InputError: for other source classes than those fitted on and, outside jit, rows that aren't distributions.
        """
        check_unlabelled_probs("eep.predict", probs, self.conditional.shape[1])
        return settled(jnp.matmul(theta(jnp.asarray(probs)), self.conditional.T, precision=HIGHEST), probs)


def eep(
    probs: ArrayLike, labels: ArrayLike, *, num_classes: int | None = None, where: ArrayLike | None = None
) -> ExpectedEmpiricalPredictor:
    """The Expected Empirical Predictor fitted on a labelled set; predict with it on that set or another.

    It passes the source's class probabilities θ(x) through the empirical conditional P̂(y|z) of target classes given
    source classes:  p(y|x) = Σ_z P̂(y|z) θ(x)_z.  LEEP is its mean log-likelihood on the set it was fitted on.

    Args:
        probs: [n z] source probabilities; each row is non-negative and sums to one.
        labels: [n] integer target classes in [0, num_classes).
        num_classes: c; read from the labels when left out, needed under `jax.jit`.
        where: [n] mask of the examples that count, or non-negative weights.

    Returns:
        The predictor, a pytree. A source class on which no example has mass gets the labels' marginal P̂(y): this
        changes nothing on the fitted set, and predictions on other sets still sum to one. NaN when no example counts.

    Raises:
        ValueError: outside jit, for rows that aren't distributions, labels out of range or shapes that don't fit.

    >>> from leepjax import eep
    >>> predictor = eep([[0.9, 0.1], [0.2, 0.8]], [0, 1])
    >>> predictor.predict([[1.0, 0.0]]).round(3).tolist()
    [[0.8180000185966492, 0.18200001120567322]]

    Reference:
        Nguyen, Hassner, Seeger, Archambeau, *LEEP*, ICML 2020, arXiv:2002.12462, equation 1.
    """
    return score_probs("eep", _eep, probs, labels, num_classes, where, run=None)


@partial(jax.jit, static_argnames="num_classes")
def _eep(probs, labels, where, num_classes):
    joint = Joint.of(probs, labels, num_classes, where)
    marginal = joint.counts / joint.size
    seen = joint.table.sum(axis=0) > 0
    return ExpectedEmpiricalPredictor(jnp.where(seen, joint.conditional, marginal[:, None]))


@partial(jax.tree_util.register_dataclass, data_fields=("total", "size", "lost"), meta_fields=())
@dataclass(frozen=True)
class LogLikelihood:
    """The log-likelihood of labels under a predictor. It is a statistic: all leaves are sums over examples."""

    total: jax.Array
    """[] Σ_i w_i log Σ_z P̂(y_i|z) θ(x_i)_z"""
    size: jax.Array
    """[] Σ_i w_i"""
    lost: jax.Array
    """[] what `total` has lost to rounding; without it, a million examples in float32 would cost six of seven digits"""

    @classmethod
    def init(cls) -> Self:
        """The likelihood of no examples."""
        return cls(jnp.zeros(()), jnp.zeros(()), jnp.zeros(()))

    def merge(self, other: Self) -> Self:
        """The likelihood of both sets of examples."""
        total = self.total + other.total
        theirs = total - self.total
        lost = (self.total - (total - theirs)) + (other.total - theirs)
        return type(self)(total, self.size + other.size, self.lost + other.lost + lost)

    @property
    def mean(self) -> jax.Array:
        """[] in nats per example; NaN when no example counts."""
        return (self.total + self.lost) / self.size


def log_likelihood(
    conditional: jax.Array,
    probs: jax.Array,
    labels: jax.Array,
    where: jax.Array | None = None,
    log_norm: jax.Array | None = None,
) -> tuple[LogLikelihood, jax.Array]:
    """LEEP's second pass: the likelihood of labels [n] under a table [c z], and the sums of the rows [n] of probs.

    The sums cost nothing extra and show whether the rows are distributions (`leepjax.checks.arrays.check_rows`).
    """
    weights = weights_of(where, len(labels), conditional.dtype)
    likelihood, totals = own_likelihood(conditional, probs, labels, weights, log_norm)
    log_of_labels = (weights * jnp.log(likelihood)).sum()
    return LogLikelihood(log_of_labels, weights.sum(), jnp.zeros_like(log_of_labels)), totals
