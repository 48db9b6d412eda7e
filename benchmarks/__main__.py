"""Does every benchmark run and agree with its oracle?

``python benchmarks`` runs all of them small, one after the other in one process, which imports and compiles once. The
exit code is 1 when one of them failed.
"""

import os
import runpy
import sys
import time
from pathlib import Path

os.environ.setdefault("OPENBLAS_THREAD_TIMEOUT", "4")  # as moments.py asks before NumPy is loaded

HERE = Path(__file__).parent


def succeeded(path):
    """Whether a benchmark, run as a script, ended without an exit code."""
    try:
        runpy.run_path(str(path), run_name="__main__")
    except SystemExit as end:
        return not end.code
    return True


def main():
    sys.path.insert(0, str(HERE))
    failed = []
    for path in sorted(HERE.glob("[!_]*.py")):
        if "__main__" not in path.read_text(encoding="utf-8"):
            continue
        sys.argv = [str(path), "--size", "small"]
        started = time.monotonic()
        if not succeeded(path):
            failed.append(path.name)
        print(f"== {path.name}: {time.monotonic() - started:.1f} s", flush=True)
    if failed:
        sys.exit(f"failed: {', '.join(failed)}")


if __name__ == "__main__":
    main()
