"""Score arrays that a user already has on disk."""

from collections.abc import Sequence
from pathlib import Path
from typing import Literal

import jax
import numpy as np

from leepjax.bootstrap import bootstrap_weights, interval, score_with_draws
from leepjax.data.labels import class_numbers
from leepjax.measures import MEASURES, Measure, chosen
from leepjax.npy import read_npy
from leepjax.tables import Row
from leepjax.types import InputError, unknown_name
from leepjax.validation import check_features, check_probs


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
    """A row for each measure: its score and its bootstrap interval, None where undefined.

    Raises:
        InputError: for files that aren't ``.npy`` arrays, values a measure can't read, or measures that read something
            else.
    """
    chosen = _choose(kind, measures)
    if resamples < 0:
        raise InputError(f"score: resamples must be >= 0, got {resamples}; 0 leaves intervals out.")
    array, label_array = read_npy("score", evidence, mapped=True), _read_labels(labels, num_classes)
    if kind == "logits":
        check_features("score", array, label_array, num_classes, None)
        array = np.asarray(jax.nn.softmax(array.astype(np.float32), axis=1))
    check = check_features if kind == "features" else check_probs
    array, label_array, _, num_classes = check("score", array, label_array, num_classes, None)
    weights = bootstrap_weights(len(label_array), resamples, seed)
    rows = []
    for measure in chosen:
        features, probs = (array, None) if kind == "features" else (None, array)
        value, draws = score_with_draws(measure.name, features, probs, label_array, num_classes, weights)
        low, high = interval(value, draws, confidence)
        numbers = {"score": value, "low": low, "high": high}
        rows.append(
            {"measure": measure.name, **{k: v if np.isfinite(v) else None for k, v in numbers.items()}}
            | {"range": measure.range}
        )
    return rows


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


def _read_labels(path: Path, num_classes: int | None) -> np.ndarray:
    """Integer labels; without a number of classes, numbers with wide gaps are renumbered."""
    labels = read_npy("score", path)
    if labels.dtype.kind in "US":
        raise InputError(f"score: labels must be integers, got {labels.dtype} in {path}; pass class numbers.")
    if labels.dtype.kind == "b" or (labels.dtype.kind == "f" and (labels == np.rint(labels)).all()):
        labels = labels.astype(np.int64)
    sized = num_classes is None and labels.ndim == 1 and labels.dtype.kind in "iu" and len(labels) > 0
    if sized and labels.min() >= 0 and labels.max() > len(labels):
        return class_numbers("score", labels)[0]
    return labels
