"""The Ray engine of `sweep`: a task for each cell; Ray's workers measure, and the driver alone collects."""

import pickle
import time
from collections.abc import Iterator, Mapping, Sequence
from functools import partial
from pathlib import Path
from typing import Any

from leepjax.callbacks import OVERALL, OnProgress
from leepjax.engines.ray_start import check_cluster, start_ray
from leepjax.engines.settings import settings_here, take_over
from leepjax.models.source import Source
from leepjax.opening.sources import NOT_OF_A_SOURCE
from leepjax.ranking.cell import Cell, Measured, Run
from leepjax.ranking.plan import Plan
from leepjax.storage.records import Record
from leepjax.types import InputError

RETRIES = 3
"""How often a cell is started anew when its worker dies."""


def ray_engine() -> Run:
    """The engine.

    Raises:
        InputError: without Ray, or without a cluster at RAY_ADDRESS where that is set.
    """
    try:
        import ray
    except ImportError:
        raise InputError("sweep: expected Ray for engine 'ray', got none; pip install 'leepjax[ray]'.") from None
    check_cluster("sweep", ray)
    return partial(_measure_all, ray)


def _measure_all(
    ray: Any, cells: Sequence[Cell], known: Mapping[str, Record], cache: Path | None, on_progress: OnProgress
) -> Measured:
    missing = []
    for cell in cells:
        if cell.work().keys() <= known.keys():
            yield cell, list(cell.measure(known, None, on_progress))
        else:
            missing.append(cell)
    if missing:
        yield from _measure_there(ray, missing, known, cache, on_progress)


def _measure_there(ray, cells, known, cache, on_progress) -> Measured:
    started = start_ray("sweep", ray, len(cells))
    tasks: dict[Any, Cell] = {}
    try:
        tasks |= _submit(ray, cells, known, cache)
        on_progress(f"{OVERALL}: started", 0, len(cells))
        while tasks:
            (task,), _ = ray.wait(list(tasks))
            cell = tasks.pop(task)
            yield cell, _measured(ray, task, cell)
            on_progress(f"{OVERALL}: {cell.name}", len(cells) - len(tasks), len(cells))
    finally:
        if started:
            ray.shutdown()  # ends what still runs; cancelling it first may abort Ray, where a task ends at that moment
        else:
            for task in tasks:  # there are some after an interrupt or an error
                ray.cancel(task, force=True)


def _submit(ray: Any, cells: Sequence[Cell], known: Mapping[str, Record], cache: Path | None) -> Iterator[Any]:
    """A task for each cell. What several share is sent once."""
    # Ray hides the GPUs from a task that asks for none, and results would be a CPU's.
    num_gpus = 1 if ray.cluster_resources().get("GPU") else 0
    measure = ray.remote(max_retries=RETRIES, num_cpus=1, num_gpus=num_gpus)(_measure_here)
    settings = settings_here()
    sent = {}
    for each in (each for cell in cells for each in (cell.plan, cell.source)):
        if id(each) not in sent:
            sent[id(each)] = _send(ray, each)
    for cell in cells:
        here = {key: known[key] for key in cell.work().keys() & known.keys()}
        yield measure.remote(sent[id(cell.plan)], sent[id(cell.source)], here, cache, settings), cell


def _send(ray: Any, each: Plan | Source) -> Any:
    try:
        return ray.put(each)
    except (TypeError, AttributeError, pickle.PicklingError):
        name = each.name if isinstance(each, Source) else each.target.name
        raise InputError(
            f"sweep: expected sources and targets that can be pickled, got {name!r}; take the serial engine."
        ) from None


def _measure_here(plan, source, known, cache, settings) -> list[Record]:
    """What runs in a worker."""
    take_over(settings)
    return list(Cell(plan, source).measure(known, cache, lambda what, done, total: None))


def _measured(ray: Any, task: Any, cell: Cell) -> list[Record] | Exception:
    """A cell's records, or what ended it: what it raised, as in the serial engine, or the deaths of its workers."""
    try:
        return ray.get(task)
    except ray.exceptions.RayTaskError as error:
        if isinstance(error.cause, NOT_OF_A_SOURCE):
            raise error.cause from None
        return error.cause
    except (ray.exceptions.WorkerCrashedError, ray.exceptions.OutOfMemoryError) as error:
        time.sleep(0.5)  # Ctrl-C at a terminal kills workers too; then this process's own interrupt comes now
        return ChildProcessError(
            f"sweep: expected a worker to live through {cell.source.name} on {cell.plan.target.name}, "
            f"got {RETRIES + 1} that died ({type(error).__name__}); give it more memory, or take the serial engine."
        )
