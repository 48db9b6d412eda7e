"""The page of studies: verdicts on published statements, marks of winners, and figures beside a headline."""

import re
from dataclasses import replace
from html import unescape
from pathlib import Path

import msgspec
import numpy as np
import pytest
from synthetic_outcomes import converging, outcome, outcomes, provenance, sources

from leepjax import cli
from leepjax.agreement import Interval, critical_r
from leepjax.report.correlation_tables import choice_table, control_table, correlation_table, statistics_table
from leepjax.report.figures import Drawn
from leepjax.report.make import make_report
from leepjax.report.page import render_page
from leepjax.report.published import best_of_three, earlier_levels, large_targets, published_facts, rising_levels
from leepjax.report.studies_page import studies_report
from leepjax.studies.analysis.analyse import analyse
from leepjax.studies.analysis.by_level import convergence, level_means
from leepjax.studies.analysis.settings import settings
from leepjax.studies.outcome import PROVENANCE, Study, write_outcomes
from leepjax.types import InputError

LARGE = {"study": "large", "classes": (2, 100), "noise": 0.01}
BOTH = [*outcomes(40, **LARGE), *outcomes(40, seed=1, source="cifar10", **LARGE)]
RUN = msgspec.structs.replace(
    provenance("large"), command="leepjax study large --out s", hardware="cpu × 1", scale="desk", seconds=7200.0
)
STUDIES = [
    Study(provenance=RUN, outcomes=BOTH),
    Study(provenance=msgspec.structs.replace(RUN, study="source-selection"), outcomes=sources()),
]


def analysed(made):
    return analyse(made).settings


def report_of(studies, drawn=()):
    made = [outcome for study in studies for outcome in study.outcomes]
    return studies_report(studies, analyse(made), drawn, "leepjax report s")


def with_scores(made, **scores):
    """The outcomes with scores in place of theirs: a function of LEEP, or None to leave one out."""
    changed = []
    for each in made:
        given = {name: f(each.scores["leep"], each.accuracy) for name, f in scores.items() if f}
        kept = {name: value for name, value in each.scores.items() if name not in scores}
        changed.append(msgspec.structs.replace(each, scores=kept | given))
    return changed


@pytest.mark.parametrize(
    ("made", "verdict", "why"),
    [
        ([], "inconclusive", "No large targets with a varying number of classes were recorded."),
        (BOTH, "agrees", "resnet18 → cifar100, re-trained head, n = 40: 0.99"),
        (BOTH[:40], "inconclusive", "Only one source was transferred."),
        (outcomes(40, **LARGE | {"noise": 0.3}), "disagrees", "An interval lies entirely below 0.94."),
        (
            [*BOTH, *outcomes(8, seed=6, source="x", **LARGE | {"noise": 0.1})],
            "inconclusive",
            "An interval contains 0.94",
        ),
    ],
    ids=["none", "both", "one", "lower", "unsure"],
)
def test_large_targets(made, verdict, why):
    found = large_targets(analysed(made))
    assert (found.verdict, why in found.why) == (verdict, True), found
    assert ("r of the number of classes alone, −log c: resnet18, re-trained head: 0." in found.why) == bool(made)


def test_settings_that_leep_wins_are_held_against_the_share_in_the_paper():
    def settings_of(leep, nce, seeds):
        """Settings in which LEEP or, if `leep` is less, NCE correlates more with accuracy."""
        rng, made = np.random.default_rng(0), []
        for seed in seeds:
            noisy = {name: (lambda _, y, n=n: y + n * rng.normal()) for name, n in (("leep", leep), ("nce", nce))}
            made += with_scores(outcomes(30, noise=0.1, seed=seed, source=f"s{seed}"), **noisy, h_score=lambda *_: 1.0)
        return analysed(made)

    won, lost = settings_of(0.02, 0.3, range(17)), settings_of(0.3, 0.02, range(17, 26))
    found = best_of_three(won + lost)
    assert found.verdict == "agrees"
    assert "It is the best in 17 of 26 settings here, in 17 of them by more than chance; in the other 9" in found.why
    assert "it is beaten by more than chance in 9." in found.why
    assert best_of_three(lost).verdict == "disagrees"
    assert best_of_three(lost).why.endswith("LEEP wins less often than in the paper.")
    assert best_of_three(won).why.endswith("LEEP wins more often than in the paper.")
    assert best_of_three(won[:2] + lost[:1]).why.endswith("There are too few settings to decide.")
    constant = analysed(with_scores(outcomes(30), h_score=lambda *_: 1.0))
    assert (
        "In 1 settings one of the three is undefined and only the others are compared." in best_of_three(constant).why
    )
    assert best_of_three([]).verdict == "inconclusive"


