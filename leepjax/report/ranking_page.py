"""The page of rankings: which source is best for a target, by which measure, and whether training agrees."""

import math
from collections.abc import Sequence
from dataclasses import replace

import numpy as np

from leepjax.agreement import Interval
from leepjax.ranking import Ranking
from leepjax.report.page import Cell, Column, Origin, Report, Section, Table, between, duration, number
from leepjax.storage.record_groups import Group, chosen_groups, groups
from leepjax.storage.records import Record
from leepjax.tables import some
from leepjax.types import InputError

MOST_RANKINGS, MOST_MEASURES, MOST_ROWS = 6, 40, 500
"""What a page shows of rankings one by one, of a ranking's measures, and rows of a table; the rest is counted."""
# In all tables of scores, which are the larger part of a page.
_MOST_CELLS = 16_000

_CONDITIONS = ("examples", "sources", "measures", "seed", "resamples", "confidence")
VERIFICATIONS = {"head": "a re-trained head", "ridge": "a ridge probe", "finetune": "fine-tuning"}


def ranking_report(
    rankings: Sequence[Ranking], origins: Sequence[Origin], others: Sequence[Group] = (), records: str = ""
) -> Report:
    """The page of one or several rankings: of many, the largest one by one, and the best source of each.

    Args:
        rankings: at least one.
        origins: the commands that measured them.
        others: records of the same folder that don't compare with those of the rankings.
        records: a path from the page to the records' file, where there is one.

    Raises:
        InputError: without a ranking.
    """
    if not rankings:
        raise InputError("report: expected at least one ranking, got none; run leepjax rank with --out.")
    largest = sorted(range(len(rankings)), key=lambda at: -len(rankings[at].records))[:MOST_RANKINGS]
    shown = [rankings[at] for at in sorted(largest)]
    all_records = [record for ranking in rankings for record in ranking.records]
    targets = [ranking.target for ranking in rankings]
    facts = [
        ("Targets" if len(targets) > 1 else "Target", some(targets)),
        ("Sources", f"{len({record.source for record in all_records}):,}"),
        ("Measures", f"{len({record.measure for record in all_records if record.kind == 'score'})}"),
        ("Measuring took", duration(sum(record.seconds for record in all_records))),
    ]
    origins = origins or [origin_of_records(all_records)]
    most_rows = _most_rows(shown)
    sections = [
        *(each for ranking in shown for each in ranking_sections(ranking, origins, len(rankings) > 1, most_rows)),
        *([_overview(rankings, len(shown), origins)] if len(shown) < len(rankings) else []),
        *([_others(others, origins)] if others else []),
    ]
    title = f"Which source transfers to {_listed(targets) if len(targets) <= 3 else some(targets, 3)}?"
    return Report(title, [_found(ranking) for ranking in shown], facts, sections, records)


