"""The charts of a ranking's page: their drawings, marks and words, for rankings whose answer is known."""

import re
from xml.etree import ElementTree

import pytest
from ranking_demo import ranking_of
from report_pages import HOSTILE, ORIGIN

from leepjax.ranking.examples import ClassImages, Disputed, Histogram, Thumbnails
from leepjax.report.galleries import example_sections
from leepjax.report.label_counts import histograms
from leepjax.report.label_places import label_places
from leepjax.report.page import render_page
from leepjax.report.ranking_forest import forest
from leepjax.report.ranking_page import ranking_report
from leepjax.report.ranking_panels import NUM_OPEN, score_panels
from leepjax.report.ranking_pareto import pareto
from leepjax.report.ranking_tables import lead_table
from leepjax.report.svg import ACCENT, Scale, shortened

FOUR = {"slow": 0.9, "near": 0.899, "fast": 0.8, "bad": 0.7}
TIMES = {"slow": 40.0, "near": 39.0, "fast": 5.0, "bad": 20.0}


def texts(svg: str) -> list[str]:
    """The words of a drawing, in order; it must be well-formed."""
    return [each.text or "" for each in ElementTree.fromstring(svg).iter("{http://www.w3.org/2000/svg}text")]


def test_an_interval_without_examples_has_a_bar_without_height():
    drawn = Thumbnails(
        key="k",
        made_of="m",
        num_classes=1,
        classes=(),
        task="regression",
        histograms=(Histogram(name="age", low=0.0, high=3.0, counts=(4, 0, 2)),),
    )
    (figure,) = histograms(drawn)
    bars = [each.attrib for each in ElementTree.fromstring(figure.svg).iter() if each.get("stroke") == ACCENT]
    heights = [float(bar["y1"]) - float(bar["y2"]) for bar in bars]
    assert heights[1] == 0
    assert heights[0] == pytest.approx(2 * heights[2], rel=1e-3)


def test_the_forest_has_the_sources_best_first_and_marks_the_leaders():
    ranking = ranking_of(FOUR)
    figure = forest(ranking)
    assert figure is not None
    assert ranking.leaders == ("slow", "near")
    assert [each for each in texts(figure.svg) if each in FOUR] == list(FOUR)
    assert figure.svg.count("<path d=") == 1 + 2  # the legend's, and the leaders'
    assert figure.svg.count("<circle") == 1 + 2
    assert "together they hold the best source with 95 % confidence" in figure.caption
    assert "Leaders: slow, near." in figure.svg
    assert figure.svg.count('font-weight="700">0.') == 2


def test_the_forest_of_scores_says_that_they_are_no_accuracies():
    figure = forest(ranking_of(FOUR, verified=False, headless=("near",)))
    assert figure is not None
    assert "not how accurate they become" in figure.caption
    assert "best source" not in figure.caption
    shown = texts(figure.svg)
    assert shown[shown.index("near") + 1] == "undefined"
    assert forest(ranking_of(FOUR, verified=False, headless=tuple(FOUR))) is None


def test_the_forest_of_many_sources_counts_those_it_leaves_out():
    figure = forest(ranking_of({f"s{at:02}": 0.9 - at / 1000 for at in range(50)}))
    assert figure is not None
    assert "Drawn are the first 40 of 50 sources." in figure.caption
    assert len([each for each in texts(figure.svg) if re.fullmatch(r"s\d\d", each)]) == 40


def test_the_pareto_chart_marks_and_joins_the_front():
    ranking = ranking_of(FOUR, TIMES)
    figure = pareto(ranking)
    assert figure is not None
    assert set(ranking.dominated_by) == {"near", "bad"}
    assert "the Pareto front, 2 of 4 sources" in figure.caption
    assert "No source dominates fast, slow." in figure.svg
    assert figure.svg.count('stroke-width="1.5"') == 2  # one step
    bold = re.findall(r'font-weight="700">([^<]*)<', figure.svg)
    assert bold == ["fast", "slow"]
    assert re.findall(r'aria-label="(\w+: [^"]*)"', figure.svg) == [
        "slow: 0.900, 40 ms", "near: 0.899, 39 ms", "fast: 0.800, 5 ms", "bad: 0.700, 20 ms",
    ]  # fmt: skip
    assert [*re.findall(r'tabindex="(\S+)"', figure.svg)] == ["0", "-1", "-1", "-1"]


