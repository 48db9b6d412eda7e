"""The page of studies: what was run, its results, and how far they agree with the LEEP paper."""

import math
from collections.abc import Sequence
from statistics import median

import numpy as np

from leepjax.agreement import critical_r, significance_note
from leepjax.report.captions import number_text
from leepjax.report.correlation_tables import (
    choice_table,
    control_table,
    correlation_table,
    statistics_table,
)
from leepjax.report.figures import Drawn
from leepjax.report.page import Figure, Origin, Report, Section, duration
from leepjax.report.published import published_facts
from leepjax.report.runs import origin_of
from leepjax.studies.analysis.analyse import Analysis, SettingAnalysis
from leepjax.studies.analysis.correlations import LEAD
from leepjax.studies.analysis.settings import SELECTION
from leepjax.studies.outcome import Outcome, Study
from leepjax.types import InputError

TITLES = {
    "large": "Large targets",
    "small-balanced": "Small balanced targets",
    "small-imbalanced": "Small imbalanced targets",
    "convergence": "Convergence",
    "source-selection": "Source selection",
}


def studies_report(
    studies: Sequence[Study], analysis: Analysis, drawn: Sequence[Drawn], command: str, figures: str = "figures"
) -> Report:
    """The page of studies.

    Args:
        studies: as `read_studies` gives them.
        analysis: of all their outcomes.
        drawn: their figures.
        command: the command that makes this page.
        figures: folder of the figures' files, relative to the page.

    Raises:
        InputError: when they hold no outcome.
    """
    outcomes = [outcome for study in studies for outcome in study.outcomes]
    if not outcomes:
        raise InputError("report: expected outcomes of studies, got none; let leepjax study finish some transfers.")
    analysed = analysis.settings
    origins = [_origin(study) for study in studies if study.outcomes]
    sections = [Section("Published facts", verdicts=published_facts(analysis), origins=origins)]
    if analysed:
        sections += [
            Section("Correlations", _cautions(analysed), tables=[correlation_table(analysed)], origins=origins),
            Section("Controls", tables=[control_table(analysed)], origins=origins),
        ]
    sections += [section for study in studies if (section := _study_section(study, analysed, drawn, command, figures))]
    if analysed:
        sections.append(Section("Every statistic", tables=[statistics_table(analysed)], origins=origins))
    return Report(
        title="How well do scores predict transfer?",
        summary=[_what_was_run(studies, outcomes), *_what_came_out(analysed)],
        facts=_facts(studies, outcomes, len(analysed)),
        sections=sections,
    )


def _study_section(
    study: Study, analysed: Sequence[SettingAnalysis], drawn: Sequence[Drawn], command: str, figures: str
) -> Section | None:
    """A study's figures, and for source selection the table of choices; None where there is neither."""
    shown = [
        Figure(it.svg, it.caption, command, [f"{figures}/{path.name}" for path in it.files], it.kind != "scatter")
        for it in drawn
        if it.study == study.provenance.study
    ]
    chosen = [each for each in analysed if each.setting.study == study.provenance.study == SELECTION]
    if not shown and not chosen:
        return None
    text = [significance_note(n) for n in sorted({len(each.setting.outcomes) for each in chosen})]
    if any(len(each.setting.outcomes) == 9 for each in chosen):
        text.append(
            "If scores and accuracies were unrelated, Kendall's τ of nine sources would have a standard deviation "
            "of about 0.27."
        )
    tables = [choice_table(chosen)] if chosen else []
    title = TITLES.get(study.provenance.study, study.provenance.study)
    return Section(title, text, tables=tables, figures=shown, origins=[_origin(study)])


