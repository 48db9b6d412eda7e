"""The units that wait for a Ray worker, ordered so that workers seldom have to load another source."""

from collections import deque
from collections.abc import Collection, Iterable, Iterator
from pathlib import Path

from leepjax.engines.units import Unit


class Queue:
    """Units grouped by the object that a worker keeps for them (`Unit.kept`), such as a source.

    A worker takes all units of one group, then those of a group with which no other worker has begun. When no such
    group is left, it helps with the largest one.
    """

    def __init__(self, units: Iterable[Unit]):
        self._groups: dict[int, deque[Unit]] = {}
        for unit in units:
            self._groups.setdefault(id(unit.kept), deque()).append(unit)

    def __len__(self) -> int:
        return sum(map(len, self._groups.values()))

    def take(self, keeps: int | None, others: Collection[int], in_use: Collection[Path]) -> Unit | None:
        """The next unit for a worker; None if all waiting units need files that other units are writing.

        Args:
            keeps: the `id` of the object that the worker keeps.
            others: the `id`s of those that the other workers keep.
            in_use: files of the units that run.
        """
        for group in self._in_order(keeps, others):
            waiting = self._groups[group]
            for place, unit in enumerate(waiting):
                if in_use and not set(in_use).isdisjoint(unit.files):
                    continue
                del waiting[place]
                if not waiting:
                    del self._groups[group]
                return unit
        return None

    def put_back(self, unit: Unit) -> None:
        """Put a unit back at the front of its group."""
        self._groups.setdefault(id(unit.kept), deque()).appendleft(unit)

    def _in_order(self, keeps: int | None, others: Collection[int]) -> Iterator[int]:
        """The groups, in the order in which to take from them."""

        def place(group: int) -> tuple[bool, int]:
            is_begun = group in others
            return is_begun, -len(self._groups[group]) if is_begun else 0

        if keeps is not None and keeps in self._groups:
            yield keeps
        yield from sorted((group for group in self._groups if group != keeps), key=place)