def test_a_setting_without_all_three_measures_has_no_winner():
    (alone,) = analysed(with_scores(outcomes(30), nce=None))
    assert not alone.counts
    (few,) = analysed(outcomes(3))
    assert not few.counts
    assert not any(cell.mark for cell in correlation_table([alone]).rows[0])


def test_levels_that_fall_by_chance_are_not_held_against_the_paper():
    def at(*means, spread, n=6):
        """Five levels with these mean accuracies, tasks evenly around them."""
        made = []
        for level, mean in enumerate(means):
            for number in range(n):
                name, accuracy = f"{level}-{number}", mean + spread * (2 * number / (n - 1) - 1)
                made.append(outcome(name, accuracy, scores={"leep": level - 4 + 0.1 * number / n}))
        return [level_means(setting) for setting in settings(made)]

    assert rising_levels(at(0.5, 0.6, 0.7, 0.8, 0.9, spread=0.01)).verdict == "agrees"
    by_chance = rising_levels(at(0.5, 0.6, 0.7, 0.66, 0.9, spread=0.05))
    assert by_chance.verdict == "inconclusive"
    assert "They rise throughout in 0 of 1 settings" in by_chance.why
    assert "re-trained head (6, 6, 6, 6, 6 tasks)" in by_chance.why
    surely = rising_levels(at(0.5, 0.6, 0.7, 0.5, 0.9, spread=0.01))
    assert surely.verdict == "disagrees"
    assert (
        "In these settings a mean falls from one level to the next with disjoint 95 % intervals: small-balanced"
        in surely.why
    )
    assert rising_levels([]).why == "No small targets of two levels or more were recorded."


