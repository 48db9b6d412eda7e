"""The page of a ranking in a real browser: its charts load alone, fit a phone, and can be read by keyboard."""

import pytest
from profiles import by_turns
from ranking_demo import ranking_of
from report_pages import ORIGIN

from leepjax.report.page import render_page
from leepjax.report.ranking_page import ranking_report

ACCURACIES = {f"network_{at:02}_of_many": 0.9 - at / 50 for at in range(16)}
TIMES = {source: 1.3**at for at, source in enumerate(reversed(ACCURACIES))}
MEASURES = ("leep", "logme", *(f"m{at}" for at in range(14)))


@pytest.fixture(scope="module")
def address(tmp_path_factory):
    path = tmp_path_factory.mktemp("page") / "report.html"
    page = ranking_report([ranking_of(ACCURACIES, TIMES, MEASURES)], [ORIGIN])
    path.write_text(render_page(page), encoding="utf-8")
    return path.as_uri()


@pytest.mark.parametrize(("scheme", "width"), by_turns(["light", "dark"], [400, 1280]))
def test_the_page_loads_alone_and_fits(opened, address, width, scheme):
    view, said = opened(width, color_scheme=scheme)
    view.evaluate("document.querySelectorAll('details').forEach(part => part.open = true)")
    assert view.evaluate("document.documentElement.scrollWidth") <= width
    assert said == [address]
    for drawing in view.locator("svg").all():
        box = drawing.bounding_box()
        assert box["x"] >= 0
        assert box["x"] + box["width"] <= width
        assert drawing.get_attribute("aria-label")


@pytest.mark.parametrize("width", [400, 1280])
def test_all_words_of_charts_are_inside_them_and_none_is_on_another(opened, width):
    view, _ = opened(width)
    for drawing in view.locator("svg").all():
        boxes = drawing.evaluate(WORDS)
        outer = drawing.evaluate("svg => { const b = svg.getBoundingClientRect(); return [b.left, b.right] }")
        assert all(outer[0] - 1 <= left and right <= outer[1] + 1 for left, right, *_ in boxes), boxes
        for at, one in enumerate(boxes):
            for other in boxes[at + 1 :]:
                across = min(one[1], other[1]) - max(one[0], other[0])
                down = min(one[3], other[3]) - max(one[2], other[2])
                assert across < 3 or down < 4, (one, other)


WORDS = """svg => [...svg.querySelectorAll("text:not(.label)")].map(part => {
    const box = part.getBoundingClientRect();
    return [box.left, box.right, box.top, box.bottom, part.textContent];
})"""


def test_the_points_of_a_chart_are_reached_by_tab_and_arrow_keys(opened):
    view, _ = opened()
    charts = view.locator("svg.points")
    assert charts.count() == 1 + len(MEASURES)
    points = charts.first.locator(".point")
    view.get_by_role("link", name="Agreement with accuracy").focus()
    view.keyboard.press("Tab")
    assert points.first.evaluate("point => point === document.activeElement")
    label = points.first.locator(".label")
    assert label.evaluate("label => getComputedStyle(label).visibility") == "visible"
    assert label.text_content().startswith("network_00_of_many: 0.900, ")
    assert points.nth(1).locator(".label").evaluate("label => getComputedStyle(label).visibility") == "hidden"
    view.keyboard.press("ArrowRight")
    assert points.nth(1).evaluate("point => point === document.activeElement")
    view.keyboard.press("ArrowLeft")
    view.keyboard.press("ArrowUp")
    assert points.last.evaluate("point => point === document.activeElement")
    # One step of Tab leaves the chart, and one back returns to where the reader was.
    view.keyboard.press("Tab")
    view.keyboard.press("Shift+Tab")
    assert points.last.evaluate("point => point === document.activeElement")


def test_points_say_what_they_are_to_the_pointer_and_to_screen_readers(opened):
    view, _ = opened()
    point = view.get_by_role("img", name="network_03_of_many: 0.840").first
    point.locator("circle").hover()
    assert point.locator(".label").evaluate("label => getComputedStyle(label).visibility") == "visible"


def test_measures_beyond_the_first_are_folded(opened):
    view, _ = opened()
    assert view.locator(".panels figure:visible").count() == 12
    view.get_by_text("4 more measures").click()
    assert view.locator(".panels figure:visible").count() == 16
