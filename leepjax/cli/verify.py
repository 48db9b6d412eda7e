"""``leepjax verify``: compare scores with accuracies measured elsewhere."""

import sys
from typing import Literal

from leepjax.cli.options import TextPath, names_of
from leepjax.printable import printable
from leepjax.tables import Format
from leepjax.types import Metric


def verify(
    records: TextPath,
    /,
    *,
    truth: TextPath,
    metric: Metric | None = None,
    accuracy: str | None = None,
    measures: str | None = None,
    over: Literal["sources", "targets"] = "sources",
    seed: int = 0,
    format: Format = "table",
) -> None:
    """Compare scores with accuracies that you measured: correlations, regret and more, with intervals.

    Over fewer than 30 items, correlations have Fisher's interval (Pearson) or that of an inverted test, otherwise a
    bootstrap's. Rel@k, Recall@k and regret have no intervals.

    Parameters
    ----------
    records
        Records of rank or sweep (results.jsonl, its folder, or their CSV), a study's outcomes.jsonl, or a CSV with the
        columns source (or model), target (or dataset) if there are several, and one per measure.
    truth
        A CSV, or JSON lines of objects, with the columns source (or model), target (or dataset) if there are several,
        and accuracy or another metric; - for stdin, here or for the records.
    metric
        What the truth states (lower log_loss and mae are better). By default accuracy, or the metric in --accuracy.
    accuracy
        The column of the truth that holds it; by default the one with the metric's name.
    measures
        Names separated by commas; all by default.
    over
        sources: for each target, do the scores order the sources? targets: for each source, do they order the targets?
    seed
        Seed of the bootstrap.
    format
        Output format; with JSON and CSV, items without a partner are reported on stderr.
    """
    from leepjax.agreement.verify_files import verify as verify_files

    verification = verify_files(
        records, truth, metric=metric, accuracy=accuracy, measures=names_of(measures), over=over, seed=seed
    )
    print(verification.render(format))  # noqa: T201
    if format in ("json", "csv"):
        print("\n".join(map(printable, verification.remarks())), file=sys.stderr)  # noqa: T201
