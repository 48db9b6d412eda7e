"""LEEP (Nguyen et al., ICML 2020)."""

from functools import partial

import jax
from jax.typing import ArrayLike

from leepjax.joint import Joint
from leepjax.measures.eep import eep_likelihood, mean_log_likelihood
from leepjax.validation import check_probs


def leep(
    probs: ArrayLike, labels: ArrayLike, *, num_classes: int | None = None, where: ArrayLike | None = None
) -> jax.Array:
    """Log Expected Empirical Prediction: how well a source's own classes explain the target's labels.

    The mean log-likelihood of the Expected Empirical Predictor (`eep`) on the set it was fitted on. θ(x_i) are the rows
    of `probs`, y_i the labels, and P̂(y, z) = (1/n) Σ_{i: y_i = y} θ(x_i)_z their empirical joint:

        T = (1/n) Σ_i log Σ_z P̂(y_i|z) θ(x_i)_z

    It bounds from below the log-likelihood that the best head on the source can reach (the paper's Property 1). The
    paper's Property 2, a bound by NCE, holds with the *soft* conditional only: with NCE's hard one, as printed, it is
    false (y = 0, 0, 1, 1 and rows (p, 1−p) twice, (1−p, p) twice at p = ¾: T = −0.470, printed bound −0.288).

    Args:
        probs: [n z] source probabilities; each row is non-negative and sums to one.
        labels: [n] integer target classes in [0, num_classes).
        num_classes: c; read from the labels when left out, needed under `jax.jit`.
        where: [n] mask of the examples that count, or non-negative weights (an example of weight 2 counts twice).

    Returns:
        A scalar in [−log n, 0], in nats, higher is better; never below −H(Y), which an uninformative source scores.
        NaN when no example counts. Two passes over `probs`, c·z numbers of memory beside them.

    Raises:
        ValueError: outside jit, for rows that aren't distributions, labels out of range or shapes that don't fit.

    >>> print(f"{leep(jnp.array([[0.9, 0.1], [0.2, 0.8]]), jnp.array([0, 1])):.4f}")
    -0.2911

    Reference:
        Nguyen, Hassner, Seeger, Archambeau, *LEEP: A New Measure to Evaluate Transferability of Learned
        Representations*, ICML 2020, arXiv:2002.12462, equation 2.
    """
    return _leep(*check_probs("leep", probs, labels, num_classes, where))


@partial(jax.jit, static_argnums=3)
def _leep(probs, labels, where, num_classes):
    joint = Joint.of(probs, labels, num_classes, where)
    return mean_log_likelihood(eep_likelihood(joint.conditional, probs, labels), where)
