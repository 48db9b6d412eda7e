"""``leepjax verify``: compare scores with accuracies measured elsewhere."""

import sys
from pathlib import Path
from typing import Literal

from leepjax.cli.options import TextPath, names_of
from leepjax.printable import printable
from leepjax.tables import Format
from leepjax.types import InputError


def verify(
    records: TextPath,
    /,
    *,
    truth: TextPath,
    accuracy: str = "accuracy",
    measures: str | None = None,
    over: Literal["sources", "targets"] = "sources",
    seed: int = 0,
    format: Format = "table",
) -> None:
    """Compare scores with accuracies that you measured: correlations, regret and more, with intervals.

    Below 30 items, correlations have Fisher's interval (Pearson) or that of an inverted test; all others a bootstrap's.

    Parameters
    ----------
    records
        Records of rank or sweep (results.jsonl, its folder, or their CSV), a study's outcomes.jsonl, or a CSV with the
        columns source (or model), target (or dataset) if there are several, and one per measure.
    truth
        A CSV, or JSON lines of objects, with the columns source (or model), target (or dataset) if there are several,
        and accuracy; - for stdin, here or for the records.
    accuracy
        The column of accuracies, or of any other number where higher is better.
    measures
        Names separated by commas; all by default.
    over
        sources: for each target, do the scores order the sources? targets: for each source, do they order the targets?
    seed
        Seed of the bootstrap.
    format
        Output format; with JSON and CSV, items without a partner are reported on stderr.
    """
    from leepjax.agreement.score_files import read_scores, read_truth
    from leepjax.agreement.truth import verify as hold

    if records == truth == Path("-"):
        raise InputError(
            "verify: expected only one of records and truth on stdin, got both; pass a file for one of them."
        )
    chosen = names_of(measures)
    verification = hold(read_scores(records, chosen, accuracy), read_truth(truth, accuracy), over=over, seed=seed)
    print(verification.render(format))  # noqa: T201
    if format in ("json", "csv"):
        print("\n".join(map(printable, verification.remarks())), file=sys.stderr)  # noqa: T201
