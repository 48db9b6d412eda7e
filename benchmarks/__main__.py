"""Does every benchmark run and agree with its oracle?

``python benchmarks`` runs them all small, one after the other in one process, which imports and compiles once.
"""

import contextlib
import os
import runpy
import sys
import time
from pathlib import Path

os.environ.setdefault("OPENBLAS_THREAD_TIMEOUT", "4")  # as moments.py asks before NumPy is loaded

HERE = Path(__file__).parent


def main():
    sys.path.insert(0, str(HERE))
    for path in sorted(HERE.glob("[!_]*.py")):
        if "__main__" not in path.read_text(encoding="utf-8"):
            continue
        sys.argv = [str(path), "--size", "small"]
        started = time.monotonic()
        with contextlib.suppress(SystemExit):
            runpy.run_path(str(path), run_name="__main__")
        print(f"== {path.name}: {time.monotonic() - started:.1f} s", flush=True)


if __name__ == "__main__":
    main()
