"""Does every benchmark run and agree with its oracle?

python benchmarks                            # all of them, small: a check of some minutes
python benchmarks --size full limit memory   # these two, at the size at which numbers are worth reporting
python benchmarks fuzz --formats npy         # one, with options of its own

They run one after the other in one process, which imports and compiles once. The exit code is 1 when one failed.
"""

import argparse
import gc
import os
import runpy
import sys
import time
from pathlib import Path

os.environ.setdefault("OPENBLAS_THREAD_TIMEOUT", "4")  # as moments.py asks before NumPy is loaded

HERE = Path(__file__).resolve().parent
FOLDERS = ("timing", "correctness", "literature", "decisions", "pages")
TESTS = HERE.parent / "tests"
# What a benchmark imports: what several share, its neighbours, and the oracles and inputs of the tests.
IMPORTED = [HERE, *(HERE / folder for folder in FOLDERS), TESTS, TESTS / "making"]


def benchmarks():
    """Name → file of each benchmark; the other files hold shared code."""
    paths = sorted(path for folder in FOLDERS for path in (HERE / folder).glob("*.py"))
    return {path.stem: path for path in paths if "__main__" in path.read_text(encoding="utf-8")}


def arguments(words=None):
    """The size, the files of the selected benchmarks, and the options of its own if only one is selected."""
    known = benchmarks()
    parser = argparse.ArgumentParser(
        prog="python benchmarks", description="Run benchmarks and check each one's oracle."
    )
    parser.add_argument("names", nargs="*", metavar="NAME", help=f"all by default: {', '.join(known)}")
    parser.add_argument("--size", choices=("small", "full"), default="small", help="full takes hours for all of them")
    options, others = parser.parse_known_args(words)
    names = [name.removesuffix(".py") for name in options.names] or list(known)
    for name in names:
        if name not in known:
            parser.error(f"expected names of benchmarks, got {name!r}; choose from {', '.join(known)}.")
    if others and len(names) > 1:
        parser.error(f"expected one benchmark with options of its own, got {' '.join(others)}; name one.")
    return options.size, [known[name] for name in names], others


def succeeded(path):
    """Whether a benchmark, run as a script, ended without an exit code."""
    try:
        runpy.run_path(str(path), run_name="__main__")
    except SystemExit as end:
        return not end.code
    return True


def main():
    size, paths, others = arguments()
    sys.path[:0] = map(str, IMPORTED)
    # Some benchmarks measure in a process of their own, which imports the same files.
    os.environ["PYTHONPATH"] = os.pathsep.join([*map(str, IMPORTED), os.environ.get("PYTHONPATH", "")])
    if size == "small":
        gc.set_threshold(50_000, 20, 20)  # as in tests/conftest.py; the times of this size are of no use
    failed = []
    for path in paths:
        sys.argv = [str(path), "--size", size, *others]
        started = time.monotonic()
        if not succeeded(path):
            failed.append(path.name)
        print(f"== {path.name}: {time.monotonic() - started:.1f} s", file=sys.stderr, flush=True)
    if failed:
        sys.exit(f"failed: {', '.join(failed)}")


if __name__ == "__main__":
    main()
