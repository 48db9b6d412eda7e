"""How much do half precision in the files and bfloat16 in the network change the scores?

python benchmarks --size full precision

For five shipped sources on the digits, it reports each measure's largest change of a score, which must be far smaller
than the range of scores over the sources, also reported.
"""

import tempfile
from collections.abc import Sequence
from pathlib import Path

import numpy as np
from measuring import report, size

import leepjax as lj
from leepjax.extraction.table import read_table

CASES = {
    "features and logits stored as float16": {"storage": "float16"},
    "probabilities stored as float16": {"evidence": "probs", "storage": "float16"},
    "network in bfloat16": {"dtype": "bfloat16"},
}


def scores(limit: int | None, sources: Sequence[str] | None, **options: str) -> dict[str, dict[str, float]]:
    """Measure → source → score, of tables as they come back from their files."""
    with tempfile.TemporaryDirectory() as folder:
        extracted = lj.extract("digits", sources, out=folder, limit=limit, **options)
        tables = {source: read_table(Path(each.path)) for source, each in extracted.items()}
    return {
        name: {
            source: float(lj.MEASURES[name].score(table.features, table.probs, table.labels, num_classes=10))
            for source, table in tables.items()
        }
        for name in lj.DEFAULT_MEASURES
    }


def main() -> None:
    # The small size takes two sources whose programs are the same.
    limit, sources = (None, None) if size() == "full" else (100, ["random", "cifar10"])
    exact = scores(limit, sources)
    for case, options in list(CASES.items())[: None if size() == "full" else 1]:
        rounded = scores(limit, sources, **options)
        for measure, of_sources in exact.items():
            values = np.array(list(of_sources.values()))
            others = np.array([rounded[measure][source] for source in of_sources])
            assert np.isfinite(others).all()
            report(
                benchmark="precision",
                case=case,
                measure=measure,
                largest_change=float(f"{np.abs(values - others).max():.2g}"),
                range_over_sources=float(f"{np.ptp(values):.3g}"),
                same_order=bool((np.argsort(values) == np.argsort(others)).all()),
            )


if __name__ == "__main__":
    main()
