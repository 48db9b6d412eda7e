"""Which records of a folder compare with one another: those of the same examples, measured in the same way."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import NamedTuple

import msgspec

from leepjax.storage.records import Record


class Conditions(NamedTuple):
    """What records must share for their values to compare."""

    target_hash: str
    num_classes: int
    split: str
    """Empty in records of version 1; there the number of scored examples is in its place."""
    seed: int
    confidence: float
    resamples: int | None
    """None where a record of version 1 has no draws."""
    revision: str


@dataclass(frozen=True)
class Group:
    """Records that compare: one number for each source and measure, the newest."""

    conditions: Conditions
    records: tuple[Record, ...]
    """In the order in which sources and measures first stand; sources of one name are told apart by their hash."""

    @property
    def target(self) -> str:
        """The name that the newest record gives it."""
        return self.records[-1].target

    @cached_property
    def sources(self) -> tuple[str, ...]:
        """In order."""
        return tuple(dict.fromkeys(record.source for record in self.records))

    @cached_property
    def measures(self) -> tuple[str, ...]:
        """The measures of scores, in order."""
        return tuple(dict.fromkeys(record.measure for record in self.records if record.kind == "score"))

    @cached_property
    def verifications(self) -> tuple[str, ...]:
        """How accuracy was reached, in order."""
        return tuple(dict.fromkeys(record.measure for record in self.records if record.kind == "verify"))

    @property
    def num_examples(self) -> int:
        """How many were scored."""
        return next((record.num_examples for record in self.records if record.kind == "score"), 0)

    @cached_property
    def is_complete(self) -> bool:
        """Whether every source has a number by every measure and verification."""
        return len(self.records) == len(self.sources) * (len(self.measures) + len(self.verifications))

    def __str__(self) -> str:
        c = self.conditions
        resamples = "" if c.resamples is None else f", {c.resamples} resamples"
        verified = f", verified by {' and '.join(self.verifications)}" if self.verifications else ""
        return (
            f"{self.target}: {len(self.sources)} sources, {self.num_examples} examples, seed {c.seed}{resamples}, "
            f"{100 * c.confidence:g} % intervals{verified}"
        )


def groups(records: Sequence[Record]) -> list[Group]:
    """Records by their conditions, the group with the newest record last; groups without a score are left out.

    Args:
        records: in the order in which they were measured.
    """
    of_version_1 = _ConditionsOfVersion1(records)
    found: dict[Conditions, list[Record]] = {}
    newest: dict[Conditions, int] = {}
    for number, record in enumerate(records):
        conditions = _conditions(record) if record.schema > 1 else of_version_1.conditions(record)
        found.setdefault(conditions, []).append(record)
        newest[conditions] = number
    in_order = sorted(found, key=lambda conditions: newest[conditions])
    each = [Group(conditions, _distinct(found[conditions])) for conditions in in_order]
    return [group for group in each if group.measures]


def chosen_groups(found: Sequence[Group]) -> list[Group]:
    """One group for each target, in the order of `groups`: the newest that is complete, or the newest if none is."""
    chosen: dict[str, Group] = {}
    for group in found:
        before = chosen.get(group.target)
        if before is None or group.is_complete or not before.is_complete:
            chosen[group.target] = group
    return [group for group in found if chosen[group.target] is group]


def _conditions(record: Record) -> Conditions:
    return Conditions(
        record.target_hash,
        record.num_classes,
        record.split,
        record.seed,
        record.confidence,
        record.resamples,
        record.revision,
    )


class _ConditionsOfVersion1:
    """Records of version 1 don't say what they were measured with: it is read from the scores that have draws.

    A split is known by the number of scored examples. A record without draws (an accuracy, a property of the source) is
    put to the last scores of its source, or of any source.
    """

    def __init__(self, records: Iterable[Record]):
        self._last: dict[tuple[object, ...], tuple[int, int | None]] = {}
        scores = [record for record in records if record.schema == 1 and record.kind == "score"]
        for record in sorted(scores, key=lambda record: bool(record.draws)):
            for source in (record.source, None):
                self._last[*self._place(record), source] = record.num_examples, len(record.draws)

    def conditions(self, record: Record) -> Conditions:
        measured = record.num_examples, len(record.draws)
        if not record.draws:
            of_source = self._last.get((*self._place(record), record.source), measured)
            last = of_source if of_source[1] else self._last.get((*self._place(record), None), measured)
            measured = last if record.kind == "verify" or last[0] == measured[0] else measured
        num_examples, resamples = measured
        return _conditions(record)._replace(split=f"{num_examples} scored examples", resamples=resamples)

    def _place(self, record: Record) -> tuple[object, ...]:
        return record.target_hash, record.num_classes, record.seed, record.confidence


def _distinct(records: Sequence[Record]) -> tuple[Record, ...]:
    """The newest number of each source and measure, where the first one stands; sources of one name get their hash."""
    last = {(record.source, _hash(record), record.kind, record.measure): record for record in records}
    hashes: dict[str, set[str]] = {}
    for source, its_hash, *_ in last:
        hashes.setdefault(source, set()).add(its_hash)
    return tuple(
        msgspec.structs.replace(record, source=f"{source} ({its_hash[:8]})") if len(hashes[source]) > 1 else record
        for (source, its_hash, *_), record in last.items()
    )


def _hash(record: Record) -> str:
    return record.source_hash or record.weights_hash
