"""PACTran with a Dirichlet prior (Ding et al., ECCV 2022)."""

from functools import partial

import jax
import jax.numpy as jnp
from jax.scipy.special import digamma, gammaln
from jax.typing import ArrayLike

from leepjax.measures.of_probs.source_choices import Examples, check_positive, check_steps
from leepjax.measures.shell import score_probs


def pactran_dirichlet(
    probs: ArrayLike,
    labels: ArrayLike,
    *,
    prior: float = 1.0,
    num_steps: int = 10,
    num_classes: int | None = None,
    where: ArrayLike | None = None,
) -> jax.Array:
    """PAC-Bayesian bound of a head that translates source classes: LEEP's predictor under a Dirichlet prior.

    The head is p(y|x) = Σ_z V_yz θ(x)_z, whose columns V_·z have the prior Dir(a⁰), a⁰_y = α n_y/n, around the labels'
    shares. Its log marginal likelihood per example bounds how well heads of this kind generalise. The score is a lower
    bound of it, with a distribution q_i over source classes for each example. With n_yz = Σ_{i: y_i = y} q_iz,
    a = a⁰ + n and the digamma function ψ, the steps start from q = θ and alternate between a and

        q_iz ∝ θ(x_i)_z exp(ψ(a_{y_i z}) − ψ(Σ_y a_yz))

    After the last step the score is

        (1/n) (Σ_z (log B(a_z) − log B(a⁰)) − Σ_i Σ_z q_iz log(q_iz / θ(x_i)_z)),   B(a) = Π_y Γ(a_y) / Γ(Σ_y a_y)

    Args:
        probs: [n z] source probabilities; each row is non-negative and sums to one.
        labels: [n] integer target classes in [0, num_classes).
        prior: α > 0, the prior's strength in examples for each source class.
        num_steps: number of steps ≥ 0 (10 in the paper's code); more steps never lower the bound.
        num_classes: c; read from the labels when left out, needed under `jax.jit`.
        where: [n] mask of the examples that count, or non-negative weights.

    Returns:
        A scalar ≤ 0, in nats per example, higher is better; 0 for one class. NaN when no example counts. Each step
        reads `probs` three times and writes arrays as large; no array is examples × target × source classes.

    Raises:
        ValueError: for a `prior` that isn't positive or a `num_steps` that isn't an int ≥ 0; outside jit, for rows that
            aren't distributions, labels out of range or shapes that don't fit.

    >>> from leepjax import pactran_dirichlet
    >>> print(f"{pactran_dirichlet([[0.9, 0.1], [0.2, 0.8]], [0, 1]):.4f}")
    -0.8313

    Notes:
        As in the authors' code: α = 1, the prior around the labels' shares, ten steps from θ. Unlike there, higher is
        better; the sum is divided by n, not by n·c; nothing is added to the prior and to θ (1e-10); and a is
        computed from the last q, where theirs is from the step before.

    Reference:
        Ding, Chen, Levinboim, Changpinyo, Soricut, *PACTran: PAC-Bayesian Metrics for Estimating the Transferability of
        Pretrained Models to Classification Tasks*, ECCV 2022, arXiv:2203.05126.
    """
    check_positive("pactran_dirichlet", "prior", prior)
    steps = check_steps("pactran_dirichlet", num_steps)
    options = {"prior": prior, "num_steps": steps}
    return score_probs("pactran_dirichlet", _pactran_dirichlet, probs, labels, num_classes, where, **options)


@partial(jax.jit, static_argnames=("num_classes", "num_steps"))
def _pactran_dirichlet(probs, labels, where, num_classes, prior, num_steps):
    examples = Examples.of(probs, labels, where, num_classes)
    present, a0 = examples.present, examples.prior(prior)

    def posterior(table):
        """The shapes a [c z], 1 for absent classes, and Σ_y a [z]."""
        return jnp.where(present, a0 + table, 1), prior + table.sum(axis=0)

    def step(choices, _):
        a, columns = posterior(choices.table)
        ψ = digamma(jnp.concatenate([a, columns[None]]))
        return examples.choose(ψ[:-1] - ψ[-1:]), None

    choices, _ = jax.lax.scan(step, examples.start(), length=num_steps)
    a, columns = posterior(choices.table)
    gain = (gammaln(a) - gammaln(jnp.where(present, a0, 1))).sum() - (gammaln(columns) - gammaln(prior)).sum()
    return examples.average(gain - choices.divergence)
