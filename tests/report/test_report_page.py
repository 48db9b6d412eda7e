"""The page in a real browser: it loads alone, sorts by mouse and keys, and is legible on a phone and in the dark."""

import pytest
from report_pages import HOSTILE, SCORES, page

from leepjax.report.page import render_page

UNDEFINED = [HOSTILE, "e"]


@pytest.fixture(scope="module")
def address(tmp_path_factory):
    path = tmp_path_factory.mktemp("page") / "report.html"
    path.write_text(render_page(page()), encoding="utf-8")
    return path.as_uri()


def names(view):
    return view.locator("tbody th").evaluate_all("cells => cells.map(cell => cell.textContent.trim())")


def head(view, label):
    return view.locator("thead th", has=view.get_by_role("button", name=label, exact=True))


def test_it_loads_without_a_complaint_and_asks_for_nothing(opened, address):
    view, said = opened()
    assert view.title() == f"Which source transfers to {HOSTILE}?"
    view.get_by_role("button", name="leep", exact=True).click()
    view.locator("summary").first.click()
    assert said == [address]
    assert view.locator("h1").inner_text() == view.title()
    assert view.locator("h2").all_inner_texts() == ["Scores", "Scores", "Remarks"]


def test_a_script_in_a_name_would_not_run_either(opened):
    view, said = opened()
    view.evaluate("document.body.append(document.createRange().createContextualFragment('<script>alert(1)</script>'))")
    assert any("Content Security Policy" in text for text in said)
    assert "1" not in said


def test_numbers_sort_as_numbers_and_what_is_undefined_stays_last(opened):
    view, _ = opened()
    given = list(SCORES)
    assert names(view) == given
    assert head(view, "leep").get_attribute("aria-sort") is None
    view.get_by_role("button", name="leep", exact=True).click()
    # b and c have equal scores, and keep their order both ways.
    assert names(view) == ["d", "f", "b", "c", "a", *UNDEFINED]
    assert head(view, "leep").get_attribute("aria-sort") == "descending"
    view.get_by_role("button", name="leep", exact=True).click()
    assert names(view) == ["a", "b", "c", "f", "d", *UNDEFINED]
    assert head(view, "leep").get_attribute("aria-sort") == "ascending"
    assert view.get_by_role("status").inner_text() == "Sorted by leep, ascending"


@pytest.mark.parametrize("key", ["Enter", "Space"])
def test_words_sort_by_the_keyboard(opened, key):
    view, _ = opened()
    given = list(SCORES)
    head(view, "leep").locator("button").click()
    for _ in range(20):
        view.keyboard.press("Shift+Tab")
        if view.evaluate("document.activeElement.textContent") == "class":
            break
    outline = view.evaluate("getComputedStyle(document.activeElement).outline")
    assert "solid" in outline
    assert "0px" not in outline
    view.keyboard.press(key)
    # "class 4" stands before "class 10".
    assert names(view) == given[::-1]
    assert head(view, "class").get_attribute("aria-sort") == "ascending"
    assert head(view, "leep").get_attribute("aria-sort") is None
    view.keyboard.press(key)
    assert names(view) == given


def test_drawings_are_there_and_fit_their_place(opened):
    view, _ = opened()
    narrow, wide = view.locator("figure").all()
    for figure in (narrow, wide):
        drawing = figure.get_by_role("img", name="A dot").bounding_box()
        assert drawing["height"] == pytest.approx(0.6 * drawing["width"], abs=0.1)
        assert figure.locator("use").bounding_box()["width"] > 0
    assert narrow.locator("svg").bounding_box()["width"] == pytest.approx(narrow.bounding_box()["width"])
    assert wide.bounding_box()["width"] > 1.5 * narrow.bounding_box()["width"]


@pytest.mark.parametrize("width", [380, 1280])
def test_the_page_never_scrolls_sideways_and_tables_do_in_place(opened, width):
    view, _ = opened(width)
    view.evaluate("document.querySelectorAll('details').forEach(part => part.open = true)")
    assert view.evaluate("document.documentElement.scrollWidth") <= width
    one, several = (drawing.bounding_box()["width"] for drawing in view.locator("svg").all())
    assert one < width
    assert several > 600  # smaller, its words couldn't be read
    table = view.get_by_role("region", name="What each measure says")
    assert table.evaluate("part => part.scrollWidth > part.clientWidth")
    table.focus()
    view.keyboard.press("ArrowRight")
    table.evaluate("part => new Promise(done => part.scrollLeft ? done() : part.addEventListener('scroll', done))")
    assert table.evaluate("part => part.scrollLeft") > 0
    assert view.evaluate("scrollX") == 0


CONTRAST = """() => {
    const luminance = colour => {
        const parts = colour.match(/[\\d.]+/g).slice(0, 3).map(part => part / 255);
        const [r, g, b] = parts.map(part => part <= 0.04045 ? part / 12.92 : ((part + 0.055) / 1.055) ** 2.4);
        return 0.2126 * r + 0.7152 * g + 0.0722 * b;
    };
    const below = part => {
        const colour = getComputedStyle(part).backgroundColor;
        return colour === "rgba(0, 0, 0, 0)" ? below(part.parentElement) : colour;
    };
    const written = part => [...part.childNodes].some(node => node.nodeType === 3 && node.data.trim());
    const parts = [...document.querySelectorAll("body :not(svg *, script)")].filter(written);
    return parts.map(part => {
        const [dim, bright] = [getComputedStyle(part).color, below(part)].map(luminance).sort((x, y) => x - y);
        return [(bright + 0.05) / (dim + 0.05), part.outerHTML.slice(0, 80)];
    });
}"""


@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_all_text_stands_out_from_what_is_below_it(opened, scheme):
    view, _ = opened(color_scheme=scheme)
    view.evaluate("document.querySelectorAll('details').forEach(part => part.open = true)")
    ratios = view.evaluate(CONTRAST)
    assert len(ratios) > 80
    assert min(ratios) > [4.5]
    paper = view.evaluate("getComputedStyle(document.body).backgroundColor")
    brightness = sum(map(int, paper[4:-1].split(", "))) / 3
    assert brightness > 200 if scheme == "light" else brightness < 50
    turned = view.locator("svg").first.evaluate("drawing => getComputedStyle(drawing).filter")
    assert ("invert" in turned) == (scheme == "dark")


def test_the_first_tab_skips_to_the_results(opened):
    view, _ = opened()
    view.keyboard.press("Tab")
    skip = view.get_by_role("link", name="Skip to the results")
    assert skip.evaluate("link => link === document.activeElement")
    assert skip.bounding_box()["y"] >= 0
    view.keyboard.press("Enter")
    assert view.evaluate("document.activeElement.id") == "main"


def test_printed_pages_show_the_commands(opened):
    view, _ = opened()
    view.emulate_media(media="print")
    assert not view.locator("nav").is_visible()
    view.evaluate("dispatchEvent(new Event('beforeprint'))")
    assert view.get_by_text("leepjax study large --out 'my studies'").is_visible()
