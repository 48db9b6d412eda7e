"""Does any damaged file end in something else than a sentence?

Each format is written once, damaged 300 times by a seeded generator, and read each time by what leepjax reads it with.
A reading may succeed, or end in an `InputError` or an `OSError`, which the command line prints as one sentence. It
mustn't end in another exception, take longer than 10 seconds, or allocate more than 64 MiB beside 20 times the file.

    python benchmarks/fuzz.py [--size small] [--formats npy,parquet]
"""

import argparse
import io
import logging
import resource
import shutil
import signal
import tempfile
import time
import traceback
import warnings
import zlib
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import NamedTuple

import numpy as np
from PIL import Image

import leepjax
from leepjax.data.encoded import decode
from leepjax.data.readers import read_target
from leepjax.experiments.score import score_arrays
from leepjax.extraction.shards import Shards
from leepjax.extraction.table import Table, cached_table, read_table, write_table
from leepjax.models.opening import load_source
from leepjax.ranking.score_files import read_scores, read_truth
from leepjax.records import Record, read_records, write_records
from leepjax.studies.catalogue import STUDIES
from leepjax.studies.outcome import read_studies
from leepjax.studies.provenance import PROVENANCE, write_provenance
from leepjax.types import InputError, Outputs

ALLOWED = (InputError, OSError)
SECONDS = 10
SPARE = 64 * 2**20
SHIPPED = Path(leepjax.__file__).parent / "models" / "shipped"
RNG = np.random.default_rng(0)
PIXELS = RNG.integers(0, 256, (6, 16, 16, 3)).astype(np.uint8)
LABELS = np.array([0, 1, 0, 1, 0, 1])


class Format(NamedTuple):
    """A kind of file: how to write a sound one into a folder, and what reads it."""

    write: Callable[[Path], Path]
    read: Callable[[Path], object]


def npy(folder):
    np.save(folder / "labels.npy", LABELS)
    np.save(folder / "probs.npy", np.full((6, 4), 0.25, np.float32))
    return folder / "probs.npy"


def read_npy(path):
    return score_arrays(path, path.parent / "labels.npy", "probs", ["leep"], resamples=0)


def npz(folder):
    np.savez(folder / "set.npz", images=PIXELS, labels=LABELS)
    return folder / "set.npz"


def read_images(path):
    target = read_target(str(path))
    return [target.read(i) for i in range(len(target))]


def parquet(folder):
    import pyarrow as pa
    import pyarrow.parquet

    cells = [{"bytes": _encoded("png", image), "path": None} for image in PIXELS]
    pa.parquet.write_table(pa.table({"image": cells, "label": LABELS}), folder / "set.parquet")
    return folder / "set.parquet"


def _encoded(suffix, pixels):
    stream = io.BytesIO()
    Image.fromarray(pixels).save(stream, "jpeg2000" if suffix == "jp2" else "tiff" if suffix == "tif" else suffix)
    return stream.getvalue()


def image(suffix):
    def write(folder):
        (folder / f"image.{suffix}").write_bytes(_encoded(suffix, PIXELS[0]))
        return folder / f"image.{suffix}"

    return Format(write, lambda path: decode(path, str(path)).load())


def records(folder):
    common = {
        "kind": "score", "target": "t", "target_hash": "h", "num_examples": 6, "num_classes": 2, "weights_hash": "w",
        "value": 0.5, "low": 0.1, "high": 0.9, "confidence": 0.95, "draws": (0.1, 0.5, 0.9), "seed": 0, "seconds": 1.0,
        "versions": {"leepjax": "1"},
    }  # fmt: skip
    write_records(
        folder / "results.jsonl",
        [Record(key=f"{s}{m}", source=s, measure=m, **common) for s in "abc" for m in ("leep", "nce")],
    )
    return folder / "results.jsonl"


def read_results(path):
    from leepjax.report.make import make_report

    return read_records(path), read_scores(path), make_report(path.parent, formats=())


def csv(folder):
    rows = [f"s{i},t,{i / 7},{i / 9}" for i in range(6)]
    (folder / "scores.csv").write_text("\n".join(["source,target,leep,accuracy", *rows]))
    return folder / "scores.csv"


def read_csv(path):
    return read_scores(path, ["leep"]), read_truth(path)


def study(folder):
    write_provenance(folder, STUDIES["small-balanced"]["smoke"], "smoke", "leepjax study small-balanced", 1.0)
    return folder / PROVENANCE


def read_study(path):
    try:
        read_studies(path.parent)
    finally:  # what the next run of the study does with it
        write_provenance(path.parent, STUDIES["small-balanced"]["smoke"], "smoke", "again", 1.0)


def table(folder):
    features = RNG.normal(size=(6, 8)).astype(np.float32)
    written = Table(features, features[:, :4], LABELS, "key", tuple("abcdef"), {"source": "s", "target": "t"})
    write_table(folder / "table.safetensors", written)
    return folder / "table.safetensors"


