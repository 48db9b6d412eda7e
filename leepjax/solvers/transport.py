"""Optimal transport between a source's examples and a target's, and the labels that it pairs."""

from collections.abc import Callable
from typing import Any, NamedTuple

import numpy as np
from jax.typing import ArrayLike

from leepjax.checks.arrays import Arguments, check_features
from leepjax.checks.single import on_host
from leepjax.types import InputError

# Maximal number of pivots of the network simplex, far more than a few thousand examples need.
MOST_PIVOTS = 10_000_000


class Sample(NamedTuple):
    """The examples that count, on the host, in float64."""

    features: np.ndarray
    """[n d]"""
    labels: np.ndarray
    """[n]"""
    mass: np.ndarray
    """[n] weights, which sum to one"""
    num_classes: int

    def of_class(self, label: int) -> "Sample":
        """The examples of one class, with weights that sum to one."""
        chosen = self.labels == label
        mass = self.mass[chosen]
        return Sample(self.features[chosen], self.labels[chosen], mass / mass.sum(), self.num_classes)


def check_samples(
    function: str,
    source_features: ArrayLike,
    source_labels: ArrayLike,
    features: ArrayLike,
    labels: ArrayLike,
    source_where: ArrayLike | None,
    where: ArrayLike | None,
) -> tuple[Sample, Sample]:
    """Check the source's and the target's examples, whose features must come from the same network."""
    try:
        source = check_features(function, source_features, source_labels, None, source_where)
    except InputError as error:
        message = str(error).replace("labels", "source_labels").replace("num_classes", "their number")
        raise InputError(message.replace("features", "source_features").replace(" where", " source_where")) from None
    target = check_features(function, features, labels, None, where)
    widths = source.evidence.shape[1], target.evidence.shape[1]
    if widths[0] != widths[1]:
        raise InputError(
            f"{function}: expected features of one width, got {widths[0]} of the source's data and {widths[1]} of the "
            "target's; pass features of both from the same network."
        )
    return _sample(source), _sample(target)


def solver(function: str) -> Callable[..., Any]:
    """Import POT's exact solver."""
    try:
        from ot import emd
    except ImportError:
        raise InputError(f"{function}: expected the package POT, got none; pip install 'leepjax[ot]'.") from None
    return emd


def coupling(emd: Callable[..., Any], source: Sample, target: Sample, cost: np.ndarray) -> np.ndarray:
    """[n_s n] the transport plan of least cost, for costs [n_s n] per unit of mass."""
    return np.asarray(emd(source.mass, target.mass, np.ascontiguousarray(cost), numItermax=MOST_PIVOTS))


def squared_distances(source: Sample, target: Sample) -> tuple[np.ndarray, float]:
    """[n_s n] ‖x − f‖² divided by a unit, and the unit: POT compares costs with an absolute tolerance."""
    centre = target.features.mean(axis=0)
    x, f = source.features - centre, target.features - centre
    size = max(np.abs(x).max(), np.abs(f).max())
    unit = 2.0 ** np.floor(np.log2(size)) if size > 0 else 1.0
    x, f = x / unit, f / unit
    return np.maximum((x**2).sum(axis=1)[:, None] + (f**2).sum(axis=1) - 2 * x @ f.T, 0), float(unit**2)


def conditional_entropy(plan: np.ndarray, source: Sample, target: Sample) -> float:
    """H(Y|Z) of target labels given source labels, under a transport plan [n_s n]."""
    pairs = np.eye(source.num_classes)[source.labels].T @ plan @ np.eye(target.num_classes)[target.labels]
    conditional = pairs / np.where(pairs > 0, pairs.sum(axis=1, keepdims=True), 1)
    return max(-float((pairs * np.log(np.where(pairs > 0, conditional, 1))).sum()), 0.0)


def _sample(arguments: Arguments) -> Sample:
    features, labels, where, num_classes = arguments
    mass = np.ones(len(labels)) if where is None else on_host(where).astype(np.float64)
    counted = mass > 0
    mass = mass[counted]
    return Sample(
        on_host(features)[counted].astype(np.float64), on_host(labels)[counted], mass / mass.sum(), num_classes
    )
