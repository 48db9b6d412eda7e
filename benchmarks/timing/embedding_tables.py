"""How much memory does ranking many large tables of embeddings take?

python benchmarks --size full embedding_tables

Each table is an ``.npy`` of its own: a window of rows that begins some rows after the one before, so that all differ.
50 of them take 20 GB in `$TMPDIR`. Peak: the largest resident size of a fresh process, which contains Python, JAX, the
programs, and the files' pages while they are mapped.
"""

import json
import resource
import time
from pathlib import Path
from tempfile import TemporaryDirectory

import numpy as np
from measuring import child_arguments, in_fresh_process, report, size

import leepjax as lj

# tables, n, d, classes, whether heads verify
SIZES = {
    "small": [(3, 2_000, 64, 10, "none")],
    "full": [(50, 100_000, 1024, 100, "none"), (3, 100_000, 1024, 100, "ridge")],
}
MOST_BYTES = 2 << 30
_STEP = 7
"""Rows between the beginnings of two tables."""


def write(folder: Path, tables: int, n: int, d: int, classes: int) -> None:
    """Features with a class mean each."""
    means = np.random.default_rng(0).normal(size=(classes, d)).astype(np.float32)
    count = n + _STEP * tables
    rows = 4 * np.random.default_rng(1).standard_normal((count, d), np.float32) + means[np.arange(count) % classes]
    for table in range(tables):
        np.save(folder / f"{table}.npy", rows[_STEP * table : _STEP * table + n])


def child(folder: str, tables: str, n: str, classes: str, verify: str) -> None:
    """Rank the tables and print the peak."""
    started = time.perf_counter()
    labels = np.arange(int(n)) % int(classes)
    sources = [lj.as_table(Path(folder, f"{table}.npy")) for table in range(int(tables))]
    opened = time.perf_counter()
    ranking = lj.rank(labels, sources, ["h_score"], verify=verify, resamples=0)
    assert len(ranking.sources) == int(tables), ranking.failures
    peak = 1024 * resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    spent = {"seconds_opening": opened - started, "seconds_ranking": time.perf_counter() - opened}
    print(json.dumps({"peak_bytes": peak, **spent, "processor_seconds": time.process_time()}))


def main() -> None:
    for tables, n, d, classes, verify in SIZES[size()]:
        with TemporaryDirectory() as folder:
            write(Path(folder), tables, n, d, classes)
            found = in_fresh_process(__file__, *map(str, (folder, tables, n, classes, verify)))
        assert found["peak_bytes"] < MOST_BYTES, found
        report(
            benchmark="embedding_tables",
            tables=tables,
            n=n,
            d=d,
            classes=classes,
            verify=verify,
            limit_bytes=MOST_BYTES,
            **found,
        )


if __name__ == "__main__":
    child(*arguments) if (arguments := child_arguments()) else main()
