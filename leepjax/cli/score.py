"""``leepjax score``: score arrays on disk."""

from typing import Literal

from leepjax.cli.options import TextPath, names_of
from leepjax.tables import Format


def score(
    evidence: TextPath,
    labels: TextPath,
    /,
    *,
    kind: Literal["probs", "logits", "features"] = "probs",
    measures: str | None = None,
    num_classes: int | None = None,
    resamples: int = 200,
    seed: int = 0,
    format: Format = "table",
) -> None:
    """Score arrays on disk: evidence.npy [n z] or [n d], and labels.npy [n].

    Parameters
    ----------
    evidence
        Source probabilities, logits or features, one row per example: .npy, CSV (with or without a header), JSON lines
        (lists, or objects with probs, logits or features and label), or - for stdin. Columns of ids, of row numbers
        and without numbers are left out.
    labels
        Target classes as integers or names in the same formats; the same file again if it has a column label.
    kind
        Kind of evidence.
    measures
        Names separated by commas, or all; by default the measures of the LEEP paper and closely related ones (leepjax
        ls measures) that read this kind.
    num_classes
        Number of target classes; by default one more than the largest label.
    resamples
        Bootstrap resamples for the intervals, at least 10; 0 for none. Without them a large .npy is read in batches by
        the measures that stream; with them the evidence is held in memory.
    seed
        Seed of the bootstrap.
    format
        Output format.
    """
    from leepjax.ranking.score import score_arrays
    from leepjax.tables import render

    rows = score_arrays(
        evidence, labels, kind, names_of(measures), num_classes=num_classes, resamples=resamples, seed=seed
    )
    print(render(rows, format))  # noqa: T201
