"""How every benchmark measures: compile apart, warm up, wait for the device, repeat, report quartiles as JSON lines."""

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


# The threads of OpenBLAS keep a core busy for so long after a call.
_PAUSE = 0.03


def timings(functions: dict[str, Callable[[], Any]], repeats: int) -> dict[str, np.ndarray]:
    """Seconds of each function, `repeats` times in turn, so that a noisy machine is noisy for all of them."""
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
    from leepjax.studies.provenance import processor  # its imports would count as memory of what is measured

    # Untracked results don't make numbers those of other code; edits do.
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
    """What a benchmark's own file prints as its last line, JSON, when it runs with these arguments and is told so.

    `$BENCHMARK_CHILD` holds the arguments there: `child_arguments` finds them.
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
    """What one command of leepjax takes in a process of its own: its time, that of all its threads, and its memory.

    Modules are read as bytecode where an earlier process has left it, as `pip install` does.
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
    """What `in_fresh_process` passed; None in a benchmark that a user started."""
    passed = os.environ.get("BENCHMARK_CHILD")
    return None if passed is None else json.loads(passed)


def reset_peak() -> int:
    """Give free memory back to the system, have Linux forget this process's peak, and tell what is resident now."""
    gc.collect()
    ctypes.CDLL("libc.so.6").malloc_trim(0)
    Path("/proc/self/clear_refs").write_text("5")
    return resident("VmRSS")


def resident(field: str) -> int:
    """Bytes of this process in memory by Linux's count: VmRSS now, VmHWM at the peak."""
    return 1024 * int(re.search(rf"{field}:\s+(\d+) kB", Path("/proc/self/status").read_text())[1])
