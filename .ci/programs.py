"""Run every example, then every study in small and the page of them all, in one process that imports and compiles once.

python .ci/programs.py FOLDER     # where they may write

An example gets a namespace and a working folder of its own, as if its reader ran it.
"""

import gc
import os
import runpy
import subprocess
import sys
import time
from pathlib import Path

from leepjax.cli import main as leepjax

EXAMPLES = sorted((Path(__file__).resolve().parents[1] / "examples").glob("*.py"))
STUDIES = "large", "small-balanced", "small-imbalanced", "convergence", "source-selection"
# Each has tasks of other shapes: these measures compile soon. The examples compute the default measures.
FEW = ("--measures", "leep,logme")


def run_example(path: Path, folder: Path) -> None:
    """Run an example in a new folder."""
    folder.mkdir(parents=True)
    os.chdir(folder)
    sys.argv = [str(path)]
    if path.stem == "score_processes":  # it connects processes before JAX counts its devices
        subprocess.run([sys.executable, *sys.argv], check=True)
    else:
        runpy.run_path(str(path), run_name="__main__")


def run_command(*words: str) -> None:
    """Run a command of leepjax."""
    sys.argv = ["leepjax", *words]
    try:
        leepjax()
    except SystemExit as end:
        if end.code:
            raise


def main() -> None:
    """Run all, and print the name of each before it and its seconds after it."""
    folder = Path(sys.argv[1]).resolve()
    studies = str(folder / "studies")
    programs = {path.name: lambda path=path: run_example(path, folder / "examples" / path.stem) for path in EXAMPLES}
    for name in STUDIES:
        words = "study", name, "--scale", "smoke", "--out", studies, *FEW
        programs[f"study {name}"] = lambda words=words: run_command(*words)
    programs["report"] = lambda: run_command("report", studies, "--formats", "png")
    gc.freeze()
    gc.set_threshold(50_000, 20, 20)  # as in tests/conftest.py
    for name, run in programs.items():
        print(f"== {name}", flush=True)  # noqa: T201
        started = time.monotonic()
        run()
        print(f"== {name}: {time.monotonic() - started:.1f} s", flush=True)  # noqa: T201


if __name__ == "__main__":
    main()
