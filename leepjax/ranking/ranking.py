"""From records to conclusions: which source is best, which are tied with it, and how right each measure was."""

import math
from dataclasses import dataclass
from functools import cached_property
from typing import NamedTuple

import numpy as np

from leepjax.agreement.correlation import Interval, estimates, significance_note, significant_digits, ties
from leepjax.agreement.statistics import kendall, p_value, pearson, weighted_tau
from leepjax.printable import printable
from leepjax.ranking.draws import clearly_above, shares_of_best
from leepjax.storage.records import Failure, Record
from leepjax.tables import Format, Row, render, some
from leepjax.types import InputError

MOST_COLUMNS = 12
"""A table of more measures has a row for each of them, and a column for each source, but for no more than these."""


class Agreement(NamedTuple):
    """How well one measure's scores order the sources by verified accuracy."""

    measure: str
    pearson: Interval
    kendall: Interval
    weighted: Interval
    """Weighted τ: mistakes among the best sources count more."""
    p_value: float
    """Of Pearson's r being zero, two-sided."""
    num_sources: int
    ties: int
    """Pairs of sources with equal score or equal accuracy."""


@dataclass(frozen=True)
class Ranking:
    """The sources of one target with their scores and, where it was verified, their accuracy.

    The first measure leads: it orders the sources and names the `best`. ``print(ranking)`` shows the tables.
    """

    records: tuple[Record, ...]
    measures: tuple[str, ...]
    verified_by: str | None = None
    """How accuracy was reached, ``head`` or ``finetune``; None without verification."""
    failures: tuple[Failure, ...] = ()
    """The sources that failed; those that the leading measure scored before they failed are ranked nevertheless."""

    @property
    def target(self) -> str:
        """The name of the target."""
        return next(each.target for each in (*self.records, *self.failures))

    @cached_property
    def sources(self) -> tuple[str, ...]:
        """The sources, best first by the leading measure; undefined scores come last."""
        scores = self.scores(self.measures[0])
        return tuple(sorted(scores, key=lambda source: (math.isnan(scores[source]), -scores[source], source)))

    @property
    def best(self) -> str:
        """The name of the source that the leading measure puts first.

        Raises:
            InputError: when every source failed.
        """
        if not self.sources:
            raise InputError(f"rank: expected a source with a score, got none; {self.failures[0].reason}")
        return self.sources[0]

    @cached_property
    def tied_with_best(self) -> tuple[str, ...]:
        """The sources that the leading measure can't tell from the best, by a paired bootstrap."""
        records = {record.source: record for record in self._of(self.measures[0])}
        if not records:
            return ()
        best = records[self.best]
        others = [s for s in self.sources if s != self.best and records[s].value is not None]
        above = clearly_above(best, [records[s] for s in others])
        return tuple(s for s, is_above in zip(others, above, strict=True) if not is_above)

    def p_best(self, measure: str | None = None) -> dict[str, float]:
        """Source → P(best): the share of resamples of the examples, the same for all sources, that put it first.

        By the leading measure unless another is named. Equals share a resample; NaN where nothing was drawn, and for a
        source whose score is undefined in a resample.
        """
        records = list({record.source: record for record in self._of(measure or self.measures[0])}.values())
        return dict(zip([record.source for record in records], shares_of_best(records), strict=True))

    def scores(self, measure: str) -> dict[str, float]:
        """Source → score of one measure; NaN where it is undefined, nothing where it wasn't measured."""
        return {record.source: _number(record.value) for record in self._of(measure)}

    def ranks(self, measure: str) -> dict[str, int | None]:
        """Source → its place by one measure, from 1; equal scores share the better one. None where undefined."""
        scores = self.scores(measure)
        values = np.array(list(scores.values()), float)
        above = np.count_nonzero(~np.isnan(values)) - np.searchsorted(np.sort(values), values, "right")
        return {
            source: None if math.isnan(value) else 1 + int(num_above)
            for (source, value), num_above in zip(scores.items(), above, strict=True)
        }

    @cached_property
    def accuracies(self) -> dict[str, float]:
        """Source → verified test accuracy; empty without verification."""
        return self.scores(self.verified_by) if self.verified_by else {}

    def agreement(self, seed: int = 0) -> list[Agreement]:
        """Each measure's agreement with verified accuracy; empty without verification."""
        if not self.verified_by:
            return []
        accuracies = self.accuracies
        return [agree(measure, self.scores(measure), accuracies, seed) for measure in self.measures]

    def to_records(self) -> list[Row]:
        """One flat dictionary for each source and measure, with the rank by that measure, and one for each failure.

        They have the fields of `leepjax.storage.records.Record` but the draws; ``error`` is the reason of a failure or
        None.
        """
        rows = []
        for measure in (*self.measures, *([self.verified_by] if self.verified_by else [])):
            ranks, p_best = self.ranks(measure), self.p_best(measure)
            for record in self._of(measure):
                fields = {name: getattr(record, name) for name in Record.__struct_fields__ if name != "draws"}
                rows.append(
                    {"rank": ranks[record.source], **fields, "p_best": _or_none(p_best[record.source]), "error": None}
                )
        return rows + [_failed_record(failure) for failure in self.failures]

    def render(self, format: Format = "table") -> str:
        """The ranking as text; JSON and CSV hold `to_records`, the others a table for people."""
        if format in ("json", "csv"):
            return render(self.to_records(), format)
        lead = self.measures[0]
        parts = [render(self._lead_rows(), format, f"Sources for {self.target}, best {lead} first")]
        if len(self.measures) > 1 and self.sources:
            parts.append(self._score_table(format))
        if self.accuracies:
            parts.append(render(self._agreement_rows(), format, f"Agreement with {self.verified_by} accuracy"))
        return "\n\n".join([*parts, *map(printable, self.remarks())])

    def remarks(self) -> list[str]:
        """What a reader must know to not over-read the tables, in sentences."""
        remarks = []
        if tied := self.tied_with_best:
            remarks.append(f"= {self.measures[0]} can't tell {some(tied)} from {self.best} on these examples.")
        if self.verified_by and len(self.accuracies) > 1:
            remarks.append(significance_note(len(self.accuracies)))
        return remarks

    def __str__(self) -> str:
        return self.render()

    def _of(self, measure: str) -> list[Record]:
        return self._by_measure.get(measure, [])

    @cached_property
    def _by_measure(self) -> dict[str, list[Record]]:
        found: dict[str, list[Record]] = {}
        for record in self.records:
            found.setdefault(record.measure, []).append(record)
        return found

    def _lead_rows(self) -> list[Row]:
        """The ranked sources, and below them those that failed before the leading measure."""
        reasons = {failure.source: failure.reason for failure in self.failures}
        rows = [row | ({"error": reasons.get(row["source"], "")} if reasons else {}) for row in self._ranked_rows()]
        columns = dict.fromkeys(rows[0], "–") if rows else {"#": "–", "source": "–", "error": "–"}
        ranked = set(self.sources)
        failed = [columns | {"source": name, "error": reasons[name]} for name in reasons if name not in ranked]
        return rows + failed

    def _ranked_rows(self) -> list[Row]:
        lead = {record.source: record for record in self._of(self.measures[0])}
        accuracy = {record.source: record for record in self._of(self.verified_by)} if self.verified_by else {}
        tied, p_best = set(self.tied_with_best), self.p_best()
        drawn = not all(map(math.isnan, p_best.values()))
        return [
            {
                "#": f"{place}{' =' if source in tied else ''}",
                "source": source,
                self.measures[0]: _with_interval(lead[source]),
                **({"P(best)": share(p_best[source])} if drawn else {}),
                **({"test accuracy": _with_interval(accuracy.get(source))} if accuracy else {}),
                "parameters": lead[source].num_parameters,
                "licence": lead[source].licence or "–",
            }
            for place, source in enumerate(self.sources, start=1)
        ]

    def _score_table(self, format: Format) -> str:
        """A row for each source; where measures are many, for each measure, with the first sources as columns."""
        title = "All measures, higher is better"
        scores = {measure.replace("_", " "): self.scores(measure) for measure in self.measures}
        if len(scores) <= MOST_COLUMNS:
            rows = [{"source": each} | {name: by.get(each) for name, by in scores.items()} for each in self.sources]
            return render(rows, format, title)
        # Keys are places, for a source may be called "measure".
        shown = self.sources[:MOST_COLUMNS]
        rows = [{"measure": name} | {str(at): by.get(s) for at, s in enumerate(shown)} for name, by in scores.items()]
        if len(shown) < len(self.sources):
            title += f"; of {len(self.sources):,} sources the first {len(shown)}, all in --format csv"
        return render(rows, format, title, ["measure", *shown])

    def _agreement_rows(self) -> list[Row]:
        return [
            {
                "measure": a.measure,
                "Pearson r": a.pearson.show(2),
                "p": "–" if math.isnan(a.p_value) else f"{a.p_value:.3f}",
                "Kendall τ": a.kendall.show(2),
                "weighted τ": a.weighted.show(2),
                "ties": a.ties,
            }
            for a in self.agreement()
        ]


