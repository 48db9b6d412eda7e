"""How long does `leepjax rank digits` take the first time and again, and which stages take the time?

python benchmarks --size full rank

The command runs in a process of its own. *From nothing* means with an empty cache, but with the bytecode that an
installation leaves; at full size, a small ranking writes it first. *Again* means with the programs and the features
that the first run left in the cache. The processor time, of all threads, depends less on other programs than the wall
time. The stages are timed in this process.
"""

import os
import tempfile
import time
from collections import defaultdict

import numpy as np
from measuring import quartiles, report, run_command, size
from problems import reference

import leepjax as lj
from leepjax.data.readers import digits
from leepjax.extraction.extract import extract

SMALL = {"sources": "random", "measures": "leep", "limit": 100, "resamples": 10, "verify": "none"}
OPTIONS = {"small": SMALL, "full": {}}
COMMAND = {"small": [word for name, value in SMALL.items() for word in (f"--{name}", str(value))], "full": []}
REPEATS = {"small": 1, "full": 3}


def assert_right(source: str) -> None:
    """Check before timing: the scores that `rank` gives a source equal those of the oracle for the same rows."""
    few = digits().subset(np.arange(200))
    ranking = lj.rank(few, [source], ["leep", "h_score"], verify="none", resamples=0)
    table = extract(lj.load_source(source), few)
    leep = reference.leep(table.probs, table.labels, 10)
    np.testing.assert_allclose(ranking.scores("leep")[source], leep, rtol=1e-5)
    np.testing.assert_allclose(
        ranking.scores("h_score")[source], reference.h_score(table.features, table.labels), rtol=1e-3
    )


def time_command(chosen: str) -> None:
    if chosen == "full":
        with tempfile.TemporaryDirectory() as cache:
            run_command("rank", "digits", *COMMAND["small"], LEEPJAX_CACHE=cache)
    runs: dict[str, list[dict[str, float]]] = {"from nothing": [], "again": []}
    for _ in range(REPEATS[chosen]):
        with tempfile.TemporaryDirectory() as cache:
            for case in runs:
                runs[case].append(run_command("rank", "digits", *COMMAND[chosen], LEEPJAX_CACHE=cache))
    for case, found in runs.items():
        fields = {name: quartiles(np.array([run[name] for run in found])) for name in found[0]}
        report(benchmark="rank_command", case=case, **fields, load=os.getloadavg()[0])


def main() -> None:
    options = OPTIONS[size()]
    time_command(size())
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
