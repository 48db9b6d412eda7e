"""Where a study's trainings run: in this process, in several on this machine, or in Ray's workers."""

import multiprocessing
import os
import threading
from collections.abc import Callable, Generator, Sequence
from concurrent.futures import ProcessPoolExecutor, as_completed
from concurrent.futures.process import BrokenProcessPool
from functools import partial
from typing import Any, Literal, get_args

from leepjax.engines.ray_start import check_cluster, start_ray
from leepjax.engines.settings import settings_here, take_over
from leepjax.interrupts import blocked
from leepjax.types import InputError, unknown_name

Engine = Literal["serial", "processes", "ray"]

Work = Callable[[Any], Any]
"""A unit of work → its result. It travels to other processes, once to each."""
Run = Callable[[Work, Sequence[Any]], Generator[tuple[Any, Any]]]
"""Work and its units → unit and result, as they come."""


def open_engine(engine: Engine, workers: int | None = None) -> Run:
    """What runs a study's trainings.

    Args:
        engine: ``serial``, ``processes`` of this machine, each with its share of the cores, or ``ray``.
        workers: how many processes; one for each core by default.

    Raises:
        InputError: for an unknown engine, fewer than one worker, Ray where it isn't installed, or RAY_ADDRESS without
            a cluster.
    """
    if engine not in get_args(Engine):
        raise unknown_name("engine", engine, get_args(Engine))
    if workers is not None and workers < 1:
        raise InputError(f"study: expected workers >= 1, got {workers}; raise it.")
    if engine == "ray":
        return partial(_ray, _import_ray())
    cores = sorted(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else range(os.cpu_count() or 1)
    count = min(workers or len(cores), len(cores))
    return _serial if engine == "serial" or count == 1 else lambda work, units: _processes(work, units, cores, count)


def _serial(work, units):
    for unit in units:
        yield unit, work(unit)


def _processes(work, units, cores, count):
    context = multiprocessing.get_context("spawn")
    shares = context.Queue()
    for number in range(count):
        shares.put(cores[number::count])
    pool = ProcessPoolExecutor(count, context, _begin, (work, shares, settings_here()))
    try:
        with blocked():  # a signal to the whole group, as a terminal's or a cluster's, is this process's to handle
            futures = {pool.submit(_there, unit): unit for unit in units}
        for future in as_completed(futures):
            yield futures[future], future.result()
    except BrokenProcessPool as error:
        raise ChildProcessError(
            "study: expected workers to live through their trainings, got one that died; give them more memory, or "
            "take fewer workers."
        ) from error
    finally:
        for process in list(pool._processes.values()):  # what still trains isn't waited for
            process.kill()
        pool.shutdown(cancel_futures=True)


_work: Work | None = None


def _begin(work, shares, settings):
    """What a worker does first. XLA makes its threads for the cores that it then finds."""
    global _work
    threading.Thread(target=_end_with_parent, daemon=True).start()
    if hasattr(os, "sched_setaffinity"):
        os.sched_setaffinity(0, shares.get())
    take_over(settings)
    _work = work


def _end_with_parent():
    """End as soon as the study's process has ended, however it did."""
    parent = multiprocessing.parent_process()
    assert parent is not None
    parent.join()
    os._exit(1)


def _there(unit):
    assert _work is not None
    return _work(unit)


def _import_ray():
    # Asked for at the start, not when the heads are done and training would begin.
    try:
        import ray
    except ImportError:
        raise InputError("study: expected Ray for engine 'ray', got none; pip install 'leepjax[ray]'.") from None
    check_cluster("study", ray)
    return ray


def _ray(ray, work, units):
    if not units:  # starting Ray takes longer than nothing
        return
    started = start_ray("study", ray, len(units))
    num_gpus = 1 if ray.cluster_resources().get("GPU") else 0
    remote = ray.remote(num_cpus=1, num_gpus=num_gpus)(_in_ray)
    tasks = {}
    try:
        sent, settings = ray.put(work), settings_here()
        tasks |= {remote.remote(sent, unit, settings): unit for unit in units}
        while tasks:
            (task,), _ = ray.wait(list(tasks))
            yield tasks.pop(task), ray.get(task)
    finally:
        if started:
            ray.shutdown()
        else:
            for task in tasks:  # nobody waits for what an interrupt or an error left
                ray.cancel(task, force=True)


def _in_ray(work, unit, settings):
    take_over(settings)
    return work(unit)
