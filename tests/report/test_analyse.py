"""A page is analysed once: figures, captions, tables and verdicts read the same numbers, and compute none."""

from collections import Counter
from dataclasses import FrozenInstanceError

import pytest
import scipy.stats
from synthetic_outcomes import converging, outcome, outcomes, provenance, sources

from leepjax.agreement import STATISTICS
from leepjax.report import figures
from leepjax.report.figures import draw_all
from leepjax.report.page import render_page
from leepjax.report.studies_page import studies_report
from leepjax.studies.analysis import analyse as module
from leepjax.studies.analysis import by_level, correlations, lines
from leepjax.studies.analysis.analyse import CHOICES, analyse
from leepjax.studies.outcome import Study


@pytest.fixture(scope="module")
def made():
    """Studies with every kind of figure, table and verdict."""
    outcomes_of = {
        "large": outcomes(6, study="large", classes=(2, 100)),
        "small-balanced": outcomes(6),
        "convergence": converging(6),
        "source-selection": sources(),
    }
    return [Study(provenance=provenance(name), outcomes=each) for name, each in outcomes_of.items()]


@pytest.fixture
def computed(monkeypatch):
    """Counts how often each of the functions that compute something for a setting is called for it."""
    calls = Counter()

    def count(where, name, key):
        function = getattr(where, name)

        def counted(*args, **options):
            calls[name, key(*args, **options)] += 1
            return function(*args, **options)

        monkeypatch.setattr(where, name, counted)

    count(correlations, "_correlation", lambda setting, measure, *_: (setting.name, measure))
    count(module, "plot_of", lambda setting, measure, _: (setting.name, measure))
    for name in ("level_means", "_choices"):
        count(module, name, lambda setting: setting.name)
    count(by_level, "_of_pairs", lambda pairs, *options: (pairs[0][0].source, pairs[0][0].target, options[-1]))
    # These know no setting: it is enough that drawing doesn't call them.
    for where, name in ((correlations, "p_value"), (by_level, "mean_interval"), (lines, "band")):
        count(where, name, lambda *_: "")
    return calls


def test_each_statistic_of_a_setting_is_computed_once(made, computed, tmp_path, monkeypatch):
    monkeypatch.setattr(figures, "encode", lambda *_: b"<svg></svg>")
    analysis = analyse([outcome for study in made for outcome in study.outcomes])
    in_analysis = computed.total()
    drawn = draw_all(analysis, tmp_path, ())
    render_page(studies_report(made, analysis, drawn, "leepjax report x"))
    assert computed.total() == in_analysis, "drawing or writing computes something"
    once = {key: times for key, times in computed.items() if key[1]}
    assert set(once.values()) == {1}
    assert {name for name, _ in once} == {"_correlation", "plot_of", "level_means", "_choices", "_of_pairs"}
    rows = sum(len(each.correlations) for each in analysis.settings)
    assert sum(name == "_correlation" for name, _ in once) == rows


def test_an_analysis_holds_what_each_kind_of_setting_has(made):
    analysis = analyse([outcome for study in made for outcome in study.outcomes])
    for each in analysis.settings:
        small = each.setting.study.startswith("small")
        over_sources = each.setting.over == "sources"
        assert (each.levels is not None) == small
        assert bool(each.choices) == over_sources
        assert [plot.measure for plot in each.plots] == (
            ["leep", "nce", "h_score", "source_accuracy"] if over_sources else ["leep"]
        )
    assert {against: len(found) for against, found in analysis.convergence.items()} == {"same-epoch": 1, "final": 1}
    with pytest.raises(FrozenInstanceError):
        analysis.settings = ()
    nothing = analyse([])
    assert (nothing.settings, *nothing.convergence.values()) == ((), [], [])
    assert [len(each.setting.outcomes) for each in analyse([*outcomes(3), *outcomes(2, source="few")]).settings] == [3]


def test_choices_are_the_statistics_of_the_sources_with_a_score():
    accuracies, scores = [0.2, 0.9, 0.6, 0.4], [0.3, 0.1, 0.2, None]
    made = [
        outcome("t", y, study="source-selection", source=f"s{y}", scores={"leep": x, "nce": y})
        for x, y in zip(scores, accuracies, strict=True)
    ]
    (each,) = analyse(made).settings
    assert set(each.choices) == {"leep", "nce"}
    expected = {name: STATISTICS[name]([0.3, 0.1, 0.2], [0.2, 0.9, 0.6]) for name in CHOICES}
    assert each.choices["leep"] == pytest.approx(expected)
    assert each.choices["nce"]["regret"] == 0


def test_the_line_is_least_squares_over_the_defined_scores():
    made = outcomes(20, noise=0.05)
    (each,) = analyse(made).settings
    line = each.plots[0].line
    fitted = scipy.stats.linregress(each.setting.scores("leep"), each.setting.accuracies)
    assert line.y == pytest.approx(fitted.intercept + fitted.slope * line.x)
    assert (line.x[0], line.x[-1]) == (min(each.setting.scores("leep")), max(each.setting.scores("leep")))
    (constant,) = analyse([outcome(f"{n}", n / 9, scores={"leep": -1.0}) for n in range(4)]).settings
    assert constant.plots[0].line is None
    (unscored,) = analyse([outcome(f"{n}", n / 9, scores={"nce": -1.0}) for n in range(4)]).settings
    assert (unscored.plots[0].measure, unscored.plots[0].correlation.n) == ("leep", 0)
