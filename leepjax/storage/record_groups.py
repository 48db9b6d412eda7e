"""Group records that are comparable: measured on the same examples under the same conditions."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import NamedTuple

import msgspec

from leepjax.storage.records import Record


class Conditions(NamedTuple):
    """What two records must have in common for their values to be comparable."""

    target_hash: str
    num_classes: int
    split: str
    """Digest of the split; for records of version 1, which have none, the number of scored examples."""
    seed: int
    confidence: float
    resamples: int | None
    """None for a record of version 1 without draws."""
    revision: str


@dataclass(frozen=True)
class Group:
    """Comparable records: the newest one per source and measure."""

    conditions: Conditions
    records: tuple[Record, ...]
    """In the order in which sources and measures first occur; sources of the same name get their hash appended."""

    @property
    def target(self) -> str:
        """The target's name in the newest record."""
        return self.records[-1].target

    @cached_property
    def sources(self) -> tuple[str, ...]:
        """Names of the sources, in the order of `records`."""
        return tuple(dict.fromkeys(record.source for record in self.records))

    @cached_property
    def measures(self) -> tuple[str, ...]:
        """Measures that the group has scores of, in the order of `records`."""
        return tuple(dict.fromkeys(record.measure for record in self.records if record.kind == "score"))

    @cached_property
    def verifications(self) -> tuple[str, ...]:
        """Ways in which sources were verified (`rank`'s `verify`), in the order of `records`."""
        return tuple(dict.fromkeys(record.measure for record in self.records if record.kind == "verify"))

    @property
    def num_examples(self) -> int:
        """Number of scored examples."""
        return next((record.num_examples for record in self.records if record.kind == "score"), 0)

    @cached_property
    def is_complete(self) -> bool:
        """Whether every source has a record of every measure and every verification."""
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
    """Group records by their conditions, the group with the newest record last; leave out groups without a score.

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
    """One group per target, in the order of `groups`: the newest complete one, or the newest if none is complete."""
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
    """Infer the conditions of records of version 1, which don't store them, from the scores that have draws.

    The number of scored examples stands for the split. A record without draws (an accuracy, a property of the source)
    gets the conditions of its source's last score, or else of any source's last score.
    """

    def __init__(self, records: Iterable[Record]):
        self._last: dict[tuple[object, ...], tuple[int, int | None]] = {}
        scores = [record for record in records if record.schema == 1 and record.kind == "score"]
        for record in sorted(scores, key=lambda record: bool(record.draws)):
            for source in (record.source, None):
                self._last[*self._target(record), source] = record.num_examples, len(record.draws)

    def conditions(self, record: Record) -> Conditions:
        measured = record.num_examples, len(record.draws)
        if not record.draws:
            of_source = self._last.get((*self._target(record), record.source), measured)
            last = of_source if of_source[1] else self._last.get((*self._target(record), None), measured)
            measured = last if record.kind == "verify" or last[0] == measured[0] else measured
        num_examples, resamples = measured
        return _conditions(record)._replace(split=f"{num_examples} scored examples", resamples=resamples)

    def _target(self, record: Record) -> tuple[object, ...]:
        return record.target_hash, record.num_classes, record.seed, record.confidence


def _distinct(records: Sequence[Record]) -> tuple[Record, ...]:
    """The newest record per source and measure, in the place of the first; append hashes to names of two sources.

    Of each kind of verification only the metric that was measured last is kept: others can't be compared with it.
    """
    metrics = {record.measure: record.metric for record in records if record.kind == "verify"}
    records = [record for record in records if metrics.get(record.measure, record.metric) == record.metric]
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
