"""Score arrays that a user already has on disk."""

from collections.abc import Sequence
from pathlib import Path
from typing import Literal

import jax
import numpy as np

from leepjax.bootstrap import bootstrap_weights, interval, score_with_draws
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
    array, label_array = read_npy("score", evidence), read_npy("score", labels)
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
