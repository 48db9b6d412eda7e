"""The further measures as the laws ask them: problems, the call, and the oracle of each row."""

from collections.abc import Callable
from typing import Any, NamedTuple

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


CASES = {
    "ms_leep": _of_sources("ms_leep"),
    "e_leep": _of_sources("e_leep"),
    "greedy_ensemble": _of_sources("greedy_ensemble", 2),
}
