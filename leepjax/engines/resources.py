"""The resources that a Ray worker reserves, and how many workers fit on the machines of a cluster."""

from collections.abc import Iterable, Mapping
from typing import Any, NamedTuple

from leepjax.types import EngineName, InputError

_ROUNDING = 1e-6
"""Ray counts resources in ten-thousandths."""


class Resources(NamedTuple):
    """The cores and GPUs that each worker reserves."""

    cpus: int = 1
    gpus: float | None = None
    """None for one GPU if the cluster has any: a worker that reserves no GPU sees none, and would compute on a CPU."""

    def on(self, nodes: Iterable[Mapping[str, Any]]) -> "Resources":
        """Decide the number of GPUs for the machines `nodes`, as listed by ``ray.nodes()``."""
        if self.gpus is not None:
            return self
        return self._replace(gpus=float(any(_has(node, "GPU") for node in nodes)))

    def workers(self, nodes: Iterable[Mapping[str, Any]]) -> int:
        """How many workers the machines have room for."""
        assert self.gpus is not None
        return sum(min(int(_has(node, "CPU") // self.cpus), _shares(_has(node, "GPU"), self.gpus)) for node in nodes)

    @property
    def text(self) -> str:
        """The resources in words, for messages."""
        gpus = f" and {self.gpus:g} GPU{'s' * (self.gpus > 1)}" if self.gpus else ""
        return f"{self.cpus} CPU{'s' * (self.cpus > 1)}{gpus}"


def read_resources(caller: str, engine: EngineName, cpus: int | None, gpus: float | None) -> Resources:
    """Read the resources that the user stated.

    Raises:
        InputError: for numbers out of range, or of another engine than Ray's; it begins with `caller`.
    """
    stated = [name for name, value in (("cpus_per_task", cpus), ("gpus_per_task", gpus)) if value is not None]
    if stated and engine != "ray":
        raise InputError(f"{caller}: expected {stated[0]} for engine 'ray' alone, got {engine!r}; leave it out.")
    if cpus is not None and cpus < 1:
        raise InputError(f"{caller}: expected cpus_per_task >= 1, got {cpus}; raise it.")
    if gpus is not None and not (0 <= gpus <= 1 or (gpus > 1 and float(gpus).is_integer())):
        raise InputError(
            f"{caller}: expected gpus_per_task to be a part of one GPU or a whole number of them, got {gpus:g}; "
            "0 computes on CPUs."
        )
    return Resources(cpus or 1, gpus)


def _has(node: Mapping[str, Any], kind: str) -> float:
    return node["Resources"].get(kind, 0.0) if node["Alive"] else 0.0


def _shares(held: float, each: float) -> int:
    """How many workers a machine's GPUs serve: several workers may share a GPU, but no worker has parts of two."""
    if not each:
        return 1 << 30
    return int(held) * int(1 / each + _ROUNDING) if each < 1 else int(held // each)
