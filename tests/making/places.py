"""Where the repository and the shared data lie, and what the programs that tests start can import."""

import os
import sys
from pathlib import Path

ROOT = Path(__file__).parents[2]
RECORDED = ROOT / "tests" / "recorded"
SHARED_DATA = ROOT.resolve().parent / "shared" / "data"


def environment(**variables):
    """This process's environment with these variables; a Python that gets it can import what the test imports."""
    ours = [path for path in sys.path if Path(path).is_relative_to(ROOT)]
    paths = os.pathsep.join([*ours, str(ROOT), os.environ.get("PYTHONPATH", "")])
    return os.environ | {"JAX_PLATFORMS": "cpu", "PYTHONPATH": paths} | variables
