"""The engine of a command, by name."""

import logging
from functools import partial
from typing import get_args

from leepjax.engines.processes import available_cores, processes
from leepjax.engines.ray import RayWorkers, import_ray
from leepjax.engines.resources import read_resources
from leepjax.engines.serial import known_here, serial
from leepjax.engines.units import Engine
from leepjax.types import EngineName, InputError, unknown_name


def open_engine(
    caller: str,
    name: EngineName,
    workers: int | None = None,
    *,
    cpus_per_task: int | None = None,
    gpus_per_task: float | None = None,
) -> Engine:
    """Open an engine by name; its arguments are checked before anything is computed. `close_engine` closes it.

    Args:
        caller: the command, with which errors begin.
        name: ``serial``, ``processes`` of this machine, each with its share of the cores, or ``ray``.
        workers: the number of ``processes``; at most, and by default, one per core. A warning is logged if another
            engine is to have some.
        cpus_per_task: how many cores each worker of ``ray`` reserves, by default one.
        gpus_per_task: how many GPUs, or what fraction of one, each worker of ``ray`` reserves; by default one if the
            cluster has any.

    Raises:
        InputError: for an unknown engine, fewer than one worker, resources that are out of range or for
            another engine, Ray where it isn't installed, or RAY_ADDRESS without a cluster.
    """
    if name not in get_args(EngineName):
        raise unknown_name("engine", name, get_args(EngineName))
    if workers is not None and workers < 1:
        raise InputError(f"{caller}: expected workers >= 1, got {workers}; raise it.")
    if workers is not None and name != "processes":
        logging.getLogger("leepjax").warning(
            "%s: workers is of engine 'processes' alone; %r doesn't use it.", caller, name
        )
    resources = read_resources(caller, name, cpus_per_task, gpus_per_task)
    if name == "ray":
        return RayWorkers(caller, import_ray(caller), resources)
    cores = len(available_cores())
    count = min(workers or cores, cores)
    return serial if name == "serial" or count == 1 else partial(known_here, partial(processes, caller, count))


def close_engine(engine: Engine) -> None:
    """End the workers that an engine keeps between calls; only Ray's engine keeps any."""
    if isinstance(engine, RayWorkers):
        engine.close()
