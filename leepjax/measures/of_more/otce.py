"""OTCE (Tan et al., CVPR 2021): the labels that optimal transport pairs between a source's data and the target."""

from typing import NamedTuple

import jax
import jax.numpy as jnp
from jax.typing import ArrayLike

from leepjax.solvers.transport import check_samples, conditional_entropy, coupling, solver, squared_distances


class OTCETerms(NamedTuple):
    """How a target differs from a source's own data."""

    domain: jax.Array
    """[] the cost of transporting the source's examples to the target's, in squared units of the features"""
    task: jax.Array
    """[] H(Y|Z) of the labels that the transport pairs, in nats"""


def otce(
    source_features: ArrayLike,
    source_labels: ArrayLike,
    features: ArrayLike,
    labels: ArrayLike,
    *,
    source_where: ArrayLike | None = None,
    where: ArrayLike | None = None,
) -> jax.Array:
    """How well the source's labels predict the target's, when similar examples are paired.

    NCE needs one set of examples with both kinds of labels. Here the source's own data x_s with labels z are paired
    with the target's x_t with labels y by the cheapest coupling of their features,

        π = argmin Σ π_st ‖x_s − x_t‖²,   J(z, y) = Σ π_st over z_s = z, y_t = y,   −H(Y|Z) = Σ J(z, y) log J(z, y)/J(z)

    with the examples' masses as marginals. The paper's OTCE adds the cost to it, with a coefficient learned from tasks
    of known accuracy; the authors also recommend this form without the cost, known as F-OTCE. `otce_terms` has both
    terms.

    Args:
        source_features: [n_s d] finite numbers, the source's features of its own data.
        source_labels: [n_s] integers ≥ 0, the classes of these examples.
        features: [n d] the same source's features of the target.
        labels: [n] integers ≥ 0, the target's classes.
        source_where: [n_s] mask of the source's examples that count, or non-negative weights.
        where: [n] the same for the target's.

    Returns:
        A scalar in [−H(Y), 0], in nats, higher is better.

    Raises:
        InputError: for features that aren't finite or differ in width, negative labels, shapes that don't fit, or if
            the extra ``ot`` isn't installed.

    >>> from leepjax import otce
    >>> print(f"{otce([[0.0], [1], [5], [6]], [0, 0, 1, 1], [[0.0], [1], [2], [6]], [0, 1, 1, 1]):.4f}")
    -0.3466

    Notes:
        Exact, by the network simplex of POT, as in the authors' code; the paper regularises the coupling by its
        entropy. It runs on the host in float64, not under `jax.jit`: about (n_s n)^1.5 time, and memory for a few [n_s
        n] arrays of float64. Where several couplings cost the same, the score depends on which of them is found.

    Reference:
        Tan, Li, Huang, *OTCE: A Transferability Metric for Cross-Domain Cross-Task Representations*, CVPR 2021,
        arXiv:2103.13843, equations 2 to 6.
    """
    evidence = source_features, source_labels, features, labels
    return -_terms("otce", *evidence, source_where, where).task


def otce_terms(
    source_features: ArrayLike,
    source_labels: ArrayLike,
    features: ArrayLike,
    labels: ArrayLike,
    *,
    source_where: ArrayLike | None = None,
    where: ArrayLike | None = None,
) -> OTCETerms:
    """The two terms that the paper's OTCE combines with learned coefficients; lower is better in both.

    Arguments, errors and cost are those of `otce`.

    >>> from leepjax import otce_terms
    >>> terms = otce_terms([[0.0], [1], [5], [6]], [0, 0, 1, 1], [[0.0], [1], [2], [6]], [0, 1, 1, 1])
    >>> print(f"{terms.domain:.4f} {terms.task:.4f}")
    2.2500 0.3466
    """
    return _terms("otce_terms", source_features, source_labels, features, labels, source_where, where)


def _terms(function, *evidence) -> OTCETerms:
    source, target = check_samples(function, *evidence)
    cost, unit = squared_distances(source, target)
    plan = coupling(solver(function), source, target, cost)
    return OTCETerms(jnp.asarray((plan * cost).sum() * unit), jnp.asarray(conditional_entropy(plan, source, target)))
