"""Measure for benchmarks: compile before timing, warm up, wait for the device, repeat, report quartiles as JSON."""

import argparse
import ctypes
import datetime
import gc
import json
import os
import platform
import re
import subprocess
import sys
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


def compiled(function: Callable[..., Any], *args: Any) -> Callable[..., Any]:
    """The function compiled for these arguments, so that no timing of it holds a compilation."""
    return jax.jit(function).lower(*args).compile()


# After a call, the threads of OpenBLAS keep a core busy for this long.
_PAUSE = 0.03


def timings(functions: dict[str, Callable[[], Any]], repeats: int) -> dict[str, np.ndarray]:
    """Time the functions in turn, `repeats` times each, so that noise of the machine affects all of them alike."""
    for function in functions.values():
        jax.block_until_ready(function())
    seconds = {name: np.empty(repeats) for name in functions}
    for repeat in range(repeats):
        for name, function in functions.items():
            time.sleep(_PAUSE)
            started = time.perf_counter()
            jax.block_until_ready(function())
            seconds[name][repeat] = time.perf_counter() - started
    return seconds


def quartiles(values: np.ndarray) -> list[float]:
    """Lower quartile, median and upper quartile, to four digits."""
    return [float(f"{value:.4g}") for value in np.percentile(values, (25, 50, 75))]


def all_quartiles(seconds: dict[str, np.ndarray]) -> dict[str, list[float]]:
    return {name: quartiles(values) for name, values in seconds.items()}


def report(**fields: Any) -> None:
    """Print one JSON line with the device, the versions, the date and the commit."""
    print(json.dumps(fields | context()), flush=True)


def context() -> dict[str, Any]:
    from leepjax.studies.provenance import processor  # here, or its imports would count in the measured memory

    # Edits change the code that is measured; untracked results don't.
    described = subprocess.run(
        ["git", "describe", "--always", "--dirty", "--exclude=*"],
        capture_output=True,
        text=True,
        cwd=Path(__file__).parent,
        check=False,
    )
    return {
        "device": f"{jax.devices()[0].device_kind} ({processor()}, {len(os.sched_getaffinity(0))} cores)",
        **{package: version(package) for package in ("jax", "numpy", "scipy")},
        "python": platform.python_version(),
        "date": datetime.date.today().isoformat(),
        "commit": described.stdout.strip() or None,
    }


def in_fresh_process(file: str, *arguments: str, command: tuple[str, ...] = (), **environment: str) -> dict[str, Any]:
    """Run a benchmark's own file in a new process, and return the JSON that it prints as its last line.

    The arguments are passed in `$BENCHMARK_CHILD`, from which `child_arguments` reads them.
    """
    done = subprocess.run(
        [sys.executable, *command, file],
        env=os.environ | environment | {"BENCHMARK_CHILD": json.dumps(arguments)},
        stdout=subprocess.PIPE,
        text=True,
        check=True,
    )
    return json.loads(done.stdout.splitlines()[-1])


def run_command(*arguments: str, **environment: str) -> dict[str, float]:
    """Run a leepjax command in a new process, and measure its wall time, processor time and memory.

    Modules are read as bytecode if an earlier process has written it, as after `pip install`.
    """
    left_out = "JAX_", "PYTHONDONTWRITEBYTECODE"
    without_caches = {name: value for name, value in os.environ.items() if not name.startswith(left_out)}
    started = time.perf_counter()
    process = subprocess.Popen(
        [sys.executable, "-m", "leepjax", *arguments],
        env=without_caches | environment,
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
    )
    _, status, used = os.wait4(process.pid, 0)
    seconds = time.perf_counter() - started
    if status:
        raise RuntimeError(f"leepjax {' '.join(arguments)} ended with {os.waitstatus_to_exitcode(status)}")
    return {
        "seconds": seconds,
        "processor_seconds": used.ru_utime + used.ru_stime,
        "peak_bytes": 1024 * used.ru_maxrss,
    }


def child_arguments() -> list[str] | None:
    """The arguments that `in_fresh_process` passed; None in a benchmark that a user started."""
    passed = os.environ.get("BENCHMARK_CHILD")
    return None if passed is None else json.loads(passed)


def reset_peak() -> int:
    """Give free memory back to the system, reset Linux's peak of this process, and return the resident bytes."""
    gc.collect()
    ctypes.CDLL("libc.so.6").malloc_trim(0)
    Path("/proc/self/clear_refs").write_text("5")
    return resident("VmRSS")


def resident(field: str) -> int:
    """Bytes of this process in memory, as counted by Linux: VmRSS now, VmHWM at the peak."""
    return 1024 * int(re.search(rf"{field}:\s+(\d+) kB", Path("/proc/self/status").read_text())[1])