def agree(measure: str, scores: dict[str, float], accuracies: dict[str, float], seed: int = 0) -> Agreement:
    """Correlate scores with accuracies over the sources that have both; the intervals are those of `estimate`."""
    common = sorted(scores.keys() & accuracies.keys())
    defined = [source for source in common if not math.isnan(scores[source] + accuracies[source])]
    x = significant_digits(np.array([scores[source] for source in defined]))
    y = np.array([accuracies[source] for source in defined])
    r, tau, weighted = estimates((pearson, kendall, weighted_tau), x, y, seed=seed)
    return Agreement(measure, r, tau, weighted, p_value(x, y), len(x), ties(x, y))


def _failed_record(failure: Failure) -> Row:
    fields = {name: None for name in Record.__struct_fields__ if name != "draws"}
    known = {"source": failure.source, "target": failure.target, "error": failure.reason}
    return {"rank": None, **fields, "p_best": None} | known


def _number(value: float | None) -> float:
    return math.nan if value is None else value


def _or_none(value: float) -> float | None:
    return None if math.isnan(value) else value


def share(value: float) -> str:
    """A probability in two digits, never rounded to 0 or 1; – where undefined."""
    if math.isnan(value):
        return "–"
    if 0 < value < 0.005:
        return "<.01"
    return ">.99" if 0.995 <= value < 1 else f"{value:.2f}"


def _with_interval(record: Record | None) -> str:
    if record is None:
        return "–"
    return Interval(*map(_number, (record.value, record.low, record.high))).show()
