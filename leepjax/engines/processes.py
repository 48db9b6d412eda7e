"""The engine that runs units in several processes of this machine, each with its share of the cores."""

import multiprocessing
import os
import pickle
import tempfile
import threading
from collections.abc import Generator, Sequence
from concurrent.futures import Future, ProcessPoolExecutor, as_completed
from concurrent.futures.process import BrokenProcessPool
from pathlib import Path
from typing import Any

from leepjax.callbacks import OVERALL, OnProgress
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
from leepjax.interrupts import blocked
from leepjax.storage.files import writing


def available_cores() -> list[int]:
    """The cores that this process may use."""
    return sorted(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else list(range(os.cpu_count() or 1))


def processes(
    caller: str, workers: int, function: Function, units: Sequence[Unit], on_progress: OnProgress
) -> Generator[Outcome]:
    """Run the units in up to `workers` processes. If a process dies, all units that haven't ended fail.

    Raises:
        InputError: for units that can't be pickled; it begins with `caller`.
    """
    workers, cores = min(workers, len(units)), available_cores()
    context = multiprocessing.get_context("spawn")
    core_shares = context.Queue()
    for number in range(workers):
        core_shares.put(cores[number::workers])
    shared = distinct(units)
    with tempfile.TemporaryDirectory(prefix="leepjax-") as folder:
        sent = Path(folder) / "sent"
        _write(caller, sent, function, shared)
        pool = ProcessPoolExecutor(workers, context, _begin, (sent, core_shares, settings_here()))
        try:
            futures = _submit(pool, shared, units)
            on_progress(f"{OVERALL}: started", 0, len(units))
            for done, future in enumerate(as_completed(futures), start=1):
                unit = futures[future]
                yield _outcome(caller, unit, future)
                on_progress(f"{OVERALL}: {unit.name}", done, len(units))
        finally:
            for process in list(pool._processes.values()):  # don't wait for units that still run
                process.kill()
            pool.shutdown(cancel_futures=True)


def _write(caller: str, path: Path, function: Function, shared: Sequence[Any]) -> None:
    """Write what all workers need to a file.

    It isn't an argument of theirs, because this process would wait for ever to send more than fits into a pipe to a
    worker that has died.
    """
    try:
        with writing(path), path.open("wb") as file:
            pickle.dump((function, shared), file)
    except NOT_PICKLABLE:
        name = next((each.name for each in shared if not _can_be_pickled(each)), None)
        if name is None:
            raise
        raise not_picklable(caller, name) from None


def _submit(pool: ProcessPoolExecutor, shared: Sequence[Any], units: Sequence[Unit]) -> dict[Future, Unit]:
    places = {id(each): place for place, each in enumerate(shared)}
    calls = [(unit, [places[id(each)] for each in unit.shared], unit.arguments()) for unit in units]
    with blocked():  # a terminal or cluster signals the whole group; only this process handles the signal
        return {_future(pool, of_shared, arguments): unit for unit, of_shared, arguments in calls}


def _future(pool: ProcessPoolExecutor, *arguments: Any) -> Future:
    """The future of a unit; the first one starts the processes."""
    try:
        return pool.submit(_compute, *arguments)
    except BrokenProcessPool as error:  # a process has died already
        future: Future = Future()
        future.set_exception(error)
        return future


def _can_be_pickled(value: Any) -> bool:
    try:
        pickle.dumps(value)
    except NOT_PICKLABLE:
        return False
    return True


def _outcome(caller: str, unit: Unit, future: Future) -> Outcome:
    try:
        result = future.result()
    except BrokenProcessPool:
        result = ChildProcessError(
            f"{caller}: expected every worker to live until {unit.name} is done, got one that died; give the workers "
            "more memory, or take fewer of them."
        )
    except Exception as error:  # results or arguments that can't be sent between processes
        result = error
    return outcome(unit, result)


_function: Function | None = None
_shared: list[Any] = []


def _begin(sent, core_shares, settings):
    """Set up a worker. Its cores are limited before XLA starts, because XLA makes a thread for each core."""
    global _function, _shared
    threading.Thread(target=_end_with_parent, daemon=True).start()
    if hasattr(os, "sched_setaffinity"):
        os.sched_setaffinity(0, core_shares.get())
    take_over(settings)
    with sent.open("rb") as file:
        _function, _shared = pickle.load(file)


def _end_with_parent():
    """End this process as soon as its parent has ended for any reason."""
    parent = multiprocessing.parent_process()
    assert parent is not None
    parent.join()
    os._exit(1)


def _compute(places, arguments):
    assert _function is not None
    return computed(_function, *(_shared[place] for place in places), *arguments)
