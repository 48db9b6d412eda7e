"""In how much memory are many large tables of embeddings ranked?

python benchmarks --size full embedding_tables

The tables are windows into one file of float32: each begins some rows after the one before, so that all differ, and
each is read from the file as an ``.npy`` of its size is. Peak: the largest resident size of a fresh process, which
contains Python, JAX, the programs, and the file's pages while they are mapped.
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


def write(path: Path, rows: int, d: int, classes: int) -> None:
    """Features with a class mean each, written part by part."""
    features = np.lib.format.open_memmap(path, "w+", np.float32, (rows, d))
    means = np.random.default_rng(0).normal(size=(classes, d)).astype(np.float32)
    for start in range(0, rows, 10_000):
        part = features[start : start + 10_000]
        noise = np.random.default_rng([1, start]).standard_normal(part.shape, np.float32)
        part[:] = 4 * noise + means[np.arange(start, start + len(part)) % classes]
    features.flush()


def child(path: str, tables: str, n: str, classes: str, verify: str) -> None:
    """Rank the tables and print the peak."""
    started = time.perf_counter()
    rows, count = np.load(path, mmap_mode="r"), int(n)
    labels = np.arange(count) % int(classes)
    sources = [lj.as_table(rows[_STEP * i : _STEP * i + count], name=f"table {i}") for i in range(int(tables))]
    opened = time.perf_counter()
    ranking = lj.rank(labels, sources, ["h_score"], verify=verify, resamples=0)
    assert len(ranking.sources) == int(tables), ranking.failures
    peak = 1024 * resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    spent = {"seconds_opening": opened - started, "seconds_ranking": time.perf_counter() - opened}
    print(json.dumps({"peak_bytes": peak, **spent}))


def main() -> None:
    for tables, n, d, classes, verify in SIZES[size()]:
        with TemporaryDirectory() as folder:
            path = Path(folder, "rows.npy")
            write(path, n + _STEP * tables, d, classes)
            found = in_fresh_process(__file__, *map(str, (path, tables, n, classes, verify)))
        assert found["peak_bytes"] < MOST_BYTES, found
        shape = {"tables": tables, "n": n, "d": d, "classes": classes, "verify": verify}
        report(benchmark="embedding_tables", **shape, limit_bytes=MOST_BYTES, **found)


if __name__ == "__main__":
    child(*arguments) if (arguments := child_arguments()) else main()
