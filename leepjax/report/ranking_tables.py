"""The tables of rankings: sources by the leading measure, every score, failures, and agreement with accuracy."""

import math
from collections.abc import Sequence

from leepjax.agreement import Interval
from leepjax.ranking import Ranking
from leepjax.ranking.agree import Agreement
from leepjax.ranking.answer import per_cent
from leepjax.ranking.show import heading, title
from leepjax.report.page import Column, Table, TableCell, interval_text, number_cell
from leepjax.storage.record_groups import Group
from leepjax.storage.records import Cost, Record
from leepjax.types import METRICS

MOST_MEASURES, MOST_ROWS = 40, 500
"""How many measures and rows a table shows; a sentence below it counts the rest."""
# In all tables of scores together, which are the larger part of a page.
_MOST_CELLS = 16_000

_COSTS = (
    "Times are of compiled batches on this run's machine, without decoding. FLOPs and peak memory, which is that of a "
    "batch, are XLA's account. Weights are as held in memory, which is about what is fetched."
)
_CONDITIONS = ("examples", "sources", "measures", "seed", "resamples", "confidence")


def rows_per_ranking(rankings: Sequence[Ranking]) -> int:
    """How many sources of each ranking have a row, so that the page stays small enough to open."""
    cells_per_row = sum(min(len(ranking.measures), MOST_MEASURES) + 7 for ranking in rankings)
    return max(10, min(MOST_ROWS, _MOST_CELLS // cells_per_row))


def lead_table(ranking: Ranking, most_rows: int) -> Table:
    """The sources, best first, with their accuracy and the score of the leading measure."""
    lead = ranking.measures[0]
    scored, verified = ranking.records_of(lead), ranking.records_of(ranking.verified_by)
    tied, p_best, first_in = set(ranking.tied_with_best), ranking.p_best(), ranking.first_in()
    has_p_best, has_first_in = (not all(map(math.isnan, shares.values())) for shares in (p_best, first_in))
    columns = [Column("source"), Column("#", numeric=True)]
    columns += [Column(heading(ranking), numeric=True)] if verified else []
    columns += [Column("P(best)", numeric=True)] if has_p_best else []
    columns += [Column(lead, numeric=True)]
    columns += [Column("first in", numeric=True)] if has_first_in else []
    columns += _cost_columns(ranking)
    columns += [Column("parameters", numeric=True), Column("licence")]
    rows = []
    for place, source in enumerate(ranking.sources[:most_rows], start=1):
        record = scored.get(source) or verified[source]
        mark = {"mark": "=", "meaning": f"not distinguishable from {ranking.best}"} if source in tied else {}
        row = [TableCell(source), number_cell(place, 0, **mark)]
        row += [_record_cell(verified.get(source))] if verified else []
        row += [number_cell(p_best.get(source), 2)] if has_p_best else []
        row += [_record_cell(scored.get(source))]
        share = first_in.get(source, math.nan)
        row += [TableCell(per_cent(share), None if math.isnan(share) else share)] if has_first_in else []
        row += _cost_cells(ranking, source)
        rows.append([*row, number_cell(record.num_parameters, 0), TableCell(record.licence or "–")])
    confidence = f"{100 * ranking.records[0].confidence:g} %"
    notes = [f"In brackets: {confidence} intervals; those of scores come from a bootstrap over examples."]
    if verified:
        how = (
            "Wilson's, and with groups from a bootstrap over these"
            if ranking.metric == "accuracy"
            else f"from a bootstrap over test {ranking.noun.many}"
        )
        notes = [f"{notes[0][:-1]}, those of {METRICS[ranking.metric]} are {how}."]
    if has_first_in:
        notes.append(f"First in: the share of resamples of the examples in which {lead} puts a source first.")
    if ranking.costs:
        notes.append(_COSTS)
    if tied:
        notes.append(f"= marks sources that can't be distinguished from {ranking.best} on these {ranking.noun.many}.")
    rest = _rest(len(rows), len(ranking.sources), "sources")
    caption = title(ranking).replace(f" for {ranking.target}", "")
    return Table(caption, columns, rows, notes, rest=rest)


def _cost_columns(ranking: Ranking) -> list[Column]:
    one = ranking.noun.one
    names = [f"ms per {one}", f"MFLOPs per {one}", "peak memory, MB", "weights, MB"] if ranking.costs else []
    return [Column(name, numeric=True) for name in names] + ([Column("dominated by")] if ranking.dominated_by else [])


def _cost_cells(ranking: Ranking, source: str) -> list[TableCell]:
    cells = []
    if ranking.costs:
        cost = ranking.costs.get(source)
        numbers = [(1000, "seconds_per_image", 2), *((1e-6, name, 1) for name in Cost.__struct_fields__[1:])]
        found = [(factor, getattr(cost, name, None), digits) for factor, name, digits in numbers]
        cells += [number_cell(None if it is None else factor * it, digits) for factor, it, digits in found]
    if ranking.dominated_by:
        cells.append(TableCell(ranking.dominated_by.get(source, "–")))
    return cells


def score_table(ranking: Ranking, most_rows: int) -> Table:
    """Every measure's score of every source."""
    scores = {measure: ranking.scores(measure) for measure in ranking.measures[:MOST_MEASURES]}
    columns = [Column("source"), *(Column(measure, numeric=True) for measure in scores)]
    places = {measure: ranking.ranks(measure) for measure in scores}
    rows = [
        [
            TableCell(source),
            *(
                number_cell(
                    by.get(source), 3, **({"mark": "★", "meaning": "best"} if places[name].get(source) == 1 else {})
                )
                for name, by in scores.items()
            ),
        ]
        for source in ranking.sources[:most_rows]
    ]
    rest = [_rest(len(rows), len(ranking.sources), "sources"), _rest(len(scores), len(ranking.measures), "measures")]
    notes = ["★ marks each measure's best source."]
    return Table("Every measure's score of every source", columns, rows, notes, rest=" ".join(filter(None, rest)))


def failure_table(ranking: Ranking) -> Table:
    """The sources that failed, each with its reason."""
    rows = [[TableCell(failure.source), TableCell(failure.reason)] for failure in ranking.failures[:MOST_ROWS]]
    rest = _rest(len(rows), len(ranking.failures), "sources that failed")
    return Table("Why each source failed", [Column("source"), Column("reason")], rows, rest=rest)


def agreement_table(ranking: Ranking, agreements: Sequence[Agreement]) -> Table:
    """How well each measure's scores agree with the accuracies after training."""
    columns = [
        Column("measure"),
        *(Column(name, numeric=True) for name in ("Pearson r", "p", "Kendall τ", "weighted τ", "ties")),
    ]
    rows = [
        [
            TableCell(it.measure),
            _interval_cell(it.pearson),
            number_cell(it.p_value, 3),
            _interval_cell(it.kendall),
            _interval_cell(it.weighted),
            number_cell(it.ties, 0),
        ]
        for it in agreements
    ]
    name = METRICS[ranking.metric]
    note = f"Ties are pairs of sources with equal score or equal {name}. – is undefined: scores or {name} are constant."
    rest = _rest(len(rows), len(ranking.measures), "measures")
    return Table(f"Correlation of scores with test {name} over the sources", columns, rows, [note], rest=rest)


def best_source_table(rankings: Sequence[Ranking]) -> Table:
    """The best source for each target, and what decided it: the verification, or the leading measure."""
    columns = [
        Column("target"),
        Column("sources", numeric=True),
        Column("best source"),
        Column("by"),
        Column("value", True),
    ]
    rows = [
        [
            TableCell(ranking.target),
            number_cell(len(ranking.sources), 0),
            TableCell(ranking.best if ranking.sources else "–"),
            TableCell(ranking.decided_by),
            number_cell(ranking.scores(ranking.decided_by).get(ranking.best) if ranking.sources else None, 3),
        ]
        for ranking in rankings[:MOST_ROWS]
    ]
    return Table("The best source for each target", columns, rows, rest=_rest(len(rows), len(rankings), "targets"))


def group_table(others: Sequence[Group]) -> Table:
    """The groups of records that a page leaves out, with the conditions they were measured under."""
    columns = [Column("target"), *(Column(name, numeric=True) for name in _CONDITIONS), Column("verified by")]
    columns += [Column("complete")]
    rows = [
        [
            TableCell(group.target),
            number_cell(group.num_examples, 0),
            number_cell(len(group.sources), 0),
            number_cell(len(group.measures), 0),
            number_cell(group.conditions.seed, 0),
            number_cell(group.conditions.resamples, 0),
            number_cell(group.conditions.confidence, 2),
            TableCell(", ".join(group.verifications) or "–"),
            TableCell("yes" if group.is_complete else "no"),
        ]
        for group in others[: -MOST_ROWS - 1 : -1]
    ]
    rest = _rest(len(rows), len(others), "groups of records")
    return Table("Records that this page doesn't show, the newest first", columns, rows, rest=rest)


def _record_cell(record: Record | None) -> TableCell:
    if record is None:
        return number_cell(None)
    return number_cell(record.value, 3, detail=interval_text(record.low, record.high, 3))


def _interval_cell(it: Interval) -> TableCell:
    return number_cell(it.value, 2, detail=interval_text(it.low, it.high))


def _rest(shown: int, of: int, what: str) -> str:
    """A sentence that counts the rows or columns of a table that aren't shown; empty where all are."""
    return f"The first {shown:,} of {of:,} {what} are shown; {of - shown:,} are not." if shown < of else ""
