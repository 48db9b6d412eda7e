"""Rankings, made from records: which source is best, which others may be as good, and how well each measure agrees."""

import math
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import TYPE_CHECKING

import numpy as np

from leepjax.agreement.correlation import significant_digits
from leepjax.ranking.agree import Agreement, agree
from leepjax.ranking.answer import answer_of, remarks_on
from leepjax.ranking.draws import TRAINING_PART, fewest, leading, shares_of_best
from leepjax.ranking.show import as_html, show
from leepjax.storage.records import Cost, Failure, Record
from leepjax.tables import Format, Row
from leepjax.types import NOUNS, InputError, Noun, Task

if TYPE_CHECKING:
    import pyarrow as pa


@dataclass(frozen=True)
class Ranking:
    """The sources of one target with their scores and, after verification, their accuracies.

    The sources are ordered by accuracy if the ranking was verified, and otherwise by the first measure. ``print``
    shows the answer in a sentence, and the tables.
    """

    records: tuple[Record, ...]
    measures: tuple[str, ...]
    verified_by: str | None = None
    """What was trained to verify it: ``head``, ``ridge`` or ``finetune``; None without verification."""
    failures: tuple[Failure, ...] = ()
    """The sources that failed; if some of their measurements succeeded, they are ranked nevertheless."""

    @property
    def target(self) -> str:
        """The name of the target."""
        return next(each.target for each in (*self.records, *self.failures))

    @property
    def key(self) -> str:
        """Key of the target's content and split, under which ``examples.json`` has images; empty without records."""
        return next((f"{record.target_hash} {record.split}" for record in self.records), "")

    @property
    def task(self) -> Task:
        """What the target's examples are labelled with."""
        return self.records[0].task if self.records else "classes"

    @property
    def noun(self) -> Noun:
        """What messages call its examples."""
        return NOUNS[self.records[0].examples if self.records else "images"]

    @property
    def metric(self) -> str:
        """The metric of verification; accuracy if records don't state one."""
        return next((record.metric for record in self._of(self.verified_by) if record.metric), "accuracy")

    @cached_property
    def sources(self) -> tuple[str, ...]:
        """The sources, best first: verified ones by accuracy, then the others by the first measure; undefined last."""
        verified, scored = (self._worths(name) for name in (self.verified_by, self.measures[0]))
        keys = {
            source: (*_descending(verified.get(source)), *_descending(scored.get(source)), source)
            for source in (*scored, *verified)
        }
        return tuple(sorted(keys, key=keys.__getitem__))

    @property
    def best(self) -> str:
        """The name of the first source.

        Raises:
            InputError: when every source failed.
        """
        if not self.sources:
            raise InputError(f"rank: expected a source with a score, got none; {self.failures[0].reason}")
        return self.sources[0]

    def best_by(self, measure: str) -> str | None:
        """The source that a measure alone puts first; among equals, the first by name. None if all are undefined.

        Scores are equal if they are in five significant digits.
        """
        worths = self._worths(measure)
        defined = sorted(source for source, worth in worths.items() if not math.isnan(worth))
        return max(defined, key=worths.__getitem__, default=None)

    @cached_property
    def leaders(self) -> tuple[str, ...]:
        """A set of sources that contains the best one at the stated confidence; the first source is first.

        After verification, it is the smallest set whose P(best) adds up to the confidence. Otherwise it is determined
        by resamples of the examples that the first measure scored (`leepjax.ranking.draws.leading`).
        """
        records = {record.source: record for record in self._of(self.decided_by)}
        if not self.sources or self.sources[0] not in records:
            return ()
        is_leading = leading(list(records.values()))
        shares = np.array([self.p_best().get(source, math.nan) for source in records])
        if np.isfinite(shares).any():
            is_leading = fewest(shares, self.records[0].confidence)
        found = [source for source, leads in zip(records, is_leading, strict=True) if leads]
        return tuple(source for source in self.sources if source in found or source == self.sources[0])

    @property
    def tied_with_best(self) -> tuple[str, ...]:
        """The leaders without the first source: those that can't be distinguished from it."""
        return self.leaders[1:]

    @property
    def decided_by(self) -> str:
        """What orders the sources: the verification or, without one, the first measure."""
        return self.verified_by if self.verified_by and self._of(self.verified_by) else self.measures[0]

    def p_best(self) -> dict[str, float]:
        """Verified source → P(best): the probability that it has the highest accuracy after transfer.

        It is the share of paired resamples in which the source has the highest accuracy. The resamples, of the test
        examples and, with cross-fitting, of the partitions into folds, are the same for all sources, with
        `leepjax.ranking.draws.TRAINING_PART` times their variance. Equal sources share a resample; NaN without draws,
        or if too few resamples are `leepjax.ranking.draws.defined`. `docs/choosing.md` shows how often a source with a
        given P(best) was in fact the best.
        """
        return self._shares(self.verified_by, TRAINING_PART)

    def first_in(self, measure: str | None = None) -> dict[str, float]:
        """Source → the share of resamples of the scored examples in which a measure puts it first.

        The measure is the first one unless another is named. The share shows how certain the order of the scores is,
        and nothing about accuracy. Equal sources share a resample; NaN without draws, for a source whose score is
        undefined, and if too few resamples are `leepjax.ranking.draws.defined`.
        """
        return self._shares(measure or self.measures[0])

    def scores(self, measure: str) -> dict[str, float]:
        """Source → score of one measure; NaN if it is undefined, and no entry if it wasn't measured."""
        return {record.source: record.sign * record.worth for record in self._of(measure)}

    def ranks(self, measure: str) -> dict[str, int | None]:
        """Source → its rank by one measure, from 1; equal scores share the better rank. None if undefined."""
        worths = self._worths(measure)
        values = np.array(list(worths.values()), float)
        above = np.count_nonzero(~np.isnan(values)) - np.searchsorted(np.sort(values), values, "right")
        return {
            source: None if math.isnan(value) else 1 + int(num_above)
            for (source, value), num_above in zip(worths.items(), above, strict=True)
        }

    @cached_property
    def accuracies(self) -> dict[str, float]:
        """Source → the metric of verification on test examples, by default accuracy; empty without verification."""
        return self.scores(self.verified_by) if self.verified_by else {}

    def agreement(self, seed: int = 0) -> list[Agreement]:
        """Each measure's agreement with verified accuracy (log-loss negated); empty without verification."""
        worths = self._worths(self.verified_by)
        return [agree(measure, self.scores(measure), worths, seed) for measure in self.measures] if worths else []

    @cached_property
    def costs(self) -> dict[str, Cost]:
        """Source → its cost on the machine that measured it, if it is known."""
        return {record.source: record.cost for record in self.records if record.cost}

    @cached_property
    def dominated_by(self) -> dict[str, str]:
        """Verified source → one that is at least as accurate and as fast, and better in at least one.

        Times per image that differ by less than 10 % count as equal, because two passes of one source may differ by as
        much. Sources without an entry are the Pareto front of accuracy against time per image. If several sources
        dominate one, the most accurate is named.
        """
        worths = {source: worth for source, worth in self._worths(self.verified_by).items() if source in self.costs}
        found: dict[str, str] = {}
        for source, worth in worths.items():
            seconds = self.costs[source].seconds_per_image
            for other in self.sources:
                if worths.get(other, math.nan) >= worth and other != source:
                    ratio = self.costs[other].seconds_per_image / max(seconds, 1e-12)
                    if ratio < 1 / 1.1 or (ratio <= 1.1 and worths[other] > worth):
                        found[source] = other
                        break
        return found

    def records_of(self, measure: str | None) -> dict[str, Record]:
        """Source → its record by a measure or verification."""
        return {record.source: record for record in self._of(measure)}

    def to_records(self) -> list[Row]:
        """One flat dictionary for each source and measure, with the rank by that measure, and one for each failure.

        They have the fields of `leepjax.storage.records.Record` except ``draws`` and ``right``, the fields of its cost,
        and ``rank``; ``p_best`` for verifications and ``first_in`` for scores, None if undefined; ``error`` is the
        reason of a failure or None.
        """
        rows = []
        for measure in (*self.measures, *([self.verified_by] if self.verified_by else [])):
            ranks = self.ranks(measure)
            shares = self.p_best() if measure == self.verified_by else self.first_in(measure)
            for record in self._of(measure):
                share = None if math.isnan(shares[record.source]) else shares[record.source]
                by_kind = {"p_best": share, "first_in": None}
                if record.kind == "score":
                    by_kind = {"p_best": None, "first_in": share}
                rows.append({"rank": ranks[record.source], **_fields(record), **by_kind, "error": None})
        nothing = dict.fromkeys(("rank", *_fields(None), "p_best", "first_in", "error"))
        return rows + [
            nothing | {"source": each.source, "target": each.target, "error": each.reason} for each in self.failures
        ]

    def to_columns(self) -> dict[str, list[object]]:
        """`to_records` by columns: name → a value for each row, in the form that ``pandas.DataFrame`` takes."""
        rows = self.to_records()
        return {name: [row[name] for row in rows] for name in (rows[0] if rows else ())}

    def to_arrow(self) -> "pa.Table":
        """`to_records` as an Arrow table; Polars, DuckDB and pandas read it without a copy of their own format."""
        import pyarrow as pa  # here, because `import leepjax` doesn't load it

        return pa.Table.from_pylist(self.to_records())

    def render(self, format: Format = "table") -> str:
        """The ranking as text; JSON and CSV hold `to_records`, the others the answer and tables for people."""
        return show(self, format)

    def answer(self) -> str:
        """The answer in a sentence or two."""
        return answer_of(self)

    def remarks(self) -> list[str]:
        """Remarks, in sentences, without which the tables could be over-interpreted."""
        return remarks_on(self)

    def __str__(self) -> str:
        return self.render()

    def _repr_html_(self) -> str:
        return as_html(self)

    def _worths(self, measure: str | None) -> dict[str, float]:
        """Source → its worth, of scores as many digits as `agree` compares: float32 has rounded the others."""
        records = self._of(measure)
        worths = np.array([record.worth for record in records])
        if measure != self.verified_by:
            worths = significant_digits(worths)
        return dict(zip((record.source for record in records), worths.tolist(), strict=True))

    def _shares(self, measure: str | None, inflation: float = 1.0) -> dict[str, float]:
        records = self.records_of(measure)
        return dict(zip(records, shares_of_best(list(records.values()), inflation).tolist(), strict=True))

    def _of(self, measure: str | None) -> Sequence[Record]:
        return self._by_measure.get(measure or "", ())

    @cached_property
    def _by_measure(self) -> dict[str, list[Record]]:
        found: dict[str, list[Record]] = {}
        for record in self.records:
            found.setdefault(record.measure, []).append(record)
        return found


_NOT_FLAT = ("draws", "right", "cost")


def _descending(worth: float | None) -> tuple[bool, float]:
    """A key that sorts the highest first, and what is undefined or missing last."""
    return (True, 0.0) if worth is None or math.isnan(worth) else (False, -worth)


def _fields(record: Record | None) -> Row:
    fields = {name: getattr(record, name, None) for name in Record.__struct_fields__ if name not in _NOT_FLAT}
    cost = record.cost if record else None
    return fields | {name: getattr(cost, name, None) for name in Cost.__struct_fields__}
