"""JC-NCE (Tan et al., 2021): OTCE whose coupling prefers pairs of similar classes."""

import jax
import jax.numpy as jnp
import numpy as np
from jax.typing import ArrayLike

from leepjax.solvers.transport import check_samples, conditional_entropy, coupling, solver, squared_distances
from leepjax.types import InputError


def jc_nce(
    source_features: ArrayLike,
    source_labels: ArrayLike,
    features: ArrayLike,
    labels: ArrayLike,
    *,
    share: float = 0.5,
    source_where: ArrayLike | None = None,
    where: ArrayLike | None = None,
) -> jax.Array:
    """How well the source's labels predict the target's, when similar examples of similar classes are paired.

    `otce` pairs examples by their features alone. Here the cost of a pair includes the distance of its classes: W(z, y)
    is the least cost of transporting the source's examples of class z to the target's of class y, and

        cost of (s, t) = λ ‖x_s − x_t‖² + (1 − λ) W(z_s, y_t)

    The coupling has the least total cost, and the score is −H(Y|Z) of the labels that it pairs.

    Args:
        source_features: [n_s d] finite numbers, the source's features of its own data.
        source_labels: [n_s] integers ≥ 0, the classes of these examples.
        features: [n d] the same source's features of the target.
        labels: [n] integers ≥ 0, the target's classes.
        share: λ in [0, 1]; at 1 it is `otce`.
        source_where: [n_s] mask of the source's examples that count, or non-negative weights.
        where: [n] the same for the target's.

    Returns:
        A scalar in [−H(Y), 0], in nats, higher is better.

    Raises:
        InputError: for a share outside [0, 1], features that aren't finite or differ in width, negative labels,
            shapes that don't fit, or if the extra ``ot`` isn't installed.

    >>> from leepjax import jc_nce
    >>> print(f"{jc_nce([[0.0], [1], [5], [6]], [0, 0, 1, 1], [[0.0], [4], [2], [6]], [0, 0, 0, 1]):.4f}")
    -0.3466

    Notes:
        Exact and on the host, as `otce`, with one more coupling for each pair of classes. A published implementation
        multiplies the distance of two class means by the mass that a coupling of the means gives to the pair, so that
        classes far apart cost nothing; here the paper's definition is used.

    Reference:
        Tan, Li, Huang, *Practical Transferability Estimation for Image Classification Tasks*, 2021, arXiv:2106.10479;
        JC-OTCE in *Transferability-Guided Cross-Domain Cross-Task Transfer Learning*, TNNLS 2024, arXiv:2207.05510.
    """
    if not 0 <= share <= 1:
        raise InputError(f"jc_nce: expected share in [0, 1], got {share}; pass the weight of the examples' distance.")
    evidence = source_features, source_labels, features, labels
    source, target = check_samples("jc_nce", *evidence, source_where, where)
    emd = solver("jc_nce")
    cost, _ = squared_distances(source, target)
    if share < 1:
        cost = share * cost + (1 - share) * _between_classes(emd, source, target, cost)
    plan = coupling(emd, source, target, cost)
    return jnp.asarray(-conditional_entropy(plan, source, target))


def _between_classes(emd, source, target, cost):
    """[n_s n] W(z_s, y_t)."""
    distances = np.zeros((source.num_classes, target.num_classes))
    for z in np.unique(source.labels):
        for y in np.unique(target.labels):
            block = cost[np.ix_(source.labels == z, target.labels == y)]
            plan = coupling(emd, source.of_class(z), target.of_class(y), block)
            distances[z, y] = (plan * block).sum()
    return distances[source.labels][:, target.labels]
