"""How fast does `leep` stream probabilities from disk, compared with a plain read, and how much memory does it take?

python benchmarks --size full streaming

Each case runs in a fresh process. Cold: the system has dropped its cache of the file (at full size and as root).
LEEP reads its batches twice, so its limit is the time of two plain reads: one from disk, and one from the cache if the
memory holds the file.
"""

import json
import os
import time
from pathlib import Path
from tempfile import TemporaryDirectory

import numpy as np
from accuracy import leep_in_float64
from measuring import child_arguments, in_fresh_process, quartiles, report, reset_peak, resident, size
from problems import assert_leep_is_right, probs_of

import leepjax as lj

# n, z, c, rows of a batch, repeats
SIZES = {"small": (5_000, 100, 10, 512, 1), "full": (1_280_000, 1000, 1000, 16_384, 4)}
_PART = 40_000
_DROP_CACHES = Path("/proc/sys/vm/drop_caches")


def write(directory: Path, n: int, z: int, c: int) -> None:
    """Probabilities and labels on disk, written part by part."""
    probs = np.lib.format.open_memmap(directory / "probs.npy", "w+", np.float32, (n, z))
    labels = np.lib.format.open_memmap(directory / "labels.npy", "w+", np.int32, (n,))
    for seed, start in enumerate(range(0, n, _PART)):
        rows = slice(start, min(start + _PART, n))
        probs[rows], labels[rows] = probs_of(rows.stop - start, z, c, seed)
    probs.flush()
    labels.flush()


def child(method: str, directory: str, c: str, batch_size: str) -> None:
    """Print the seconds of one pass or score, and by how much its peak exceeds the memory before it."""
    path, rows = Path(directory, "probs.npy"), int(batch_size)
    probs, labels = np.load(path, mmap_mode="r"), np.load(path.with_name("labels.npy"))
    batches = lj.Batches(probs, labels, batch_size=rows)
    # Compiled apart, whatever the method, so that both start from the same memory.
    uniform = np.full((rows, probs.shape[1]), 1 / probs.shape[1], np.float32)
    lj.leep(lj.Batches(uniform, labels[:rows], batch_size=rows), num_classes=int(c))
    before = reset_peak()
    started = time.perf_counter()
    score = float(lj.leep(batches, num_classes=int(c))) if method == "leep" else _read(path, rows * probs[0].nbytes)
    seconds = time.perf_counter() - started
    print(json.dumps({"seconds": seconds, "extra_bytes": resident("VmHWM") - before, "score": score}))


def _read(path, chunk):
    buffer = bytearray(chunk)
    with path.open("rb", buffering=0) as file:
        while file.readinto(buffer):
            pass
    return float("nan")


def drop_caches() -> bool:
    """Drop the system's cache of files; return False if that needs root."""
    os.sync()
    if not os.access(_DROP_CACHES, os.W_OK):
        return False
    _DROP_CACHES.write_text("3")
    return True


def main() -> None:
    chosen = size()
    n, z, c, batch_size, repeats = SIZES[chosen]
    assert_leep_is_right()
    with TemporaryDirectory(prefix="leepjax-") as directory:
        write(Path(directory), n, z, c)
        probs, labels = np.load(Path(directory, "probs.npy"), mmap_mode="r"), np.load(Path(directory, "labels.npy"))
        truth, size_bytes = leep_in_float64(probs, labels, c), probs.nbytes
        del probs
        for cache in ("warm", "cold") if chosen == "full" and drop_caches() else ("warm",):
            runs: dict[str, list[dict]] = {"read": [], "leep": []}
            if cache == "warm":
                _read(Path(directory, "probs.npy"), 2**24)
            for repeat in range(repeats):
                # Alternate which is first, because the host of a virtual disk has a cache, too.
                for method in sorted(runs, reverse=repeat % 2 == 0):
                    if cache == "cold":
                        drop_caches()
                    runs[method].append(in_fresh_process(__file__, method, directory, str(c), str(batch_size)))
            np.testing.assert_allclose([run["score"] for run in runs["leep"]], truth, rtol=1e-5)
            seconds = {method: np.array([run["seconds"] for run in found]) for method, found in runs.items()}
            report(
                benchmark="streaming",
                cache=cache,
                n=n,
                z=z,
                c=c,
                batch_size=batch_size,
                file_bytes=size_bytes,
                seconds={name: quartiles(values) for name, values in seconds.items()},
                read_gigabytes_per_second=quartiles(size_bytes / 1e9 / seconds["read"]),
                leep_gigabytes_per_second=quartiles(2 * size_bytes / 1e9 / seconds["leep"]),
                extra_bytes=max(run["extra_bytes"] for run in runs["leep"]),
            )


if __name__ == "__main__":
    child(*arguments) if (arguments := child_arguments()) else main()