def _what_was_run(studies: Sequence[Study], outcomes: Sequence[Outcome]) -> str:
    tasks = {(outcome.study, outcome.profile, outcome.target, outcome.task) for outcome in outcomes}
    sources = {outcome.source for outcome in outcomes}
    targets = sorted({outcome.target for outcome in outcomes})
    ran = [study.provenance for study in studies if study.outcomes]
    scales = sorted({run.scale for run in ran})
    return (
        f"{_count(len(ran), 'study', 'studies')} of the LEEP paper, at {' and '.join(scales)} scale: "
        f"{len(outcomes):,} transfers of {_count(len(sources), 'source')} to {_count(len(tasks), 'task')} from "
        f"{' and '.join(targets)}, in {duration(sum(run.seconds for run in ran))} on "
        f"{' and '.join(sorted({run.hardware for run in ran}))}, until {max(run.date for run in ran)}."
    )


def _what_came_out(analysed: Sequence[SettingAnalysis]) -> list[str]:
    """The main result, and what limits it."""
    r = [each.of[LEAD].pearson.value for each in analysed if LEAD in each.of]
    r = [value for value in r if not math.isnan(value)]
    if not r:
        return ["There are too few outcomes of any setting to correlate scores with accuracies."]
    counted = [each for each in analysed if each.counts]
    won = [each for each in counted if each.winner.measure == LEAD]
    headline = (
        f"Pearson's r of LEEP and the accuracy after transfer lies between {number_text(min(r))} and "
        f"{number_text(max(r))} in {_count(len(r), 'setting')}, with a median of {number_text(median(r))}. Of "
        f"LEEP, NCE and H-score LEEP is the best in {len(won)} of {len(counted)}, by more than "
        f"chance in {sum(each.winner.certain for each in won)}."
    )
    return [headline, *_class_caution(analysed)]


def _class_caution(analysed: Sequence[SettingAnalysis]) -> list[str]:
    """How well the number of classes alone predicts accuracy, where it varies."""
    varying = [each for each in analysed if np.ptp(each.setting.num_classes) > 0 and "neg_log_classes" in each.of]
    if not varying:
        return []
    listed = "; ".join(
        f"{each.setting.name}: −log c {number_text(each.of['neg_log_classes'].pearson.value)}, LEEP "
        f"{number_text(each.of[LEAD].pearson.value)}, LEEP given c {number_text(each.of[LEAD].given_classes)}"
        for each in varying
        if LEAD in each.of
    )
    return [
        "Where tasks differ in their number of classes c, the number alone may predict accuracy, and LEEP tends to "
        f"fall as it grows: a high r is then weak evidence by itself. Pearson's r there: {listed}. "
        "Settings with a fixed number of classes, and source selection, are more informative."
    ]


def _cautions(analysed: Sequence[SettingAnalysis]) -> list[str]:
    sizes = sorted({(len(each.setting.outcomes), each.setting.over) for each in analysed})
    needed = "; ".join(f"{number_text(critical_r(n))} with {n:,} {over}" for n, over in sizes)
    return [
        "A row is a setting: one source transferred to many tasks, or many sources to one task. Scores read a "
        "task's training images only, accuracies its test images, and nothing was chosen by test accuracy.",
        f"For p < 0.05 |r| must exceed {needed}. The intervals, and those of differences below, show how "
        "precise the correlations are.",
    ]


def _facts(studies: Sequence[Study], outcomes: Sequence[Outcome], num_settings: int) -> list[tuple[str, str]]:
    ran = [study.provenance for study in studies if study.outcomes]
    return [
        ("Settings", f"{num_settings}"),
        ("Transfers", f"{len(outcomes):,}"),
        ("Sources", f"{len({outcome.source for outcome in outcomes})}"),
        ("Scale", ", ".join(sorted({run.scale for run in ran}))),
        ("Time", duration(sum(run.seconds for run in ran))),
        ("Commit", ", ".join(sorted({run.commit or "none" for run in ran}))),
        ("Date", max(run.date for run in ran)),
    ]


def _origin(study: Study) -> Origin:
    return origin_of(study.provenance, f"Study {study.provenance.study}, scale {study.provenance.scale}")


def _count(n: int, one: str, many: str = "") -> str:
    return f"{n:,} {one if n == 1 else many or one + 's'}"
