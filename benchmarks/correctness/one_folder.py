"""Do processes that share a folder, or are killed, leave the same results as one undisturbed process?

First, one process measures all sources. Then several processes measure a share of the sources each, at the same time,
into one folder. Then one process measures them all again, and is killed by SIGKILL at random moments before it may end.
The folders must hold the same results, and no temporary file may be left. `small` leaves out the first process, and
compares the other folders with each other.

    python benchmarks one_folder [--size small] [--commands rank,extract,sweep,study] [--processes 1,2,4] [--kills 3]
"""

import argparse
import os
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import NamedTuple

import numpy as np

from leepjax.extraction.table import read_table
from leepjax.storage.records import read_records
from leepjax.studies.outcome import read_outcomes

SOURCES = ("random", "fashion-mnist", "cifar10", "cifar10-animals")
FAST = ("--verify", "none", "--resamples", "0", "--no-cache")


class Command(NamedTuple):
    """A command, and a function that reads its results from a folder: a key for each result, and its numbers."""

    arguments: tuple[str, ...]
    held: Callable[[Path], dict[str, np.ndarray]]


def records(folder: Path) -> dict[str, np.ndarray]:
    return {record.key: np.array([record.value]) for record in read_records(folder / "results.jsonl")}


def tables(folder: Path) -> dict[str, np.ndarray]:
    read = [read_table(path) for path in sorted(folder.rglob("*.safetensors"))]
    return {table.key: np.hstack([table.features, table.logits]) for table in read}


def outcomes(folder: Path) -> dict[str, np.ndarray]:
    read = read_outcomes(folder / "small-balanced" / "outcomes.jsonl")
    return {each.key: np.array([each.accuracy, each.log_loss, *each.scores.values()], float) for each in read}


COMMANDS = {
    "rank": Command(("rank", "two.npz", "--measures", "leep,h_score", *FAST), records),
    "extract": Command(("extract", "two.npz"), tables),
    "sweep": Command(("sweep", "two.npz,other.npz", "--measures", "leep,h_score", *FAST), records),
    "study": Command(("study", "small-balanced", "--scale", "smoke", "--methods", "head", "--no-cache"), outcomes),
}


def start(command: Command, sources: Sequence[str], out: str) -> subprocess.Popen:
    arguments = [*command.arguments, "--sources", ",".join(sources), "--out", out]
    return subprocess.Popen(
        [sys.executable, "-m", "leepjax", *arguments], stdout=subprocess.DEVNULL, stderr=subprocess.PIPE, text=True
    )


def end(processes: Sequence[subprocess.Popen]) -> None:
    for process in processes:
        _, errors = process.communicate()
        assert process.returncode == 0, errors


def same(command: Command, out: str, undisturbed: dict[str, np.ndarray]) -> None:
    held = command.held(Path(out))
    assert held.keys() == undisturbed.keys(), f"{out}: {len(held)} of {len(undisturbed)} are there"
    for key, numbers in held.items():
        np.testing.assert_allclose(numbers, undisturbed[key], rtol=1e-5, atol=1e-6)
    left = [path.name for path in Path(out).rglob(".*") if not path.name.endswith(".lock")]
    assert not left, f"{out}: temporary files are left: {left}"


def compare(name: str, numbers_of_processes: Sequence[int], kills: int, rng: np.random.Generator) -> None:
    command, sources = COMMANDS[name], SOURCES[: max(numbers_of_processes)]
    first = f"{name}-{numbers_of_processes[0]}"
    seconds = 0.0
    for number in numbers_of_processes:
        out, started = f"{name}-{number}", time.monotonic()
        end([start(command, sources[i::number], out) for i in range(number)])
        seconds = seconds or time.monotonic() - started
        same(command, out, undisturbed := command.held(Path(first)))
        print(f"{name}: {number} processes on one folder left all of {len(undisturbed)} things", flush=True)
    for _ in range(kills):
        process = start(command, sources, f"{name}-killed")
        time.sleep(seconds * rng.uniform(0.3, 1))
        process.kill()
        process.communicate()
    end([start(command, sources, f"{name}-killed")])
    same(command, f"{name}-killed", undisturbed)
    print(f"{name}: killed {kills} times, and all of {len(undisturbed)} things are there", flush=True)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--size", choices=("small", "full"), default="full")
    parser.add_argument("--commands")
    parser.add_argument("--processes")
    parser.add_argument("--kills", type=int)
    arguments = parser.parse_args()
    small = arguments.size == "small"
    names = arguments.commands or ("rank" if small else ",".join(COMMANDS))
    numbers = arguments.processes or ("2" if small else "1,2,4")
    kills = arguments.kills if arguments.kills is not None else 1 if small else 3
    rng, here = np.random.default_rng(0), Path.cwd()
    with tempfile.TemporaryDirectory() as folder:
        os.chdir(folder)
        try:
            for seed, file in enumerate(("two.npz", "other.npz")):
                images = np.random.default_rng(seed).integers(0, 256, (60, 32, 32, 3)).astype(np.uint8)
                np.savez(file, images=images, labels=np.arange(60) % 2)
            for name in names.split(","):
                compare(name, [int(number) for number in numbers.split(",")], kills, rng)
        finally:
            os.chdir(here)


if __name__ == "__main__":
    main()
