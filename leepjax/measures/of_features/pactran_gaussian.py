"""PACTran with a Gaussian prior (Ding et al., ECCV 2022)."""

from functools import partial

import jax
import jax.numpy as jnp
from jax.typing import ArrayLike

from leepjax.kernels import nonzero_or_one, unit_of, weights_of
from leepjax.measures.of_probs.source_choices import check_positive
from leepjax.measures.shell import score_features
from leepjax.solvers.logistic import logits_of, minimise, with_ones

# The minimum must be this exact: the bound's curvature, unlike its loss, has a first-order error in the parameters.
TOLERANCE = {"float32": 1e-12, "float64": 1e-24}
STAGES = (10, 30, 100, 400)
# The smallest penalty, for features of size one, at which the fit starts from zero, and the ratio of steps below it.
EASY = 1e-6
EASIER = 0.1
# Below that penalty float32 can't resolve a smaller loss than this one: it is a difference of logits.
LEAST_LOSS = 0.05


def pactran_gaussian(
    features: ArrayLike,
    labels: ArrayLike,
    *,
    weight: float = 0.1,
    prior_variance: float = 100.0,
    num_classes: int | None = None,
    where: ArrayLike | None = None,
) -> jax.Array:
    """PAC-Bayesian bound of a linear head on the features, under a Gaussian prior.

    The head is p = softmax(W x + b) on centred features x, and its weights have the prior N(0, σ² I), σ² = v/d. The
    bound weighs the loss on the examples by λ = ω n d. With W, b at the minimum of the penalised loss, L the mean cross
    entropy there and H its Hessian, Laplace's approximation and log det(I + λσ² H) ≤ c d log(1 + λσ²/(c d) tr H) give

        −(L + ‖W‖² / (2λσ²) + (c d / 2λ) log(1 + λσ²/(c d) tr H)),   tr H = (1/n) Σ_i (‖x_i‖² + 1) Σ_k p_ik (1 − p_ik)

    The first two terms measure how well a head fits, the third how precisely its weights must be tuned.

    Args:
        features: [n d] finite numbers, the input of the source's head.
        labels: [n] integer target classes in [0, num_classes).
        weight: ω = λ/(n d) > 0.
        prior_variance: v > 0, the prior's variance summed over a class's weights.
        num_classes: read from the labels when left out, needed under `jax.jit`; c above counts the present ones.
        where: [n] mask of the examples that count, or non-negative weights.

    Returns:
        A scalar ≤ 0, in nats per example, higher is better; 0 for one class. NaN when no example counts. It has no
        gradient: the head is found by a loop that ends when it has converged. Unchanged by rotations of the features
        and by adding to them; changed by their scale.

    Raises:
        ValueError: for a `weight` or `prior_variance` that isn't positive; outside jit, for features that aren't
            finite, labels out of range or shapes that don't fit.

    >>> from leepjax import pactran_gaussian
    >>> print(f"{pactran_gaussian([[-1.0], [-2], [1], [2]], [0, 0, 1, 1]):.4f}")
    -3.3371

    Notes:
        The paper's code tries six settings (ω, v): (0.01, 1000), (0.1, 100), (0.01, 100), (0.1, 10), (0.01, 10) and
        (0.1, 1), and chooses among them by a hub's validation errors; the default here is the second. As there,
        features are centred, the bias has no prior, and its curvature counts in tr H. Unlike there, higher is better; H
        is of the mean loss, as in the bound, not of the sum; c counts present classes; the minimum is exact, where
        L-BFGS from a random start stops after 100 steps; and the caller's features aren't changed. Each step costs
        n·d·c, each of up to four preconditioners n·d² + d³; memory for n·(d + c) + d² numbers.

    Reference:
        Ding, Chen, Levinboim, Changpinyo, Soricut, *PACTran: PAC-Bayesian Metrics for Estimating the Transferability of
        Pretrained Models to Classification Tasks*, ECCV 2022, arXiv:2203.05126.
    """
    check_positive("pactran_gaussian", "weight", weight)
    check_positive("pactran_gaussian", "prior_variance", prior_variance)
    compute = partial(_pactran_gaussian, weight=weight, prior_variance=prior_variance)
    return score_features("pactran_gaussian", compute, features, labels, num_classes, where)


@partial(jax.jit, static_argnames="num_classes")
def _pactran_gaussian(features, labels, where, num_classes, weight, prior_variance):
    with jax.default_matmul_precision("highest"):
        dtype, d = features.dtype, features.shape[1]
        weights = weights_of(where, len(labels), dtype)
        n, counting = weights.sum(), weights[:, None] > 0
        shares = weights / nonzero_or_one(n)
        x = jnp.where(counting, features, 0)
        x = jnp.where(counting, x - shares @ x, 0)
        # Scaled so that the step's curvatures along features and bias are of similar size; W is then scaled, too.
        unit = unit_of(x)
        x = x * (1 / unit)
        # A hidden row may have a class without examples, so it gets no class.
        one_hot = jnp.where(counting[:, 0], jax.nn.one_hot(labels, num_classes, axis=0, dtype=dtype), 0)
        present = one_hot @ weights > 0

        mass, spread = weight * d * n, weight * prior_variance * nonzero_or_one(n)  # λ and λσ²
        head = _fit(with_ones(x), one_hot, shares, 1 / spread / unit**2)
        logits = jnp.where(present[:, None], logits_of(with_ones(x), head[None])[0], -jnp.inf)
        log_p = jax.nn.log_softmax(logits, axis=0)
        cross_entropy = -(shares * jnp.where(one_hot > 0, log_p, 0).sum(axis=0)).sum()
        loss = cross_entropy + ((head[:, :-1] / unit) ** 2).sum() / (2 * spread)
        curvature = (
            shares * ((x**2).sum(axis=1) * unit**2 + 1) * (jnp.exp(log_p) * -jnp.expm1(log_p)).sum(axis=0)
        ).sum()
        size = present.sum(dtype=dtype) * d
        bound = loss + size / (2 * mass) * jnp.log1p(spread / nonzero_or_one(size) * curvature)
        unknown = (1 / spread / unit**2 < EASY) & (cross_entropy < LEAST_LOSS) & (dtype == jnp.float32)
        unknown = unknown & (present.sum() > 1)
        return jnp.where((n > 0) & jnp.isfinite(bound) & ~unknown, -bound, jnp.nan)


def _fit(x, one_hot, shares, l2):
    """[c d+1] the head that has the least loss, the biases in the last column.

    A penalty below `EASY` is approached in steps: where classes are separable, the curvature at the start differs from
    that at the minimum by orders of magnitude, because it is of the order of exp(−logits) there.
    """
    tolerance = TOLERANCE[x.dtype.name]

    def next_penalty(state):
        _, penalty, _ = state
        return jnp.maximum(penalty * EASIER, l2)

    def step(state):
        penalty = next_penalty(state)
        head = minimise(x, one_hot, shares[None], penalty, state[0], tolerance=tolerance, stages=STAGES)
        return head, penalty, penalty > l2

    start = jnp.zeros((1, len(one_hot), x.shape[1]), x.dtype)
    first = jnp.maximum(l2, EASY).astype(x.dtype) / EASIER
    return jax.lax.while_loop(lambda state: state[2], step, (start, first, jnp.array(True)))[0][0]
