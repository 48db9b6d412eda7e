"""The page of rankings: which source is best for a target, by which measure, and whether training agrees."""

import math
from collections.abc import Sequence

import numpy as np

from leepjax.ranking import Interval, Ranking
from leepjax.ranking.groups import Group, chosen_groups, groups
from leepjax.records import Record
from leepjax.report.page import Cell, Column, Origin, Report, Section, Table, between, duration, number
from leepjax.types import InputError

_CONDITIONS = ("examples", "sources", "measures", "seed", "resamples", "confidence")
VERIFICATIONS = {"head": "a re-trained head", "ridge": "a ridge probe", "finetune": "fine-tuning"}


def ranking_report(rankings: Sequence[Ranking], origins: Sequence[Origin], others: Sequence[Group] = ()) -> Report:
    """The page of one or several rankings.

    Args:
        rankings: at least one.
        origins: the commands that measured them.
        others: records of the same folder that don't compare with those of the rankings.

    Raises:
        InputError: without a ranking.
    """
    if not rankings:
        raise InputError("report: expected at least one ranking, got none; run leepjax rank with --out.")
    records = [record for ranking in rankings for record in ranking.records]
    targets = [ranking.target for ranking in rankings]
    facts = [
        ("Targets" if len(targets) > 1 else "Target", ", ".join(targets)),
        ("Sources", f"{len({record.source for record in records})}"),
        ("Measures", f"{len({record.measure for record in records if record.kind == 'score'})}"),
        ("Measuring took", duration(sum(record.seconds for record in records))),
    ]
    origins = origins or [origin_of_records(records)]
    return Report(
        title=f"Which source transfers to {_listed(targets)}?",
        summary=[_found(ranking) for ranking in rankings],
        facts=facts,
        sections=[
            *(section for ranking in rankings for section in ranking_sections(ranking, origins, len(rankings) > 1)),
            *([_others(others, origins)] if others else []),
        ],
    )


def ranking_sections(ranking: Ranking, origins: Sequence[Origin], named: bool) -> list[Section]:
    """A ranking's sections; their titles name the target where there are several."""
    of = f" for {ranking.target}" if named else ""
    sections = []
    if ranking.sources:
        text = ["Higher is better in all of them."]
        sections += [
            Section(f"Ranking{of}", ranking.remarks(), tables=[_lead_table(ranking)], origins=origins),
            Section(f"All measures{of}", text, tables=[_scores(ranking)], origins=origins),
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
    return [_ranking(group) for group in taken], [group for group in found if group not in taken]


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
        for group in reversed(others)
    ]
    text = [
        "The folder holds more records. They are of other examples, or were measured with other options, and don't "
        "compare with those above. For each target this page shows the newest records that are complete: a number for "
        "every source by every measure."
    ]
    table = Table("Records that this page doesn't show, the newest first", columns, rows)
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
    text = f"Of {len(ranking.sources)} sources {lead} puts {ranking.best} first for {target.target}"
    text += f" ({target.num_classes} classes, {target.num_examples:,} examples)"
    if tied := ranking.tied_with_best:
        text += f", and can't tell {_listed(tied)} from it"
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


def _lead_table(ranking: Ranking) -> Table:
    lead, accuracy = ranking.measures[0], ranking.verified_by
    by_source = {(record.source, record.measure): record for record in ranking.records}
    tied, p_best = ranking.tied_with_best, ranking.p_best()
    drawn = not all(map(math.isnan, p_best.values()))
    columns = [Column("source"), Column("#", numeric=True), Column(lead, numeric=True)]
    columns += [Column("P(best)", numeric=True)] if drawn else []
    columns += [Column("test accuracy", numeric=True)] if accuracy else []
    columns += [Column("parameters", numeric=True), Column("licence")]
    rows = []
    for place, source in enumerate(ranking.sources, start=1):
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
    return Table(f"Sources, best {lead} first", columns, rows, notes)


def _scores(ranking: Ranking) -> Table:
    scores = {measure: ranking.scores(measure) for measure in ranking.measures}
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
        for source in ranking.sources
    ]
    return Table("Every measure's score of every source", columns, rows, ["★ is the best of a column."])


def _failures(ranking: Ranking) -> Table:
    rows = [[Cell(failure.source), Cell(failure.reason)] for failure in ranking.failures]
    return Table("Why each source failed", [Column("source"), Column("reason")], rows)


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
        for it in ranking.agreement()
    ]
    note = "Ties are pairs of sources with equal score or equal accuracy. – is undefined: one of the two is constant."
    return Table("Correlation of scores with test accuracy over the sources", columns, rows, [note])


def _measured(record: Record | None) -> Cell:
    if record is None:
        return number(None)
    return number(record.value, 3, detail=between(record.low, record.high, 3))


def _interval(it: Interval) -> Cell:
    return number(it.value, 2, detail=between(it.low, it.high))


def _listed(names: Sequence[str]) -> str:
    return " and ".join(filter(None, [", ".join(names[:-1]), names[-1]]))