def test_levels_that_match_the_reference_earlier():
    def curves(first_epochs, epochs=10, tasks=3):
        """Tasks for each level, whose fine-tuning reaches the finished reference at an epoch."""
        made = []
        for number, first in enumerate(np.repeat(first_epochs, tasks)):
            tuned = tuple(0.5 if epoch + 1 < first else 0.8 for epoch in range(epochs))
            for method, curve in (("finetune", tuned), ("scratch", (0.3,) * (epochs - 1) + (0.7,))):
                scores = {"leep": number // tasks - 5.0}
                given = {"study": "convergence", "scores": scores, "curve": curve, "method": method}
                made.append(outcome(f"{number:02}", curve[-1], **given))
        return convergence(made, against="final"), convergence(made)

    assert earlier_levels(*curves([9, 7, 5, 4, 2])).verdict == "agrees"
    assert "9 (3 tasks), 7 (3 tasks)" in earlier_levels(*curves([9, 7, 5, 4, 2])).why
    assert earlier_levels(*curves([2, 4, 5, 7, 9])).verdict == "disagrees"
    few = earlier_levels(*curves([2, 4, 5, 7, 9], tasks=2))
    assert few.verdict == "inconclusive"
    assert few.why.endswith("Some levels have fewer than 3 tasks, which is too few to decide.")
    never = earlier_levels(*curves([11] * 5))
    assert (
        never.verdict,
        never.why.endswith("Fewer than two levels reach the zero line, so none can be compared."),
    ) == (
        "inconclusive",
        True,
    )
    mixed = [*curves([9, 7, 5, 4, 2])[0], *curves([2, 4, 5, 7, 9])[0]]
    assert earlier_levels(mixed, []).why.endswith("earlier in 1 of 2 transfers that can be compared.")
    assert earlier_levels([], []).why == "Nothing was trained from scratch."


def test_every_published_fact_has_a_verdict():
    made = [*BOTH, *outcomes(30), *converging(10)]
    facts = published_facts(analyse(made))
    assert len(facts) == 6
    assert {it.verdict for it in facts} <= {"agrees", "disagrees", "inconclusive", "not measured"}
    assert all(it.sign and it.why for it in facts)
    assert "DarkNet53 78.56, SENet154 81.26" in facts[-1].statement


def test_the_table_of_correlations_says_what_the_analysis_says():
    each = analysed(BOTH)[0]
    table = correlation_table([each])
    labels = [column.label for column in table.columns]
    assert labels[:6] == ["setting", "n", "LEEP", "NCE", "H-score", "LEEP's lead"]
    assert labels[-4:] == ["−log c", "−H(Y)", "source accuracy", "k-NN accuracy"]
    assert table.notes[-1] == "Trivial baselines: −log c, −H(Y), source accuracy, k-NN accuracy."
    (row,) = table.rows
    assert (row[0].text, row[0].detail, row[1].text) == ("large", "resnet18 → cifar100, re-trained head", "40")
    assert row[2].value == each.of["leep"].pearson.value
    assert row[2].mark == "★"
    assert [cell.mark for cell in row[3:]] == [""] * (len(row) - 3)
    assert row[5].value == each.winner.margin.value
    assert row[-2].text == "–"  # the source's accuracy is the same for all tasks


def test_a_lead_that_may_be_chance_has_another_mark():
    each = analysed(outcomes(20))[0]
    unsure = replace(each, winner=each.winner._replace(measure="h_score", certain=False))
    cell = correlation_table([unsure]).rows[0][4]
    assert (cell.mark, "may be chance" in cell.meaning) == ("☆", True)


def test_controls_hold_leep_against_the_number_of_classes():
    varying, fixed = analysed(BOTH)[0], analysed(outcomes(40))[0]
    table = control_table([varying, fixed])
    place = {column.label: number for number, column in enumerate(table.columns)}
    first, second = table.rows
    assert first[place["r of −log c"]].value == varying.of["neg_log_classes"].pearson.value
    assert first[place["LEEP's r given c"]].value == varying.of["leep"].given_classes
    assert first[place["lead over −log c"]].value == varying.of["neg_log_classes"].behind_leep.value
    assert first[place["lead over NCE"]].detail.startswith("[1.9")
    assert first[place["p"]].text == "< 0.001"
    assert first[place["detectable r"]].value == varying.of["leep"].minimum_detectable
    assert second[place["LEEP's r given c"]].text == second[place["r of −log c"]].text == "–"


def test_choices_of_sources_are_valued():
    (each,) = analysed(sources())
    table = choice_table([each])
    assert [column.label for column in table.columns][-5:] == ["Rel@1", "Rel@3", "Recall@1", "Recall@3", "regret"]
    assert [row[0].text for row in table.rows] == ["LEEP", "NCE", "H-score", "source accuracy"]
    assert all(0 <= cell.value <= 1 for row in table.rows for cell in row[-5:])
    assert len(statistics_table([each]).rows) == len(table.rows)
    assert statistics_table([each]).folded


def test_sources_that_differ_by_rounding_are_tied_when_one_is_chosen():
    made = [
        outcome("t", y, study="source-selection", source=f"s{y}", scores={"leep": -1 - y * 1e-7}) for y in (0, 0.5, 1)
    ]
    (each,) = analysed(made)
    (row,) = choice_table([each]).rows
    assert row[-1].value == pytest.approx(0.5)  # regret of a source at random


def test_the_page_says_what_was_run_and_how():
    drawn = [
        Drawn("a", "large", "scatter", "Caption <1>.", "alt", "<svg id='drawn'></svg>", (Path("x/figures/a.svg"),)),
        Drawn("b", "source-selection", "selection", "Caption 2.", "alt", "<svg></svg>", ()),
    ]
    report = report_of(STUDIES, drawn)
    assert report.summary[0] == (
        "2 studies of the LEEP paper, at desk scale: 89 transfers of 10 sources to 41 tasks from cifar100, in 4.0 h on "
        "cpu × 1, until 2026-01-01."
    )
    assert "Of LEEP, NCE and H-score LEEP is the best in 2 of 3" in report.summary[1]
    assert "large: resnet18 → cifar100, re-trained head: −log c 0.8" in report.summary[2]
    assert [section.title for section in report.sections] == [
        "Published facts",
        "Correlations",
        "Controls",
        "Large targets",
        "Source selection",
        "Every statistic",
    ]
    *_, large, selection, _ = report.sections
    assert [it.command for it in large.origins] == ["leepjax study large --out s"]
    assert (large.figures[0].files, large.figures[0].wide) == (["figures/a.svg"], False)
    assert selection.figures[0].wide
    assert selection.text[0].startswith("With 9 sources |r| must exceed 0.67 for p < 0.05.")
    assert "about 0.27" in selection.text[1]
    html = render_page(report)
    assert "<svg id='drawn'></svg>" in html
    assert "Caption &lt;1&gt;." in html
    needed = f"For p < 0.05 |r| must exceed 0.67 with 9 sources; {critical_r(40):.2f} with 40 tasks."
    assert needed in unescape(html)
    assert html.count("leepjax report s<") == 2


def test_studies_that_have_only_begun_give_a_page_too():
    begun = [Study(provenance=RUN, outcomes=outcomes(2, **LARGE)), Study(provenance=RUN, outcomes=[])]
    report = report_of(begun)
    assert report.summary[1] == "There are too few outcomes of any setting to correlate scores with accuracies."
    assert [section.title for section in report.sections] == ["Published facts"]
    assert "inconclusive" in unescape(render_page(report))
    with pytest.raises(InputError, match="report: expected outcomes of studies, got none; let leepjax study finish"):
        report_of(begun[1:])


def test_a_folder_of_studies_becomes_a_page_with_figures(tmp_path, monkeypatch, capsys):
    write_outcomes(tmp_path / "large" / "outcomes.jsonl", BOTH[:40])
    (tmp_path / "large" / PROVENANCE).write_bytes(msgspec.json.encode(RUN))
    path = make_report(tmp_path / "large", tmp_path / "my page", ("svg",))
    html = path.read_text("utf-8")
    (figure,) = (tmp_path / "my page" / "figures").iterdir()
    assert f'href="figures/{figure.name}"' in html
    assert "<title>Scatter plot of LEEP and test accuracy" in html
    assert f"leepjax report {tmp_path}/large --out '{tmp_path}/my page'" in unescape(html)
    assert len(re.findall(r'\bid="([^"]*)"', html)) == len(set(re.findall(r'\bid="([^"]*)"', html)))
    monkeypatch.delenv("PYTEST_VERSION", raising=False)
    monkeypatch.setattr("sys.argv", ["leepjax", "report", str(tmp_path), "--formats", "pdf"])
    with pytest.raises(SystemExit) as exited:
        cli.main()
    assert not exited.value.code
    assert capsys.readouterr().out.strip() == str(tmp_path / "report" / "report.html")
    assert [path.suffix for path in (tmp_path / "report" / "figures").iterdir()] == [".pdf"]


def test_intervals_that_are_undefined_are_not_shown():
    from leepjax.report.correlation_tables import interval_cell, p_value_cell

    assert interval_cell(Interval(0.5, float("nan"), float("nan"))).detail == ""
    assert p_value_cell(float("nan")).text == "–"
    assert (p_value_cell(0.0004).text, p_value_cell(0.0006).text) == ("< 0.001", "0.001")