def _most_rows(rankings: Sequence[Ranking]) -> int:
    """How many sources of each ranking have a row."""
    cells_per_row = sum(min(len(ranking.measures), MOST_MEASURES) + 7 for ranking in rankings)
    return max(10, min(MOST_ROWS, _MOST_CELLS // cells_per_row))


def _rest(shown: int, of: int, what: str) -> str:
    """How many of a table's rows or columns aren't shown; nothing where all are."""
    return f"The first {shown:,} of {of:,} {what} are shown, {of - shown:,} aren't." if shown < of else ""


def ranking_sections(
    ranking: Ranking, origins: Sequence[Origin], named: bool, most_rows: int = MOST_ROWS
) -> list[Section]:
    """A ranking's sections; their titles name the target where there are several."""
    of = f" for {ranking.target}" if named else ""
    sections = []
    if ranking.sources:
        text = ["Higher is better in all of them."]
        sections += [
            Section(f"Ranking{of}", ranking.remarks(), tables=[_lead_table(ranking, most_rows)], origins=origins),
            Section(f"All measures{of}", text, tables=[_scores(ranking, most_rows)], origins=origins),
        ]
    if ranking.failures:
        text = ["They couldn't be opened or run, or not measured by everything that was asked for."]
        sections.append(Section(f"Sources that failed{of}", text, tables=[_failures(ranking)], origins=origins))
    if ranking.verified_by and ranking.accuracies:
        how = VERIFICATIONS.get(ranking.verified_by, ranking.verified_by)
        text = [
            f"How well the order by each measure is that by the test accuracy of {how}. Training was on the examples "
            "that the measures saw, accuracy is on the others. Below 30 sources, intervals are Fisher's for Pearson's "
            "r and an inverted test's for rank correlations; from 30 on they are a bootstrap over sources."
        ]
        sections.append(Section(f"Agreement with accuracy{of}", text, tables=[_agreement(ranking)], origins=origins))
    return sections


def rankings_of(records: Sequence[Record]) -> tuple[list[Ranking], list[Group]]:
    """For each target the ranking of the records that `chosen_groups` takes, and the groups that it leaves."""
    found = groups(records)
    taken = chosen_groups(found)
    shown = set(map(id, taken))
    return [_ranking(group) for group in taken], [group for group in found if id(group) not in shown]


def _ranking(group: Group) -> Ranking:
    """The ranking of the sources that the leading measure scored; what not all of them have is left out."""
    sources_by: dict[str, set[str]] = {}
    for record in group.records:
        sources_by.setdefault(record.measure, set()).add(record.source)
    lead = sources_by[group.measures[0]]
    measures = [name for name in group.measures if sources_by[name] >= lead]
    verified = [name for name in group.verifications if sources_by[name] >= lead]
    kept = tuple(record for record in group.records if record.source in lead)
    return Ranking(kept, tuple(measures), verified[-1] if verified else None)


def _overview(rankings: Sequence[Ranking], num_shown: int, origins: Sequence[Origin]) -> Section:
    columns = [
        Column("target"),
        Column("sources", numeric=True),
        Column("best source"),
        Column("by"),
        Column("score", True),
    ]
    rows = [
        [
            Cell(ranking.target),
            number(len(ranking.sources), 0),
            Cell(ranking.best if ranking.sources else "–"),
            Cell(ranking.measures[0]),
            number(ranking.scores(ranking.measures[0])[ranking.best] if ranking.sources else None, 3),
        ]
        for ranking in rankings[:MOST_ROWS]
    ]
    text = [f"Of {len(rankings):,} targets, the {num_shown} with the most records have sections of their own above."]
    table = Table("The best source for each target", columns, rows, rest=_rest(len(rows), len(rankings), "targets"))
    return Section("All targets", text, tables=[table], origins=origins)


def _others(others: Sequence[Group], origins: Sequence[Origin]) -> Section:
    columns = [Column("target"), *(Column(name, numeric=True) for name in _CONDITIONS), Column("verified by")]
    columns += [Column("complete")]
    rows = [
        [
            Cell(group.target),
            number(group.num_examples, 0),
            number(len(group.sources), 0),
            number(len(group.measures), 0),
            number(group.conditions.seed, 0),
            number(group.conditions.resamples, 0),
            number(group.conditions.confidence, 2),
            Cell(", ".join(group.verifications) or "–"),
            Cell("yes" if group.is_complete else "no"),
        ]
        for group in others[: -MOST_ROWS - 1 : -1]
    ]
    text = [
        "The folder holds more records. They are of other examples, or were measured with other options, and don't "
        "compare with those above. For each target this page shows the newest records that are complete: a number for "
        "every source by every measure."
    ]
    rest = _rest(len(rows), len(others), "groups of records")
    table = Table("Records that this page doesn't show, the newest first", columns, rows, rest=rest)
    return Section("Other records in this folder", text, tables=[table], origins=origins)


def origin_of_records(records: Sequence[Record]) -> Origin:
    """What records alone say of how they were made, when no run was recorded beside them."""
    first = records[0]
    return Origin(
        f"leepjax rank {first.target} --seed {first.seed}",
        versions=", ".join(f"{name} {version}" for name, version in first.versions.items()),
        seconds=sum(record.seconds for record in records),
        what="The options are those that the records name; the run itself wasn't recorded.",
    )


def _found(ranking: Ranking) -> str:
    """The result in a sentence or two."""
    if not ranking.sources:
        return f"No source could be scored for {ranking.target}."
    lead, target = ranking.measures[0], ranking.records[0]
    text = f"Of {len(ranking.sources):,} sources {lead} puts {ranking.best} first for {target.target}"
    text += f" ({target.num_classes} classes, {target.num_examples:,} examples)"
    if tied := ranking.tied_with_best:
        text += f", and can't tell {_listed(tied) if len(tied) <= 10 else some(tied)} from it"
    accuracies = {source: value for source, value in ranking.accuracies.items() if not math.isnan(value)}
    if not accuracies:
        return f"{text}. Nothing was trained to check that."
    truly = max(accuracies, key=lambda source: accuracies[source])
    how = VERIFICATIONS.get(ranking.verified_by or "", ranking.verified_by)
    if truly == ranking.best:
        return f"{text}. It is also the best by {how}, with a test accuracy of {accuracies[truly]:.3f}."
    text = f"{text}. By {how} {truly} is best, with a test accuracy of {accuracies[truly]:.3f}"
    if ranking.best not in accuracies:
        return f"{text}; {ranking.best} has none."
    return f"{text}; {ranking.best} reaches {accuracies[ranking.best]:.3f}."


def _lead_table(ranking: Ranking, most_rows: int) -> Table:
    lead, accuracy = ranking.measures[0], ranking.verified_by
    by_source = {(record.source, record.measure): record for record in ranking.records}
    tied, p_best = set(ranking.tied_with_best), ranking.p_best()
    drawn = not all(map(math.isnan, p_best.values()))
    columns = [Column("source"), Column("#", numeric=True), Column(lead, numeric=True)]
    columns += [Column("P(best)", numeric=True)] if drawn else []
    columns += [Column("test accuracy", numeric=True)] if accuracy else []
    columns += [Column("parameters", numeric=True), Column("licence")]
    rows = []
    for place, source in enumerate(ranking.sources[:most_rows], start=1):
        record = by_source[source, lead]
        mark = {"mark": "=", "meaning": f"not told from {ranking.best}"} if source in tied else {}
        row = [Cell(source), number(place, 0, **mark), _measured(record)]
        row += [number(p_best[source], 2)] if drawn else []
        row += [_measured(by_source.get((source, accuracy)))] if accuracy else []
        rows.append([*row, number(record.num_parameters, 0), Cell(record.licence or "–")])
    confidence = f"{100 * ranking.records[0].confidence:g} %"
    notes = [f"In brackets: {confidence} intervals, of scores by a bootstrap over examples."]
    if accuracy:
        notes = [f"{notes[0][:-1]}, of accuracies Wilson's."]
    if drawn:
        notes.append(f"P(best) is the share of resamples of the examples that put a source first by {lead}.")
    if tied:
        notes.append(f"= stands where {lead} can't tell a source from {ranking.best} on these examples.")
    rest = _rest(len(rows), len(ranking.sources), "sources")
    return Table(f"Sources, best {lead} first", columns, rows, notes, rest=rest)


def _scores(ranking: Ranking, most_rows: int) -> Table:
    scores = {measure: ranking.scores(measure) for measure in ranking.measures[:MOST_MEASURES]}
    columns = [Column("source"), *(Column(measure, numeric=True) for measure in scores)]
    best = {name: np.nanmax([*by.values(), -math.inf]) for name, by in scores.items()}
    rows = [
        [
            Cell(source),
            *(
                number(by.get(source), 3, **({"mark": "★", "meaning": "best"} if by.get(source) == best[name] else {}))
                for name, by in scores.items()
            ),
        ]
        for source in ranking.sources[:most_rows]
    ]
    rest = [_rest(len(rows), len(ranking.sources), "sources"), _rest(len(scores), len(ranking.measures), "measures")]
    notes = ["★ is the best of all sources by a measure."]
    return Table("Every measure's score of every source", columns, rows, notes, rest=" ".join(filter(None, rest)))


def _failures(ranking: Ranking) -> Table:
    rows = [[Cell(failure.source), Cell(failure.reason)] for failure in ranking.failures[:MOST_ROWS]]
    rest = _rest(len(rows), len(ranking.failures), "sources that failed")
    return Table("Why each source failed", [Column("source"), Column("reason")], rows, rest=rest)


def _agreement(ranking: Ranking) -> Table:
    columns = [
        Column("measure"),
        *(Column(name, numeric=True) for name in ("Pearson r", "p", "Kendall τ", "weighted τ", "ties")),
    ]
    rows = [
        [
            Cell(it.measure),
            _interval(it.pearson),
            number(it.p_value, 3),
            _interval(it.kendall),
            _interval(it.weighted),
            number(it.ties, 0),
        ]
        for it in replace(ranking, measures=ranking.measures[:MOST_MEASURES]).agreement()
    ]
    note = "Ties are pairs of sources with equal score or equal accuracy. – is undefined: one of the two is constant."
    rest = _rest(len(rows), len(ranking.measures), "measures")
    return Table("Correlation of scores with test accuracy over the sources", columns, rows, [note], rest=rest)


def _measured(record: Record | None) -> Cell:
    if record is None:
        return number(None)
    return number(record.value, 3, detail=between(record.low, record.high, 3))


def _interval(it: Interval) -> Cell:
    return number(it.value, 2, detail=between(it.low, it.high))


def _listed(names: Sequence[str]) -> str:
    return " and ".join(filter(None, [", ".join(names[:-1]), names[-1]]))
