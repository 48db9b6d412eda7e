"""The engine that runs units in Ray's workers, on this machine or on a cluster; this process collects the results."""

import time
from collections.abc import Generator, Iterator, Sequence
from typing import Any

from leepjax.callbacks import OVERALL, OnProgress
from leepjax.engines.ray_pool import Pool
from leepjax.engines.ray_queue import Queue
from leepjax.engines.ray_sending import Mark, Sending
from leepjax.engines.ray_start import check_cluster, start_ray
from leepjax.engines.resources import Resources
from leepjax.engines.serial import known_here
from leepjax.engines.units import NOT_PICKLABLE, Function, Outcome, Unit, not_picklable, outcome
from leepjax.types import InputError

RETRIES = 3
"""How often a unit is started again when its worker dies."""


def import_ray(caller: str) -> Any:
    """Import Ray, which is an optional dependency, and check that the cluster at RAY_ADDRESS, if it is set, answers.

    Raises:
        InputError: without Ray, or without a cluster at RAY_ADDRESS; it begins with `caller`.
    """
    try:
        import ray
    except ImportError:
        raise InputError(f"{caller}: expected Ray for engine 'ray', got none; pip install 'leepjax[ray]'.") from None
    check_cluster(caller, ray)
    return ray


class RayWorkers:
    """The engine `ray`. Ray is started at the first unit unless it runs already; its workers stay until `close`."""

    def __init__(self, caller: str, ray: Any, resources: Resources):
        self._caller, self._ray, self._resources = caller, ray, resources
        self._pool: Pool | None = None
        self._mark: Mark | None = None
        self._has_started = False

    def __call__(self, function: Function, units: Sequence[Unit], on_progress: OnProgress) -> Generator[Outcome]:
        """Run the units.

        Raises:
            InputError: without a cluster at RAY_ADDRESS, or when no machine of it has room for a worker, or none
                starts; it begins with the caller's name.
        """
        return known_here(self._elsewhere, function, units, on_progress)

    def close(self) -> None:
        """End the workers, and Ray if it was started here."""
        pool, self._pool = self._pool, None
        if self._mark:
            self._mark.remove()
            self._mark = None
        if self._has_started:
            self._has_started = False
            # This also ends units that still run. Ending them first could abort Ray if a unit ends at that moment.
            self._ray.shutdown()
        elif pool:
            pool.close()

    def _elsewhere(self, function: Function, units: Sequence[Unit], on_progress: OnProgress) -> Generator[Outcome]:
        if not self._ray.is_initialized():
            self._pool = None
        self._has_started |= start_ray(self._caller, self._ray, len(units) * self._resources.cpus)
        self._mark = self._mark or Mark(units)
        self._pool = self._pool or Pool(self._caller, self._ray, self._resources, self._mark.path)
        on_progress(f"{OVERALL}: started", 0, len(units))
        try:
            for done, each in enumerate(self._outcomes(self._pool, function, units), start=1):
                yield each
                on_progress(f"{OVERALL}: {each.unit.name}", done, len(units))
        except GeneratorExit:
            raise
        except BaseException:
            self.close()
            raise
        finally:
            if self._pool:
                self._pool.end_busy()

    def _outcomes(self, pool: Pool, function: Function, units: Sequence[Unit]) -> Iterator[Outcome]:
        queue, deaths = Queue(units), dict.fromkeys(units, 0)
        sending = Sending(self._ray, function, units)
        fatal: set[int] = set()
        """Shared objects of units whose workers died each time; other units that share them get fewer attempts."""
        while queue or pool.busy:
            pool.grow(len(queue))
            for worker in list(pool.idle):
                unit = queue.take(worker.keeps, pool.kept_by_others(worker), sending.files_in_use)
                if unit is None:
                    break
                try:
                    pool.start(worker, unit, sending.arguments(unit, worker.sees_cache))
                except NOT_PICKLABLE as error:
                    sending.done(unit)
                    yield Outcome(unit, error=self._not_sent(unit, error))
            for unit, result, death in pool.wait():
                if death is None:
                    yield outcome(unit, sending.kept(result))
                    sending.done(unit)
                    continue
                time.sleep(0.5)  # Ctrl-C at a terminal also kills workers; wait for this process's own interrupt
                deaths[unit] += 1
                if deaths[unit] <= (0 if id(unit.kept) in fatal else RETRIES):
                    sending.stopped(unit)
                    queue.put_back(unit)
                    continue
                fatal.add(id(unit.kept))
                sending.done(unit)
                yield Outcome(unit, error=self._died(unit, deaths[unit], death))

    def _not_sent(self, unit: Unit, error: Exception) -> Exception:
        for each in unit.shared:
            try:
                self._ray.put(each)
            except NOT_PICKLABLE:
                return not_picklable(self._caller, each.name)
        return error

    def _died(self, unit: Unit, times: int, death: Exception) -> ChildProcessError:
        return ChildProcessError(
            f"{self._caller}: expected a worker to live until {unit.name} is done, got {times} that died "
            f"({type(death).__name__}); give it more memory, or take the serial engine."
        )
