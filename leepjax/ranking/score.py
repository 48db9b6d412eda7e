"""Scores of evidence and labels in files."""

import logging
from collections.abc import Sequence
from functools import partial
from pathlib import Path
from typing import Literal

import numpy as np
from threadpoolctl import threadpool_limits

from leepjax.checks.arrays import check_features, check_labels, check_probs
from leepjax.data.embeddings.distributions import are_distributions
from leepjax.data.labels import class_numbers
from leepjax.inputs.rounding import check_rounding
from leepjax.measures import MEASURES, Measure
from leepjax.measures.streamed import softmax_of, streamed_scores
from leepjax.measures.table import chosen
from leepjax.ranking.bootstrap import (
    bootstrap_weights,
    check_resamples,
    ends_of_range,
    interval,
    score_with_draws,
    warn_of_few_resamples,
)
from leepjax.ranking.score_input import read_evidence_and_labels
from leepjax.tables import Row
from leepjax.types import InputError, check_whole, unknown_name


def score_arrays(
    evidence: Path,
    labels: Path,
    kind: Literal["probs", "logits", "features"],
    measures: Sequence[str] | None = None,
    *,
    num_classes: int | None = None,
    resamples: int = 200,
    confidence: float = 0.95,
    seed: int = 0,
) -> list[Row]:
    """A row per measure: its score and bootstrap interval, None where undefined.

    Raises:
        InputError: for files that aren't ``.npy`` arrays, CSV or JSON lines, for invalid values, or for measures that
            read another kind of evidence.
    """
    chosen = _choose(kind, measures)
    check_resamples("score", resamples)
    warn_of_few_resamples(resamples, confidence)
    check_whole("score", "seed", seed, 0)
    array, found_labels = read_evidence_and_labels(evidence, labels, kind)
    if kind == "logits" and are_distributions(array, array.dtype):
        raise InputError(
            "score: expected logits, got probabilities, which are >= 0 and sum to 1 in each row; pass --kind probs."
        )
    if kind == "features":  # check before the features are streamed in float32
        check_rounding("score", "features", array, also="")
    label_array = _class_numbers(found_labels, labels, num_classes)
    found = {} if resamples else _streamed(array, label_array, kind, chosen, num_classes)
    if rest := [measure for measure in chosen if measure.name not in found]:
        with threadpool_limits(1, "blas"):  # as in `rank`: LAPACK rounds by its threads
            found |= _held(array, label_array, kind, rest, num_classes, resamples, confidence, seed)
    return [_row(measure, *found[measure.name]) for measure in chosen]


_OTHER_KINDS = "pass --kind logits or --kind features"
_Numbers = tuple[float, float, float]
"""A score and the ends of its interval."""


def _streamed(
    array: np.ndarray, labels: np.ndarray, kind: str, measures: Sequence[Measure], num_classes: int | None
) -> dict[str, _Numbers]:
    """Scores computed batch by batch, except those that float32 can't resolve; none at all if a batch is invalid."""
    streaming = [measure for measure in measures if measure.streams]
    if not streaming or array.ndim != 2 or 0 in array.shape or len(array) != len(labels) or array.dtype.kind == "c":
        return {}
    _, _, count = check_labels("score", labels, num_classes, None)
    try:
        scores = streamed_scores(streaming, array, labels, count, from_logits=kind == "logits")
    except InputError:  # the later check of all rows names the invalid one
        return {}
    return {name: (value, np.nan, np.nan) for name, value in scores.items() if not np.isnan(value)}


def _held(
    array: np.ndarray,
    labels: np.ndarray,
    kind: str,
    measures: Sequence[Measure],
    num_classes: int | None,
    resamples: int,
    confidence: float,
    seed: int,
) -> dict[str, _Numbers]:
    """Scores of evidence that is in memory, or memory-mapped, as a whole."""
    if kind == "logits":
        check_features("score", array, labels, num_classes, None, name="logits")
        array = softmax_of(array, labels)
    check = check_features if kind == "features" else partial(check_probs, advice=_OTHER_KINDS)
    evidence, checked, _, count = check("score", array, labels, num_classes, None)
    features, probs = (evidence, None) if kind == "features" else (None, evidence)
    weights, found = bootstrap_weights(len(labels), resamples, seed), {}
    for measure in measures:
        value, draws = score_with_draws(measure.name, features, probs, checked, count, weights)
        found[measure.name] = (value, *interval(value, draws, confidence, ends_of_range(measure.name, array, checked)))
    return found


def _row(measure: Measure, *numbers: float) -> Row:
    shown = (value if np.isfinite(value) else None for value in numbers)
    return {"measure": measure.name, **dict(zip(("score", "low", "high"), shown, strict=True)), "range": measure.range}


def _choose(kind: str, measures: Sequence[str] | None) -> list[Measure]:
    reads = ("features",) if kind == "features" else ("probs", "source_labels")
    if measures is not None and not measures:
        raise InputError("score: expected at least one measure, got none; name one or leave the choice out.")
    if measures is None or tuple(measures) == ("all",):
        return [MEASURES[name] for name in chosen(measures) if MEASURES[name].reads in reads]
    for name in measures:
        if name not in MEASURES:
            raise unknown_name("measures", name, MEASURES)
        if MEASURES[name].reads not in reads:
            raise InputError(f"score: {name} reads {MEASURES[name].reads}, got {kind}; pass --kind or another measure.")
    return [MEASURES[name] for name in measures]


def _class_numbers(labels: np.ndarray, path: Path, num_classes: int | None) -> np.ndarray:
    """Integer labels: names are numbered in sorted order, and, without a number of classes, numbers with wide gaps."""
    if labels.ndim == 2:
        raise InputError(
            f"score: expected one label per example, got shape {labels.shape} in {path}; "
            "pass class numbers; for one-hot rows, their argmax."
        )
    if labels.dtype.kind in "US":
        numbers, names = class_numbers("score", labels)
        logging.getLogger("leepjax").warning(
            "%s: labels are names; they count as the integers from 0 (%s) to %d (%s), in sorted order.",
            path,
            names[0],
            len(names) - 1,
            names[-1],
        )
        return numbers
    if labels.dtype.kind == "b" or (labels.dtype.kind == "f" and (labels == np.rint(labels)).all()):
        labels = labels.astype(np.int64)
    sized = num_classes is None and labels.ndim == 1 and labels.dtype.kind in "iu" and len(labels) > 0
    if sized and labels.min() >= 0 and labels.max() > len(labels):
        return class_numbers("score", labels)[0]
    return labels
