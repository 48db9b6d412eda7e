"""Scores in one file against accuracies, or another metric, in another file."""

import os
from collections.abc import Sequence
from pathlib import Path
from typing import get_args

from leepjax.agreement.score_files import read_scores, read_truth
from leepjax.agreement.truth import Over, Verification
from leepjax.agreement.truth import verify as verify_scores
from leepjax.storage.sheets import STDIN
from leepjax.types import InputError, Metric, check_whole, unknown_name


def verify(
    records: str | os.PathLike,
    truth: str | os.PathLike,
    *,
    metric: Metric | None = None,
    accuracy: str | None = None,
    measures: Sequence[str] | None = None,
    over: Over = "sources",
    seed: int = 0,
) -> Verification:
    """Compare scores with accuracies, or another metric, that were measured elsewhere.

    Args:
        records: what `rank` or `sweep` recorded (results.jsonl, its folder, or their CSV), a study's outcomes.jsonl, or
            a CSV with the columns source (or model), target (or dataset) if there are several, and one per measure.
        truth: a CSV, or JSON lines of objects, with the columns source (or model), target (or dataset) if there are
            several, and `accuracy`.
        metric: what the truth states: ``accuracy``, ``balanced_accuracy``, ``macro_f1``, ``log_loss`` (lower is
            better) or ``auroc``. By default the one that the column is named after, else ``accuracy``.
        accuracy: the column of the truth; by default the one with the metric's name.
        measures: names of measures; all by default.
        over: ``sources``: for each target, do the scores order the sources? ``targets``: for each source, do they order
            the targets?
        seed: of the bootstrap.

    Returns:
        A `Verification`; ``print`` shows its tables, ``.to_records()`` gives rows.

    Raises:
        InputError: for files, columns and cells that can't be read, two different values for one place, and fewer than
            three sources (or targets) with both numbers.
    """
    check_whole("verify", "seed", seed, 0)
    stated_metric = _metric(metric, accuracy)
    column = stated_metric if accuracy is None else accuracy
    scored, stated = Path(records), Path(truth)
    if scored == stated == STDIN:
        raise InputError(
            "verify: expected only one of records and truth on stdin, got both; pass a file for one of them."
        )
    scores = read_scores(scored, measures, column, stated_metric)
    accuracies = read_truth(stated, column, stated_metric)
    return verify_scores(scores, accuracies, over=over, metric=stated_metric, seed=seed)


def _metric(metric: Metric | None, column: str | None) -> Metric:
    """The metric, by default the one that the column is named after, or accuracy."""
    known: dict[str, Metric] = {name: name for name in get_args(Metric)}
    if metric is None:
        return known.get(column or "", "accuracy")
    if metric not in known:
        raise unknown_name("verify: metric", metric, tuple(known))
    return metric