@pytest.mark.parametrize("ranking", [
    ranking_of(FOUR), ranking_of(FOUR, {"slow": 1.0}), ranking_of(FOUR, TIMES, verified=False),
])  # fmt: skip
def test_without_accuracies_or_costs_there_is_no_pareto_chart(ranking):
    assert pareto(ranking) is None


def test_of_a_log_loss_the_lowest_is_drawn_at_the_top():
    losses = {"good": 0.1, "poor": 0.9}
    figure = pareto(ranking_of(losses, {"good": 9.0, "poor": 1.0}, metric="log_loss"))
    assert figure is not None
    heights = dict(re.findall(r'aria-label="(\w+):[^>]*><circle cx="[^"]*" cy="([^"]*)"', figure.svg))
    assert float(heights["good"]) < float(heights["poor"])
    assert "lower log-loss, drawn farther up," in figure.caption


def test_each_measure_has_a_panel_with_its_correlation():
    ranking = ranking_of(FOUR, headless=("bad",))
    panels = score_panels(ranking, ranking.agreement())
    assert panels is not None
    leep, logme = panels.panels
    (r, *_), _ = ([each.pearson.value] for each in ranking.agreement())
    assert (leep.title, logme.title) == ("LEEP", "LogME")
    assert leep.detail.startswith(f"r = {r:.2f}")
    assert leep.detail.endswith(", 3 sources")
    assert [panel.svg.count('class="point"') for panel in panels.panels] == [3, 4]
    assert leep.svg.count("<path") == 1  # the best source


def test_two_sources_have_no_correlation_worth_a_number():
    ranking = ranking_of({"a": 0.9, "b": 0.8})
    panels = score_panels(ranking, ranking.agreement())
    assert panels is not None
    assert {panel.detail for panel in panels.panels} == {"r needs three sources"}
    assert score_panels(ranking_of({"a": 0.9}), ranking_of({"a": 0.9}).agreement()) is None


def test_forty_measures_make_a_small_page_of_which_the_first_are_open():
    ranking = ranking_of({f"s{at}": 0.9 - at / 100 for at in range(16)}, measures=tuple(f"m{at}" for at in range(40)))
    html = render_page(ranking_report([ranking], [ORIGIN]))
    assert len(html) < 450_000
    assert f"<summary>{40 - NUM_OPEN} more measures</summary>" in html


def test_points_of_many_sources_have_no_names_and_panels_stay_few():
    ranking = ranking_of({f"s{at}": 0.9 - at / 1000 for at in range(300)}, measures=tuple(f"m{at}" for at in range(20)))
    panels = score_panels(ranking, ranking.agreement())
    assert panels is not None
    assert len(panels.panels) == 10
    assert panels.caption.endswith(" 10 more measures are in the tables.")
    assert 'class="point"' not in panels.panels[0].svg


def test_names_in_charts_are_escaped():
    ranking = ranking_of({HOSTILE: 0.9, "b\u202e": 0.8, "c": 0.7}, {HOSTILE: 1.0, "c": 2.0})
    html = render_page(ranking_report([ranking], [ORIGIN]))
    assert HOSTILE not in html
    assert "\u202e" not in html
    for svg in re.findall(r"<svg.*?</svg>", html, re.DOTALL):
        ElementTree.fromstring(svg)


def test_charts_stand_between_the_answer_and_the_tables():
    ranking = ranking_of(FOUR, TIMES)
    html = render_page(ranking_report([ranking], [ORIGIN]))
    places = [html.index(each) for each in ("Take slow", "Forest plot", "milliseconds per image", "LogME", "<table")]
    assert places == sorted(places)


def test_the_table_of_sources_has_what_they_cost():
    table = lead_table(ranking_of(FOUR, {"slow": 40.0, "fast": 5.0, "bad": 20.0}), 10)
    names = [column.label for column in table.columns]
    rows = {row[0].text: dict(zip(names, (cell.text for cell in row), strict=True)) for row in table.rows}
    costs = ("ms per image", "MFLOPs per image", "peak memory, MB", "weights, MB", "dominated by")
    assert [rows["bad"][name] for name in costs] == ["20.00", "2.0", "3.0", "4.0", "fast"]
    assert [rows["near"][name] for name in costs] == ["–"] * 5
    assert "ms per image" not in [column.label for column in lead_table(ranking_of(FOUR), 10).columns]


