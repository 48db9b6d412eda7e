"""Where does the time of `leepjax rank digits` go, and what do intervals cost?

python benchmarks --size full rank
"""

import time
from collections import defaultdict

import numpy as np
from measuring import report, size
from problems import reference

import leepjax as lj
from leepjax.data.readers import digits
from leepjax.extraction.extract import extract

OPTIONS = {"small": {"sources": ["random"], "limit": 100, "resamples": 10}, "full": {}}


def assert_right(source: str) -> None:
    """Correct before fast: what `rank` says of a source is what the oracle says of the same rows."""
    few = digits().subset(np.arange(200))
    ranking = lj.rank(few, [source], ["leep", "h_score"], verify="none", resamples=0)
    table = extract(lj.load_source(source), few)
    leep = reference.leep(table.probs, table.labels, 10)
    np.testing.assert_allclose(ranking.scores("leep")[source], leep, rtol=1e-5)
    np.testing.assert_allclose(
        ranking.scores("h_score")[source], reference.h_score(table.features, table.labels), rtol=1e-3
    )


def main() -> None:
    options = OPTIONS[size()]
    assert_right("random")
    started = time.perf_counter()
    ranking = lj.rank("digits", **options)
    total = time.perf_counter() - started
    stages: defaultdict[str, float] = defaultdict(float)
    for record in ranking.records:
        stages[record.measure] += record.seconds
    report(
        benchmark="rank",
        sources=len(ranking.sources),
        seconds_total=round(total, 2),
        seconds_extracting=round(total - sum(stages.values()), 2),
        seconds_by_stage={name: round(seconds, 2) for name, seconds in stages.items()},
    )


if __name__ == "__main__":
    main()