def shard(folder):
    outputs = Outputs(PIXELS[:, :4, 0, 0].astype(np.float32), PIXELS[:, :4, 0, 1].astype(np.float32))
    Shards(folder / "parts")._write([outputs], 0)
    return next((folder / "parts").iterdir())


def source(suffix):
    def write(folder):
        for each in ("safetensors", "json"):
            shutil.copy(SHIPPED / f"random.{each}", folder / f"s.{each}")
        return folder / f"s.{suffix}"

    return Format(write, lambda path: load_source(str(path.with_suffix(".safetensors"))))


FORMATS = {
    "npy": Format(npy, read_npy),
    "npz": Format(npz, read_images),
    "parquet": Format(parquet, read_images),
    **{f"image.{suffix}": image(suffix) for suffix in ("png", "jpeg", "gif", "bmp", "tif", "webp", "ppm", "jp2")},
    "results.jsonl": Format(records, read_results),
    "scores.csv": Format(csv, read_csv),
    "study.json": Format(study, read_study),
    "table": Format(table, read_table),
    "table in the cache": Format(table, cached_table),
    "shard": Format(shard, lambda path: list(Shards(path.parent).read())),
    "source.safetensors": source("safetensors"),
    "source.json": source("json"),
}


def damaged(content: bytes, rng: np.random.Generator) -> bytes:
    """One to four changes, half of them within the first 128 bytes, where headers are."""
    changed = bytearray(content)
    for _ in range(rng.integers(1, 5)):
        if not changed:
            break
        at = int(rng.integers(min(len(changed), 128) if rng.random() < 0.5 else len(changed)))
        length = int(rng.integers(1, 17))
        match rng.integers(6):
            case 0:
                changed[at] ^= 1 << int(rng.integers(8))
            case 1:
                changed[at : at + length] = rng.bytes(length)
            case 2:
                del changed[at:]
            case 3:
                del changed[at : at + length]
            case 4:
                changed[at:at] = changed[at : at + 64 * length]
            case 5:
                changed[at : at + length] = rng.choice([b"\0", b"\xff", b"9", b"[", b'"', b"-1", b"nan"]) * length
    return bytes(changed)


def fault(read: Callable[[Path], object], path: Path) -> str | None:
    """What is wrong with how a damaged file is read; None if nothing is."""
    size = path.stat().st_size
    before, started = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss, time.monotonic()
    try:
        with _limited(SECONDS):
            read(path)
    except ALLOWED:
        pass
    except BaseException as error:
        if isinstance(error, KeyboardInterrupt):
            raise
        return "".join(traceback.format_exception(error)[-2:])
    grown = (resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before) * 1024
    if grown > SPARE + 20 * size:
        return f"allocated {grown >> 20} MiB for a file of {size} bytes"
    return None if time.monotonic() - started < SECONDS else "took too long"


@contextmanager
def _limited(seconds: int) -> Iterator[None]:
    """Raise where reading takes longer, unless it hangs in native code, or where it allocates over 4 GiB."""

    def hangs(*_: object) -> None:
        raise RuntimeError("a hang")

    handler, limits = signal.signal(signal.SIGALRM, hangs), resource.getrlimit(resource.RLIMIT_AS)
    used = int(Path("/proc/self/statm").read_text().split()[0]) * resource.getpagesize()
    resource.setrlimit(resource.RLIMIT_AS, (used + 4 * 2**30, limits[1]))
    signal.alarm(seconds)
    try:
        yield
    finally:
        signal.alarm(0)
        signal.signal(signal.SIGALRM, handler)
        resource.setrlimit(resource.RLIMIT_AS, limits)


def fuzz(name: str, mutations: int) -> dict[str, int]:
    """Faults of one format → how often each came."""
    faults: dict[str, int] = {}
    with tempfile.TemporaryDirectory() as temporary:
        folder = Path(temporary)
        path = FORMATS[name].write(folder)
        FORMATS[name].read(path)  # a sound file is read, and whatever is imported or compiled is so once
        sound = path.read_bytes()
        rng = np.random.default_rng(zlib.crc32(name.encode()))
        for _ in range(mutations):
            path.write_bytes(damaged(sound, rng))
            if found := fault(FORMATS[name].read, path):
                faults[found] = faults.get(found, 0) + 1
    return faults


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--size", choices=("small", "full"), default="full")
    parser.add_argument("--formats", default=",".join(FORMATS))
    arguments = parser.parse_args()
    logging.disable(logging.CRITICAL)
    warnings.simplefilter("ignore")
    mutations, wrong = 300 if arguments.size == "full" else 15, 0
    for name in arguments.formats.split(","):
        started = time.monotonic()
        faults = fuzz(name, mutations)
        wrong += sum(faults.values())
        print(f"{name}: {mutations} mutations, {sum(faults.values())} faults, {time.monotonic() - started:.1f} s")
        for found, times in faults.items():
            print(f"  {times} times {found.strip()}")
    assert not wrong, f"{wrong} damaged files ended in something else than a sentence"


if __name__ == "__main__":
    main()