def test_names_are_shortened_by_what_they_share():
    links = [f"https://example.org/models/a-network-{at}.safetensors" for at in (1, 12)]
    assert shortened(links, 20) == ["…models/a-network-1", "…models/a-network-12"]
    assert shortened(["short", "names"], 20) == ["short", "names"]
    assert shortened(["x" * 50], 9) == ["xxxx…xxxx"]
    assert max(map(len, shortened(["./" + "a.b" * 20, "./", "b" * 90], 10))) <= 10


@pytest.mark.parametrize(("low", "high", "log", "labels"), [
    (0.55, 0.86, False, ["0.6", "0.7", "0.8"]),
    (-1.0, 1.0, False, ["−1.0", "−0.5", "0.0", "0.5", "1.0"]),
    (0.5, 0.5, False, ["0.46", "0.48", "0.50", "0.52", "0.54"]),
    (0.0, 0.0, False, ["−0.10", "−0.05", "0.00", "0.05", "0.10"]),
    (0.9, 50.0, True, ["1", "2", "5", "10", "20", "50"]),
    (2.1, 4.0, True, ["2.5", "3.0", "3.5", "4.0"]),
    (3.0, 3.0, True, ["2.0", "2.5", "3.0", "3.5", "4.0", "4.5"]),
    (0.01, 3000.0, True, ["0.01", "0.1", "1", "10", "100", "1,000"]),
])  # fmt: skip
def test_ticks_are_round_numbers(low, high, log, labels):
    scale = Scale(low, high, 0, 100, ticks=6, log=log)
    assert [label for _, label in scale.ticks] == labels
    assert all(-0.1 <= scale(value) <= 100.1 for value, _ in scale.ticks)


def test_names_of_points_avoid_each_other():
    places = label_places([(50, 50), (50, 52)], [(30, 10), (30, 10)], [], (0, 0, 200, 200))
    assert places[0] != places[1]
    assert [place.hidden for place in places] == [0, 0]
    (outside,) = label_places([(5, 5)], [(300, 10)], [], (0, 0, 100, 100))
    assert outside.hidden > 0.5


def test_images_stand_between_charts_and_tables_with_who_is_right():
    ranking = ranking_of(FOUR)
    disputed = Disputed(id="a.jpg", label="<cat>", image="AAAA", right=("fast", "slow"), wrong=("near", "bad"))
    classes = (ClassImages(name="<cat>", num_examples=1, images=("BBBB", "CCCC")),)
    kept = {"made_of": "", "num_classes": 50, "classes": classes, "num_judged": 90, "num_disputed": 30}
    examples = Thumbnails(key=ranking.key, disputed=(disputed,), **kept)
    html = render_page(ranking_report([ranking], [ORIGIN], examples=[examples]))
    assert "On 30 of 90 test images, some sources are right" in html
    assert '<img src="data:image/jpeg;base64,AAAA" alt="Image a.jpg">' in html
    assert "right: ◆\u00a0slow, fast" in html
    assert "wrong: ◆\u00a0near, bad" in html
    assert html.count("<img ") == 3
    assert "<h3>&lt;cat&gt;</h3>" in html
    assert "The first 1 of 50 classes are shown." in html
    places = [html.index(each) for each in ("Forest plot", "AAAA", "BBBB", "<table")]
    assert places == sorted(places)
    elsewhere = Thumbnails(key="another target", disputed=(disputed,), **kept)
    assert "<img " not in render_page(ranking_report([ranking], [ORIGIN], examples=[elsewhere]))


def test_of_many_sources_below_an_image_the_rest_is_counted():
    names = tuple(f"s{at}" for at in range(20))
    disputed = Disputed(id="1", label="cat", image="AAAA", right=names, wrong=("bad",))
    examples = Thumbnails(
        key="", made_of="", num_classes=1, classes=(), num_judged=9, num_disputed=1, disputed=(disputed,)
    )
    (section,) = example_sections(examples, ["s19"], "", [ORIGIN])
    assert section.gallery is not None
    right, _ = section.gallery.pictures[0].lines
    assert right == "right: ◆\u00a0s19, s0, s1, s2, s3, s4, 14 more"
