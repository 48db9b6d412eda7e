"""The further measures as the laws test them: problems, the call, and the oracle of each row."""

from collections.abc import Callable
from typing import Any, NamedTuple

import jax.numpy as jnp
import numpy as np
import reference
from cases import TALL, problem

import leepjax as lj

N, CLASSES = TALL[0], TALL[3]


class Asked(NamedTuple):
    """What a further measure reads of examples: arrays whose first axis is the examples."""

    evidence: tuple[np.ndarray, ...]
    """of floats; what is differentiated"""
    labels: np.ndarray
    where: np.ndarray | None

    def take(self, rows):
        where = None if self.where is None else self.where[rows]
        return Asked(tuple(array[rows] for array in self.evidence), self.labels[rows], where)

    def astype(self, dtype):
        floats = np.issubdtype(self.labels.dtype, np.floating)
        labels = self.labels.astype(dtype) if floats else self.labels
        return Asked(tuple(array.astype(dtype) for array in self.evidence), labels, self.where)


class Case(NamedTuple):
    ask: Callable[..., Asked]
    """a seed and options of `cases.problem` → what is asked"""
    score: Callable[..., Any]
    """(evidence, labels, where) → the score"""
    oracle: Callable[..., Any]
    smooth: bool = True
    slow: bool = False
    """whether the oracle takes long"""


def several_sources(seed, **options):
    """Three sources, of different numbers of classes."""
    base = problem(seed, **options)
    others = [problem(seed + i, (N, 1, z, CLASSES), **options).probs for i, z in ((1, 6), (2, 2))]
    return Asked((base.probs, *others), base.labels, base.where)


def _of_sources(name, *extra):
    function, oracle = getattr(lj, name), getattr(reference, name)
    return Case(
        several_sources,
        lambda probs, labels, where: function(probs, labels, *extra, num_classes=CLASSES, where=where),
        lambda probs, labels, where: oracle(probs, labels, *extra, CLASSES, where=where),
        smooth=name != "greedy_ensemble",
    )


def real_targets(seed, reads="features", **options):
    """Two columns: one that the features explain in part, far from zero, and one of noise."""
    base, draw = problem(seed, **options), np.random.default_rng(seed)
    evidence = getattr(base, reads)
    explained = evidence @ draw.normal(size=evidence.shape[1]) + 5
    targets = np.stack([explained, np.zeros(N)], axis=1) + draw.normal(size=(N, 2))
    return Asked((evidence,), targets.astype(np.float32), base.where)


def _of_targets(name, reads, *extra):
    function, oracle = getattr(lj, name), getattr(reference, name)
    options = {"l2": extra[0]} if extra else {}
    return Case(
        lambda seed, **kinds: real_targets(seed, reads, **kinds),
        lambda evidence, targets, where: function(evidence[0], targets, **options, where=where),
        lambda evidence, targets, where: oracle(evidence[0], targets, *extra, where=where),
        slow="logme" in name,
    )


def several_labels(seed, reads="features", **options):
    """Four labels: the three classes in turn, and one that no example has."""
    base = problem(seed, **options)
    labels = (base.labels[:, None] == np.arange(4)).astype(np.int32)
    labels[np.random.default_rng(seed).random(labels.shape) < 0.2] ^= 1
    labels[:, 3] = 0
    evidence = getattr(base, reads)
    return Asked((evidence,), labels, base.where)


def _of_labels(name, reads):
    function, oracle = getattr(lj, name), getattr(reference, name)
    return Case(
        lambda seed, **kinds: several_labels(seed, reads, **kinds),
        lambda evidence, labels, where: function(evidence[0], labels, where=where),
        lambda evidence, labels, where: oracle(evidence[0], labels, where),
        slow="logme" in name,
    )


def _predicted(probs):
    return np.argmax(probs, axis=1) if isinstance(probs, np.ndarray) else jnp.argmax(jnp.asarray(probs), axis=1)


CASES = {
    "ms_leep": _of_sources("ms_leep"),
    "e_leep": _of_sources("e_leep"),
    "greedy_ensemble": _of_sources("greedy_ensemble", 2),
    "linear_mse": _of_targets("linear_mse", "features", 1.0),
    "label_mse": _of_targets("label_mse", "probs", 0.01),
    "logme_regression": _of_targets("logme_regression", "features"),
    "multilabel_leep": _of_labels("multilabel_leep", "probs"),
    "multilabel_nce": Case(
        lambda seed, **kinds: several_labels(seed, "probs", **kinds),
        lambda probs, labels, where: lj.multilabel_nce(
            _predicted(probs[0]), labels, num_source_classes=TALL[2], where=where
        ),
        lambda probs, labels, where: reference.multilabel_nce(_predicted(probs[0]), labels, TALL[2], where),
        smooth=False,
    ),
    "multilabel_logme": _of_labels("multilabel_logme", "features"),
    "multilabel_h_score": _of_labels("multilabel_h_score", "features"),
}
