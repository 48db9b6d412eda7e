"""The Ray workers of a command, each with the object that it keeps and the unit that it computes."""

import logging
import time
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any

from leepjax.engines.ray_worker import Worker
from leepjax.engines.resources import Resources
from leepjax.engines.units import Unit
from leepjax.types import InputError

LOOK_AGAIN = 30.0
"""Seconds after which the machines of the cluster are counted again, since some may have joined or left."""
PATIENCE = 60.0
"""Seconds to wait for the first worker before a message: other programs may be using the whole cluster."""
FAILED_STARTS = 4
"""How many workers may die in a row before any has started."""


@dataclass(eq=False)
class PooledWorker:
    """A worker."""

    actor: Any
    sees_cache: bool = False
    """Whether the worker can access the cache folder of the command."""
    keeps: int | None = None
    """The `id` of what its last unit kept."""
    unit: Unit | None = None


class Pool:
    """Workers: as many as the units need, and the cluster has resources for."""

    def __init__(self, caller: str, ray: Any, resources: Resources, mark: str | None):
        """Count the machines; no worker is started yet.

        Args:
            caller: the command, with which errors begin.
            ray: the module, connected to a cluster.
            resources: of each worker.
            mark: path of a file in the command's cache folder; a worker that finds it can access the folder.

        Raises:
            InputError: when no machine has the resources of a worker.
        """
        self._caller, self._ray, self._mark = caller, ray, mark
        nodes = ray.nodes()
        self._resources = resources.on(nodes)
        self._counted, self._most = time.monotonic(), self._resources.workers(nodes)
        if not self._most:
            raise InputError(
                f"{caller}: expected a machine with {self._resources.text} in Ray's cluster, got none; lower "
                "cpus_per_task or gpus_per_task, or add such a machine."
            )
        gpus = self._resources.gpus
        options = {"num_cpus": self._resources.cpus, "num_gpus": gpus, "max_restarts": 0}
        self._new = lambda: ray.remote(**options)(Worker).remote(gpus)
        self._waiting: dict[Any, PooledWorker] = {}
        """Ray's reference to a pending result → the worker that computes it."""
        self._failed_starts = 0
        self.idle: list[PooledWorker] = []

    @property
    def busy(self) -> list[PooledWorker]:
        """The workers that compute a unit."""
        return [worker for worker in self._waiting.values() if worker.unit is not None]

    def kept_by_others(self, worker: PooledWorker) -> set[int]:
        """The `id` of what each of the other workers keeps."""
        others = [*self.idle, *self._waiting.values()]
        return {each.keeps for each in others if each is not worker and each.keeps is not None}

    def grow(self, units: int) -> None:
        """Start workers for waiting units."""
        if time.monotonic() - self._counted > LOOK_AGAIN:
            self._counted, self._most = time.monotonic(), max(self._resources.workers(self._ray.nodes()), 1)
        starting = len(self._waiting) - len(self.busy)
        new = min(units - len(self.idle) - starting, self._most - len(self.idle) - len(self._waiting))
        for _ in range(new):
            worker = PooledWorker(self._new())
            self._waiting[worker.actor.sees.remote(self._mark)] = worker

    def start(self, worker: PooledWorker, unit: Unit, arguments: tuple[Any, ...]) -> None:
        """Let an idle worker compute a unit."""
        self._waiting[worker.actor.compute.remote(*arguments)] = worker
        self.idle.remove(worker)
        worker.unit, worker.keeps = unit, id(unit.kept)

    def wait(self) -> Iterator[tuple[Unit, Any, Exception | None]]:
        """Wait until a worker has started or a unit has ended; for a unit, yield its result or the worker's death.

        Raises:
            InputError: when workers can't start.
        """
        if not self._waiting:
            return
        (ended,) = self._first_that_ended()
        worker = self._waiting.pop(ended)
        unit, worker.unit = worker.unit, None
        result, death = None, None
        errors = self._ray.exceptions
        try:
            result = self._ray.get(ended)
        except errors.RayTaskError as error:  # arguments or results that can't be sent
            result = error.cause, {}
        except errors.RayError as error:
            death = error
        if unit is None:
            self._has_started(worker, result, death)
            return
        if death is None:
            self.idle.append(worker)
        else:
            self._end(worker)
        yield unit, result, death

    def _first_that_ended(self) -> Sequence[Any]:
        """Ray's reference to the first result. If no worker starts for long, a warning says what they wait for."""
        if not self.idle and not self.busy:
            ended, _ = self._ray.wait(list(self._waiting), timeout=PATIENCE)
            if ended:
                return ended
            logging.getLogger("leepjax").warning(
                "%s: no worker has started on Ray for %.0f seconds; waiting for %s to be free.",
                self._caller,
                PATIENCE,
                self._resources.text,
            )
        ended, _ = self._ray.wait(list(self._waiting))
        return ended

    def end_busy(self) -> None:
        """End the workers that compute something."""
        for reference, worker in list(self._waiting.items()):
            if worker.unit is not None:
                del self._waiting[reference]
                self._end(worker)

    def close(self) -> None:
        """End all workers."""
        for worker in (*self.idle, *self._waiting.values()):
            self._end(worker)
        self.idle, self._waiting = [], {}

    def _has_started(self, worker: PooledWorker, sees_cache: Any, death: Exception | None) -> None:
        if death is None and isinstance(sees_cache, bool):
            worker.sees_cache = sees_cache
            self._failed_starts = 0
            self.idle.append(worker)
            return
        self._end(worker)
        self._failed_starts += 1
        if self._failed_starts == FAILED_STARTS:
            reason = type(death).__name__ if death else "an error"
            raise InputError(
                f"{self._caller}: expected Ray's workers to start, got {FAILED_STARTS} that ended at once ({reason}); "
                "install the same leepjax on each machine, and give workers enough memory."
            )

    def _end(self, worker: PooledWorker) -> None:
        if self._ray.is_initialized():
            self._ray.kill(worker.actor)
