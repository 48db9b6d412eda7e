"""The engine that runs units as tasks of Ray, on this machine or on a cluster; this process alone collects."""

import time
from collections.abc import Generator, Sequence
from typing import Any

from leepjax.callbacks import OVERALL, OnProgress
from leepjax.engines.ray_start import check_cluster, start_ray
from leepjax.engines.settings import settings_here, take_over
from leepjax.engines.units import (
    NOT_PICKLABLE,
    Function,
    Outcome,
    Unit,
    computed,
    distinct,
    not_picklable,
    outcome,
)
from leepjax.types import InputError

RETRIES = 3
"""How often a unit is started again when its worker dies."""


def import_ray(caller: str) -> Any:
    """Ray, which is an extra, with a cluster that answers if RAY_ADDRESS names one.

    Raises:
        InputError: without Ray, or without a cluster at RAY_ADDRESS; it begins with `caller`.
    """
    try:
        import ray
    except ImportError:
        raise InputError(f"{caller}: expected Ray for engine 'ray', got none; pip install 'leepjax[ray]'.") from None
    check_cluster(caller, ray)
    return ray


def ray_tasks(
    caller: str, ray: Any, function: Function, units: Sequence[Unit], on_progress: OnProgress
) -> Generator[Outcome]:
    """Run each unit as a task of Ray, which is started here unless it runs already.

    Raises:
        InputError: for units that can't be pickled, or without a cluster at RAY_ADDRESS; it begins with `caller`.
    """
    started = start_ray(caller, ray, len(units))
    tasks: dict[Any, Unit] = {}
    try:
        _submit(caller, ray, function, units, tasks)
        on_progress(f"{OVERALL}: started", 0, len(units))
        while tasks:
            (task,), _ = ray.wait(list(tasks))
            unit = tasks.pop(task)
            yield outcome(unit, _computed(caller, ray, task, unit))
            on_progress(f"{OVERALL}: {unit.name}", len(units) - len(tasks), len(units))
    finally:
        if started:
            ray.shutdown()  # ends what still runs; cancelling it first may abort Ray, where a task ends at that moment
        else:
            for task in tasks:  # there are some after an interrupt or an error
                ray.cancel(task, force=True)


def _submit(caller, ray, function, units, tasks) -> None:
    # Ray hides the GPUs from a task that asks for none, and results would be a CPU's.
    num_gpus = 1 if ray.cluster_resources().get("GPU") else 0
    compute = ray.remote(max_retries=RETRIES, num_cpus=1, num_gpus=num_gpus)(_compute)
    sent = {id(each): _send(caller, ray, each) for each in distinct(units)}
    sent_function, settings = ray.put(function), settings_here()
    for unit in units:
        shared = [sent[id(each)] for each in unit.shared]
        tasks[compute.remote(settings, sent_function, *shared, *unit.arguments())] = unit


def _send(caller: str, ray: Any, each: Any) -> Any:
    try:
        return ray.put(each)
    except NOT_PICKLABLE:
        raise not_picklable(caller, each.name) from None


def _compute(settings, function, *arguments):
    """What runs in a worker."""
    take_over(settings)
    return computed(function, *arguments)


def _computed(caller: str, ray: Any, task: Any, unit: Unit) -> list[Any] | Exception:
    """A unit's results, or what ended it: its own exception, or the deaths of its workers."""
    try:
        return ray.get(task)
    except ray.exceptions.RayTaskError as error:  # arguments or results that can't be sent
        return error.cause
    except (ray.exceptions.WorkerCrashedError, ray.exceptions.OutOfMemoryError) as error:
        time.sleep(0.5)  # Ctrl-C at a terminal kills workers too; then this process's own interrupt comes now
        return ChildProcessError(
            f"{caller}: expected a worker to live until {unit.name} is done, got {RETRIES + 1} that died "
            f"({type(error).__name__}); give it more memory, or take the serial engine."
        )
