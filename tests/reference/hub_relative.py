"""Scores relative to the other sources of a hub: NCTI (Wang et al., ICCV 2023), ETran (Gholami et al., 2023)."""

from collections.abc import Sequence

import numpy as np
from scipy.special import logsumexp

from reference.fisher import own, posteriors, scatter, shrunk, standing, whitener, within
from reference.sums import Array, Weights, centred, select, svd


def _principal(features: Array, w: Array, count: int) -> Array:
    """The centred features in the `count` leading directions of their covariance; those without variance are zero."""
    x = centred(features, w)
    directions = svd(np.sqrt(w)[:, None] * x)[2][:count]
    projected = np.zeros((len(x), count))
    projected[:, : len(directions)] = x @ directions.T
    return projected


def _nuclear(x: Array) -> float:
    return float(np.linalg.svd(x, compute_uv=False).sum())


def ncti_terms(features: Array, labels: Array, where: Weights = None) -> tuple[float, float, float]:
    """How far within-class variability has collapsed (less is better), how near the class means are to a simplex, and
    how well the nearest center predicts: S_vc, S_seli and S_ncc."""
    w, features, labels = select(where, features, labels)
    root = np.sqrt(w)[:, None]
    x = _principal(features, w, min(64, features.shape[1]))
    total, s_w = scatter(x, w), within(x, labels, w)
    if np.trace(s_w) <= 1e-20 * np.trace(total):
        return float("nan"), float("nan"), float("nan")
    shrinkage = max(np.exp(-np.sum(np.diag(total)[:32])), 1e-10)
    inside = shrunk(s_w, shrinkage)
    # (T(a) - W(a)) v = r W(a) v has the same v, in the same order, with a multiple of W(a) less on the left, which
    # leaves (1 - a) (T - W - k W), k = tr(T - W) / tr W: nothing cancels where a is near 1.
    between = total - s_w - np.trace(total - s_w) / np.trace(s_w) * s_w
    a = whitener(inside)
    ratios, u = np.linalg.eigh(a.T @ between @ a)
    leading = np.argsort(-ratios)[: len(np.unique(labels)) - 1]
    simplex = _nuclear(root * (x @ a @ u[:, leading]))
    p = posteriors(x, labels, w, a)
    collapse = np.log(sum(_nuclear((root * p)[labels == label]) for label in np.unique(labels)))
    return float(collapse), simplex, own(p, labels, w)


def ncti(hub: Sequence[Array], labels: Array, where: Weights = None) -> Array:
    """[m] the standings of S_seli and S_ncc minus that of S_vc."""
    collapse, simplex, center = np.array([ncti_terms(features, labels, where) for features in hub]).T
    return standing(simplex) + standing(center) - standing(collapse)


def energy_score(logits: Array, share: float = 1.0, where: Weights = None) -> float:
    """The mean of log sum_z exp(logit_z) over the examples that have the least, `share` of the weight of all."""
    w, logits = select(where, logits)
    left = share * w.sum()
    total = 0.0
    energies = logsumexp(logits, axis=1)
    for i in np.argsort(energies, kind="stable"):
        taken = min(w[i], left)
        total, left = total + taken * energies[i], left - taken
    return float(total / (share * w.sum()))


def classification_score(features: Array, labels: Array, where: Weights = None) -> float:
    """The mean posterior of the own class, with S_W shrunk by max(exp(-5 lambda_max(S_W)), 1e-10)."""
    w, features, labels = select(where, features, labels)
    x = centred(features, w)
    s_w = within(x, labels, w)
    if np.trace(s_w) <= 1e-20 * np.trace(scatter(x, w)):
        return float("nan")
    inside = shrunk(s_w, max(np.exp(-5 * np.linalg.eigvalsh(s_w)[-1]), 1e-10))
    return own(posteriors(x, labels, w, whitener(inside)), labels, w)


def etran(
    hub_features: Sequence[Array],
    hub_logits: Sequence[Array],
    labels: Array,
    weights: tuple[float, float] = (1.0, 1.0),
    where: Weights = None,
) -> Array:
    """[m] the weighted standings of the energy score and the classification score."""
    energy = standing([energy_score(logits, where=where) for logits in hub_logits])
    return weights[0] * energy + weights[1] * standing(
        [classification_score(features, labels, where) for features in hub_features]
    )
