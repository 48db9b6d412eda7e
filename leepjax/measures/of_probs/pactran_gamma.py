"""PACTran with Gamma priors (Ding et al., ECCV 2022)."""

from functools import partial

import jax
import jax.numpy as jnp
from jax.scipy.special import digamma, gammaln
from jax.typing import ArrayLike

from leepjax.kernels import nonzero_or_one
from leepjax.measures.of_probs.source_choices import Examples, check_positive, check_steps
from leepjax.measures.shell import score_probs


def pactran_gamma(
    probs: ArrayLike,
    labels: ArrayLike,
    *,
    prior: float = 1.0,
    num_steps: int = 10,
    num_classes: int | None = None,
    where: ArrayLike | None = None,
) -> jax.Array:
    """PAC-Bayesian bound of a head with positive weights on the source's classes, under Gamma priors.

    The head is p(y|x) = Σ_z V_yz θ(x)_z / Σ_y' Σ_z V_y'z θ(x)_z, with V_yz ~ Gamma(a⁰_y, 1) of shape a⁰_y = α n_y/n.
    The scale of V cancels, so the rate doesn't matter. The score is a lower bound of its log marginal likelihood per
    example, with a distribution q_i over source classes for each example, as in `pactran_dirichlet`, and with
    log u ≤ u/λ_i + log λ_i − 1 for the denominator. With n_yz = Σ_{i: y_i = y} q_iz, the steps start from q = θ and
    b = 1, and alternate between the posterior of V, with shapes a and rates b, and the λ and q that are best for it:

        a = a⁰ + n,  b_z = 1 + Σ_i θ(x_i)_z / λ_i
        λ_i = Σ_z θ(x_i)_z Σ_y a_yz / b_z,  q_iz ∝ θ(x_i)_z exp(ψ(a_{y_i z}) − log b_z)

    After the last step the score is

        −(1/n) (Σ_yz (log Γ(a⁰_y) − log Γ(a_yz) + a_yz log b_z)
                + Σ_i (Σ_z q_iz log(q_iz / θ(x_i)_z) + log λ_i − 1))

    Args:
        probs: [n z] source probabilities; each row is non-negative and sums to one.
        labels: [n] integer target classes in [0, num_classes).
        prior: α > 0, the sum of the shapes of a source class's priors.
        num_steps: number of steps ≥ 0 (10 in the paper's code); more steps never lower the bound.
        num_classes: c; read from the labels when left out, needed under `jax.jit`.
        where: [n] mask of the examples that count, or non-negative weights.

    Returns:
        A scalar ≤ 0, in nats per example, higher is better; also below 0 for one class, as the bound of the denominator
        isn't tight. NaN when no example counts. Each step reads `probs` five times and writes arrays as large; no
        array is examples × target × source classes.

    Raises:
        ValueError: for a `prior` that isn't positive or a `num_steps` that isn't an int ≥ 0; outside jit, for rows that
            aren't distributions, labels out of range or shapes that don't fit.

    >>> from leepjax import pactran_gamma
    >>> print(f"{pactran_gamma([[0.9, 0.1], [0.2, 0.8]], [0, 1]):.4f}")
    -1.2154

    Notes:
        As in the authors' code: α = 1, the prior around the labels' shares, ten steps from θ. Unlike there, b is
        updated: their formulas include it, but their code leaves it at 1, for which a isn't the best shape. Higher is
        better; the sum is divided by n, not by n·c; nothing is added to the prior and to θ (1e-10), nor to the score
        (1, which would make up for the constant b if it were divided by n); and a and b are computed from the last q
        and λ.

    Reference:
        Ding, Chen, Levinboim, Changpinyo, Soricut, *PACTran: PAC-Bayesian Metrics for Estimating the Transferability of
        Pretrained Models to Classification Tasks*, ECCV 2022, arXiv:2203.05126.
    """
    check_positive("pactran_gamma", "prior", prior)
    steps = check_steps("pactran_gamma", num_steps)
    options = {"prior": prior, "num_steps": steps}
    return score_probs("pactran_gamma", _pactran_gamma, probs, labels, num_classes, where, **options)


@partial(jax.jit, static_argnames=("num_classes", "num_steps"))
def _pactran_gamma(probs, labels, where, num_classes, prior, num_steps):
    examples = Examples.of(probs, labels, where, num_classes)
    present, a0 = examples.present, examples.prior(prior)

    def posterior(choices, λ):
        """The shapes a [c z], 1 for absent classes, their sums over classes [z], and the rates b [z]."""
        a = jnp.where(present, a0 + choices.table, 1)
        return a, prior + choices.table.sum(axis=0), 1 + examples.mass(1 / nonzero_or_one(λ))

    def step(state, _):
        a, columns, b = posterior(*state)
        return (examples.choose(digamma(a) - jnp.log(b)), examples.expected(columns / b)), None

    choices = examples.start()
    start = choices, examples.expected(prior + choices.table.sum(axis=0))
    (choices, λ), _ = jax.lax.scan(step, start, length=num_steps)
    a, columns, b = posterior(choices, λ)
    cost = (gammaln(jnp.where(present, a0, 1)) - gammaln(a)).sum() + (columns * jnp.log(b)).sum()
    cost += (examples.weights * (jnp.log(nonzero_or_one(λ)) - 1)).sum()
    return -examples.average(cost + choices.divergence)
