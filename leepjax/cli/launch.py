"""``leepjax launch``: start a program of many processes."""

import sys
from pathlib import Path
from typing import Annotated

from cyclopts import Parameter

from leepjax.types import InputError


def launch(
    script: Path,
    /,
    *arguments: Annotated[str, Parameter(allow_leading_hyphen=True)],
    processes: int | None = None,
    devices_per_process: int | None = None,
    coordinator: str | None = None,
    process_id: int | None = None,
    timeout: int = 20,
) -> None:
    """Run a script in many processes that each hold a part of the data; it must call leepjax.distributed.initialize().

    On one machine, pass --processes. Under srun and on TPU pods, every task calls this command without --processes, and
    JAX detects the others. Otherwise call it on each machine with --processes, --coordinator and --process-id.

    Parameters
    ----------
    script
        The Python program.
    arguments
        Its arguments; put -- before SCRIPT if any of them has the same name as an option below.
    processes
        Total number of processes; without --coordinator all of them start here.
    devices_per_process
        CPU devices or GPUs per process; 1 by default where all processes share this machine.
    coordinator
        HOST:PORT at which process 0 can be reached.
    process_id
        Number of the process to start here, from 0.
    timeout
        Seconds to wait for missing processes.
    """
    from leepjax.distributed.launch import launch as run_launch

    if not script.is_file():
        raise InputError(f"launch: expected a Python file, got {str(script)!r}, which isn't a file; correct the path.")
    try:
        run_launch(
            [sys.executable, str(script), *arguments],
            processes=processes,
            devices_per_process=devices_per_process,
            coordinator=coordinator,
            process_id=process_id,
            timeout=timeout,
        )
    except KeyboardInterrupt as interrupt:
        interrupt.args = ("launch: interrupted, and all processes started here stopped; run the same command again.",)
        raise
