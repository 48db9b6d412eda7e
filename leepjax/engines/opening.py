"""The engine of a command, by name."""

from collections.abc import Generator, Sequence
from functools import partial
from typing import get_args

from leepjax.callbacks import OnProgress
from leepjax.engines.processes import available_cores, processes
from leepjax.engines.ray import import_ray, ray_tasks
from leepjax.engines.serial import serial
from leepjax.engines.units import Engine, Function, Outcome, Unit, no_progress
from leepjax.types import EngineName, InputError, unknown_name


def open_engine(caller: str, name: EngineName, workers: int | None = None) -> Engine:
    """The engine of a name, checked before anything is computed.

    Args:
        caller: the command, with which errors begin.
        name: ``serial``, ``processes`` of this machine, each with its share of the cores, or ``ray``.
        workers: of ``processes``, how many; at most, and by default, one per core.

    Raises:
        InputError: for an unknown engine, fewer than one worker, Ray where it isn't installed, or RAY_ADDRESS without
            a cluster.
    """
    if name not in get_args(EngineName):
        raise unknown_name("engine", name, get_args(EngineName))
    if workers is not None and workers < 1:
        raise InputError(f"{caller}: expected workers >= 1, got {workers}; raise it.")
    if name == "ray":
        return partial(_known_here, partial(ray_tasks, caller, import_ray(caller)))
    cores = len(available_cores())
    count = min(workers or cores, cores)
    return serial if name == "serial" or count == 1 else partial(_known_here, partial(processes, caller, count))


def _known_here(
    elsewhere: Engine, function: Function, units: Sequence[Unit], on_progress: OnProgress
) -> Generator[Outcome]:
    """Run the units whose results are known in this process, and the others elsewhere, if there are any."""
    yield from serial(function, [unit for unit in units if unit.is_known], no_progress)
    if unknown := [unit for unit in units if not unit.is_known]:
        yield from elsewhere(function, unknown, on_progress)
