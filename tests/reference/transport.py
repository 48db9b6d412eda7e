"""OTCE and JC-NCE: the label entropy under an optimal coupling of source and target examples (Tan et al., 2021)."""

import numpy as np
from scipy.optimize import linprog

from reference.sums import Array, Weights, select


def squared_distances(x: Array, y: Array) -> Array:
    """|x_i - y_j|^2."""
    return np.array([[np.sum((a - b) ** 2) for b in y] for a in x])


def cheapest_coupling(cost: Array, a: Array, b: Array) -> Array:
    """The coupling of the marginals a and b that minimises sum P C, as a linear program."""
    n, m = cost.shape
    rows, columns = np.kron(np.eye(n), np.ones(m)), np.kron(np.ones(n), np.eye(m))
    # Costs of size one, as the solver's tolerances are absolute.
    scaled = cost.ravel() / (np.median(cost) or 1)
    solved = linprog(scaled, A_eq=np.vstack([rows, columns])[:-1], b_eq=np.concatenate([a, b])[:-1])
    return np.where(solved.x > 1e-12, solved.x, 0).reshape(n, m)


def label_table(coupling: Array, source_labels: Array, labels: Array) -> Array:
    """P(z, y) = the mass that the coupling carries from source class z to target class y."""
    table = np.zeros((source_labels.max() + 1, labels.max() + 1))
    for i, z in enumerate(source_labels):
        for j, y in enumerate(labels):
            table[z, y] += coupling[i, j]
    return table


def neg_conditional_entropy(table: Array) -> float:
    """-H(Y|Z) = sum over z, y of P(z,y) log (P(z,y) / P(z)), where 0 log 0 = 0."""
    of_source = table.sum(axis=1)
    return float(sum(table[z, y] * np.log(table[z, y] / of_source[z]) for z, y in zip(*np.nonzero(table), strict=True)))


def _marginals(where: Weights, features: Array, labels: Array) -> tuple[Array, Array, Array]:
    w, features, labels = select(where, features, labels)
    return w / w.sum(), features, labels


def otce_terms(
    source_features: Array,
    source_labels: Array,
    features: Array,
    labels: Array,
    source_where: Weights = None,
    where: Weights = None,
) -> tuple[float, float]:
    """The domain difference W = sum P C, C the squared distances and P the cheapest coupling, and the task difference
    H(Y|Z) of the labels that P pairs."""
    a, x, z = _marginals(source_where, source_features, source_labels)
    b, f, y = _marginals(where, features, labels)
    cost = squared_distances(x, f)
    coupling = cheapest_coupling(cost, a, b)
    return float(np.sum(coupling * cost)), -neg_conditional_entropy(label_table(coupling, z, y))


def otce(*evidence: Array, source_where: Weights = None, where: Weights = None) -> float:
    """-H(Y|Z)."""
    return -otce_terms(*evidence, source_where=source_where, where=where)[1]


def jc_nce(
    source_features: Array,
    source_labels: Array,
    features: Array,
    labels: Array,
    share: float = 0.5,
    source_where: Weights = None,
    where: Weights = None,
) -> float:
    """-H(Y|Z) of the cheapest coupling where half of the cost (`share` of it) is the squared distance and half what it
    costs to carry the examples of the one's class to those of the other's."""
    a, x, z = _marginals(source_where, source_features, source_labels)
    b, f, y = _marginals(where, features, labels)
    distances = squared_distances(x, f)
    cost = share * distances
    for p in np.unique(z):
        for q in np.unique(y):
            block = np.ix_(z == p, y == q)
            carried = cheapest_coupling(distances[block], a[z == p] / a[z == p].sum(), b[y == q] / b[y == q].sum())
            cost[block] += (1 - share) * np.sum(carried * distances[block])
    return neg_conditional_entropy(label_table(cheapest_coupling(cost, a, b), z, y))
