"""The page of rankings: which source is best for a target, by which measure, and whether training agrees."""

from collections.abc import Sequence
from dataclasses import replace
from typing import NamedTuple

from leepjax.ranking import Ranking
from leepjax.ranking.agree import Agreement
from leepjax.ranking.examples import Thumbnails
from leepjax.report.galleries import example_sections
from leepjax.report.page import Origin, Report, Section, duration
from leepjax.report.ranking_forest import forest
from leepjax.report.ranking_panels import score_panels
from leepjax.report.ranking_pareto import pareto
from leepjax.report.ranking_tables import (
    MOST_MEASURES,
    MOST_ROWS,
    agreement_table,
    best_source_table,
    failure_table,
    group_table,
    lead_table,
    rows_per_ranking,
    score_table,
)
from leepjax.storage.record_groups import Group, chosen_groups, groups
from leepjax.storage.records import Record
from leepjax.tables import some
from leepjax.types import METRICS, InputError

MOST_RANKINGS = 6
"""How many rankings have sections of their own: those with the most records."""
VERIFICATIONS = {"head": "a re-trained head", "ridge": "a ridge probe", "finetune": "fine-tuning"}


def ranking_report(
    rankings: Sequence[Ranking],
    origins: Sequence[Origin],
    others: Sequence[Group] = (),
    records: str = "",
    examples: Sequence[Thumbnails] = (),
) -> Report:
    """The page of one or several rankings; with many, the largest are shown one by one, and the best source of each.

    Args:
        rankings: at least one.
        origins: the commands that measured them.
        others: groups of records in the same folder that can't be compared with those of the rankings.
        records: path of the records' file relative to the page, where there is one.
        examples: thumbnails of the targets' images, where there are some.

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
    images = {each.key: each for each in examples}
    sections = [
        *(
            each
            for ranking in shown
            for each in ranking_sections(ranking, origins, _limits(rankings, shown), images.get(ranking.key))
        ),
        *([_overview(rankings, len(shown), origins)] if len(shown) < len(rankings) else []),
        *([_others(others, origins)] if others else []),
    ]
    title = f"Which source transfers to {_listed(targets) if len(targets) <= 3 else some(targets, 3)}?"
    return Report(title, [_found(ranking, len(rankings) > 1) for ranking in shown], facts, sections, records)


class Limits(NamedTuple):
    """How much of a page a ranking's sections may take."""

    is_named: bool = False
    """Whether titles name the target."""
    most_rows: int = MOST_ROWS
    """Of a table."""
    share: float = 1.0
    """Share of the points that the small charts of a page may have"""


def _limits(rankings: Sequence[Ranking], shown: Sequence[Ranking]) -> Limits:
    return Limits(len(rankings) > 1, rows_per_ranking(shown), 1 / len(shown))


def ranking_sections(
    ranking: Ranking, origins: Sequence[Origin], limits: Limits, examples: Thumbnails | None = None
) -> list[Section]:
    """A ranking's sections, charts and images before tables."""
    of = f" for {ranking.target}" if limits.is_named else ""
    agreements = replace(ranking, measures=ranking.measures[:MOST_MEASURES]).agreement()
    sections = _charts(ranking, agreements, of, origins, limits.share)
    sections += example_sections(examples, ranking.leaders, of, origins)
    if ranking.sources:
        text = ["Higher is better in all of them."]
        sections += [
            Section(f"Ranking{of}", ranking.remarks(), tables=[lead_table(ranking, limits.most_rows)], origins=origins),
            Section(f"All measures{of}", text, tables=[score_table(ranking, limits.most_rows)], origins=origins),
        ]
    if ranking.failures:
        text = ["These sources couldn't be opened or run, or lack a number for a requested measure."]
        sections.append(Section(f"Sources that failed{of}", text, tables=[failure_table(ranking)], origins=origins))
    if agreements:
        how = VERIFICATIONS.get(ranking.verified_by or "", ranking.verified_by)
        text = [
            f"How well each measure's scores agree with the test {METRICS[ranking.metric]} of {how}. The measures see "
            "the examples that were trained on. Below 30 sources, the intervals are Fisher's for Pearson's r and those "
            "of an inverted test for rank correlations; from 30 sources on, they come from a bootstrap over sources."
        ]
        table = agreement_table(ranking, agreements)
        sections.append(Section(f"Agreement with {METRICS[ranking.metric]}{of}", text, tables=[table], origins=origins))
    return sections


def _charts(
    ranking: Ranking, agreements: Sequence[Agreement], of: str, origins: Sequence[Origin], share: float
) -> list[Section]:
    """The charts before the tables: the sources with their intervals and costs, and each measure against accuracy."""
    figures = [figure for figure in (forest(ranking), pareto(ranking)) if figure] if ranking.sources else []
    panels = score_panels(ranking, agreements, share) if agreements else None
    sections = []
    if figures:
        sections.append(Section(f"The sources{of}", figures=figures, origins=origins))
    if panels:
        title = f"Scores against {METRICS[ranking.metric]}{of}"
        text = [f"Each measure's scores against the test {METRICS[ranking.metric]}, one point per source."]
        sections.append(Section(title, text, panels=panels, origins=origins))
    return sections


def rankings_of(records: Sequence[Record]) -> tuple[list[Ranking], list[Group]]:
    """For each target the ranking of the group of records that `chosen_groups` takes, and the groups that are left."""
    found = groups(records)
    taken = chosen_groups(found)
    shown = set(map(id, taken))
    return [_ranking(group) for group in taken], [group for group in found if id(group) not in shown]


def _ranking(group: Group) -> Ranking:
    """The ranking of the sources that the leading measure scored, by the measures that scored all of these."""
    sources_by: dict[str, set[str]] = {}
    for record in group.records:
        sources_by.setdefault(record.measure, set()).add(record.source)
    lead = sources_by[group.measures[0]]
    measures = [name for name in group.measures if sources_by[name] >= lead]
    verified = [name for name in group.verifications if sources_by[name] >= lead]
    kept = tuple(record for record in group.records if record.source in lead)
    return Ranking(kept, tuple(measures), verified[-1] if verified else None)


def _overview(rankings: Sequence[Ranking], num_shown: int, origins: Sequence[Origin]) -> Section:
    text = [f"Of {len(rankings):,} targets, the {num_shown} with the most records have sections of their own above."]
    return Section("All targets", text, tables=[best_source_table(rankings)], origins=origins)


def _others(others: Sequence[Group], origins: Sequence[Origin]) -> Section:
    text = [
        "The folder holds more records. They are of other examples or were measured with other options, and can't be "
        "compared with those above. For each target this page shows the newest complete records: those with a number "
        "for every source by every measure."
    ]
    return Section("Other records in this folder", text, tables=[group_table(others)], origins=origins)


def origin_of_records(records: Sequence[Record]) -> Origin:
    """The origin of records, as far as the records themselves show it, for folders in which no run was recorded."""
    first = records[0]
    return Origin(
        f"leepjax rank {first.target} --seed {first.seed}",
        versions=", ".join(f"{name} {version}" for name, version in first.versions.items()),
        seconds=sum(record.seconds for record in records),
        what="The options are those in the records; the run itself wasn't recorded.",
    )


def _found(ranking: Ranking, named: bool) -> str:
    """The answer; with the target's name where a page has several."""
    return f"{ranking.target}: {ranking.answer()}" if named else ranking.answer()


def _listed(names: Sequence[str]) -> str:
    return " and ".join(filter(None, [", ".join(names[:-1]), names[-1]]))
