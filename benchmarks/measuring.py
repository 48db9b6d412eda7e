"""How every benchmark measures: compile apart, warm up, wait for the device, repeat, report quartiles as JSON lines."""

import argparse
import json
import platform
import subprocess
import time
from collections.abc import Callable
from importlib.metadata import version
from pathlib import Path
from typing import Any

import jax
import numpy as np


def size() -> str:
    """The size asked for on the command line: `small` for a check, `full` for numbers worth reporting."""
    parser = argparse.ArgumentParser()
    parser.add_argument("--size", choices=("small", "full"), default="small")
    return parser.parse_args().size


def timings(functions: dict[str, Callable[[], Any]], repeats: int) -> dict[str, np.ndarray]:
    """Seconds of each function, `repeats` times in turn, so that a noisy machine is noisy for all of them."""
    for function in functions.values():
        jax.block_until_ready(function())
    seconds = {name: np.empty(repeats) for name in functions}
    for repeat in range(repeats):
        for name, function in functions.items():
            started = time.perf_counter()
            jax.block_until_ready(function())
            seconds[name][repeat] = time.perf_counter() - started
    return seconds


def report(**fields: Any) -> None:
    """Print one JSON line with the device, the versions and the commit."""
    commit = subprocess.run(
        ["git", "rev-parse", "--short", "HEAD"], capture_output=True, text=True, cwd=Path(__file__).parent, check=False
    )
    context = {
        "device": f"{jax.devices()[0].device_kind} ({platform.machine()})",
        "jax": version("jax"),
        "numpy": version("numpy"),
        "python": platform.python_version(),
        "commit": commit.stdout.strip() or None,
    }
    print(json.dumps(fields | context), flush=True)


def quartiles(values: np.ndarray) -> list[float]:
    """Lower quartile, median and upper quartile, to four digits."""
    return [float(f"{value:.4g}") for value in np.percentile(values, (25, 50, 75))]
