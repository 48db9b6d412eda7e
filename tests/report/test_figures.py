"""Figures of known outcomes: they draw the data, and files are complete, legible and the same every time."""

import html
import re
import subprocess
import sys
import xml.etree.ElementTree as ET
from itertools import pairwise
from pathlib import Path

import numpy as np
import pytest
import scipy.stats
from matplotlib.text import Text
from profiles import is_long, only_long
from synthetic_outcomes import converging, outcome, outcomes, sources

from leepjax.report import drawing
from leepjax.report.drawing import FORMATS, encode, inline_svg, save
from leepjax.report.figures import (
    _methods_of_figures,
    convergence_curves,
    draw_all,
    level_bars,
    method_bars,
    scatter,
    selection,
)
from leepjax.studies.analysis.analyse import analyse, plot_of
from leepjax.studies.analysis.by_level import convergence, level_means
from leepjax.studies.analysis.lines import band
from leepjax.studies.analysis.settings import settings
from leepjax.types import InputError


@pytest.fixture(scope="module")
def varied():
    return settings(outcomes(25, classes=(2, 100), noise=0.03, study="large"))[0]


def scatter_of(setting, measure="leep"):
    return scatter(setting, plot_of(setting, measure))


def selection_of(setting, measures=("leep", "nce", "h_score", "source_accuracy")):
    return selection(setting, [plot_of(setting, measure) for measure in measures])


def draw(outcomes, folder, formats):
    return draw_all(analyse(outcomes), folder, formats)


def points_of(axes):
    """[n 2] of the panel's last collection of points."""
    return np.ma.getdata(axes.collections[-1].get_offsets())


def words_in(svg):
    """All text of an SVG, in one line."""
    return " ".join(
        " ".join(element.itertext()) for element in ET.fromstring(svg).iter() if element.tag.endswith("text")
    )


def test_the_scatter_shows_every_task_and_says_r(varied):
    figure = scatter_of(varied)
    axes = figure.axes[0]
    np.testing.assert_array_equal(points_of(axes), np.stack([varied.scores("leep"), varied.accuracies], axis=1))
    np.testing.assert_array_equal(axes.collections[-1].get_array(), varied.num_classes)
    svg = encode(figure, "svg")
    r, p = scipy.stats.pearsonr(varied.scores("leep"), varied.accuracies)
    text = words_in(svg)
    assert p < 0.001
    assert re.search(rf"r = {r:.2f} \[0\.\d\d, [01]\.\d\d\], p < 0\.001, n = 25", text)
    for words in ("resnet18 → cifar100, re-trained head", "LEEP", "test accuracy", "classes c of the task"):
        assert words in text
    drawn = svg.decode().split('id="PathCollection_1"')[1].split("</g>\n  </g>")[0]
    assert drawn.count("<use") == 25


def test_undefined_scores_are_left_out_and_a_constant_has_no_line(varied):
    assert len(points_of(scatter_of(varied, "logme").axes[0])) == 24
    assert not scatter_of(varied, "source_accuracy").axes[0].get_lines()


def test_the_band_is_that_of_the_mean_in_ordinary_least_squares():
    rng = np.random.default_rng(0)
    x = rng.normal(size=20)
    y = 2 * x + rng.normal(size=20)
    middle, half = band(x, y, np.array([0.0, 1.5]))
    # The same from the covariance of the coefficients.
    design = np.stack([np.ones(20), x], axis=1)
    coefficients, (residual,), *_ = np.linalg.lstsq(design, y, rcond=None)
    covariance = residual / 18 * np.linalg.inv(design.T @ design)
    at = np.array([[1, 0.0], [1, 1.5]])
    np.testing.assert_allclose(middle, at @ coefficients)
    np.testing.assert_allclose(half, 2.100922 * np.sqrt(np.diag(at @ covariance @ at.T)), rtol=1e-6)


def test_level_bars_are_the_means_with_their_n():
    found = settings(
        [each for target in ("cifar100", "fashion-mnist") for each in outcomes(40, target=target, noise=0.05)]
    )
    figure = level_bars([level_means(setting) for setting in found])
    text = words_in(encode(figure, "svg"))
    assert "(a) resnet18 → cifar100" in text
    assert "(b) resnet18 → fashion-mnist" in text
    for axes, setting in zip(figure.axes, found, strict=True):
        levels = level_means(setting).levels
        assert [bar.get_height() for bar in axes.patches] == [level.accuracy.value for level in levels]
        assert axes.get_ylim()[0] == 0
        dots = np.concatenate([np.ma.getdata(dots.get_offsets())[:, 1] for dots in axes.collections[:-1]])
        np.testing.assert_array_equal(np.sort(dots), np.sort(setting.accuracies))
        for place, level in enumerate(levels, start=1):
            assert f"{place} ≥ {level.low:.2f} n = {level.n}".replace("-", "−") in text


def test_bars_of_three_methods_are_named_once_and_their_numbers_apart():
    methods = {"meta": "meta-transferred", "finetune": "fine-tuned", "head": "re-trained head"}
    made = [
        each
        for target in ("cifar100", "digits")
        for how in methods
        for each in outcomes(200, target=target, method=how)
    ]
    (panels,) = _methods_of_figures(analyse(made).settings)
    figure = method_bars(panels)
    figure.draw_without_rendering()
    (legend,) = figure.legends
    assert [text.get_text() for text in legend.get_texts()] == [*methods.values()][::-1]
    assert figure.bbox.containsx(legend.get_window_extent().x0)
    assert figure.bbox.containsx(legend.get_window_extent().x1)
    for axes in figure.axes:
        places = [label.get_window_extent() for label in axes.get_xticklabels()]
        assert all(left.x1 < right.x0 for left, right in pairwise(places))


def test_an_empty_level_is_an_empty_place():
    (setting,) = settings(
        outcome(f"{n}", y, scores={"leep": x}) for n, (x, y) in enumerate([(0, 0.1), (9, 0.4), (9, 0.6)])
    )
    (axes,) = level_bars([level_means(setting, 3)]).axes
    heights = [bar.get_height() for bar in axes.patches]
    assert heights[0] == 0.1
    assert np.isnan(heights[1])
    assert heights[2] == 0.5


def test_convergence_has_a_curve_a_level_and_the_zero_line():
    found = convergence([*converging(20), *converging(20, target="fashion-mnist")], kind="quantile")
    figure = convergence_curves(found)
    for axes, each in zip(figure.axes, found, strict=True):
        zero, *curves = axes.get_lines()
        assert set(zero.get_ydata()) == {0}
        assert len(curves) == len(each.levels)
        for curve, level in zip(curves, each.levels, strict=True):
            np.testing.assert_array_equal(curve.get_ydata(), [difference.value for difference in level.differences])
        looks = {(curve.get_color(), curve.get_marker()) for curve in curves}
        assert len({colour for colour, _ in looks}) == len({marker for _, marker in looks}) == len(curves)
    text = words_in(encode(figure, "svg"))
    for words in ("level 5", "n = 4", "n = 10", "quantile levels of LEEP", "the same number of epochs from scratch"):
        assert words in text


def test_the_band_of_two_tasks_leaves_the_curves_their_room():
    pairs = [(0.9, 0.1), (0.2, 0.1)]  # the interval of the two differences is ±4
    made = [
        outcome(f"{n}", method=method, study="convergence", curve=(accuracy, accuracy), scores={"leep": -1.0})
        for n, pair in enumerate(pairs)
        for method, accuracy in zip(("finetune", "scratch"), pair, strict=True)
    ]
    (axes,) = convergence_curves(convergence(made, 1)).axes
    bottom, top = axes.get_ylim()
    assert bottom < 0 < 0.45 < top < 0.7


def test_selection_names_every_source_once_in_each_panel():
    (setting,) = settings(sources())
    (each,) = analyse(setting.outcomes).settings
    figure = selection(setting, each.plots)
    assert [axes.get_xlabel() for axes in figure.axes] == ["LEEP", "NCE", "H-score", "source accuracy"]
    for axes in figure.axes:
        assert sorted(text.get_text() for text in axes.texts) == sorted(setting.labels)
        assert len(points_of(axes)) == 9
    assert len(selection_of(setting, ["leep"]).axes) == 1


def test_names_of_points_overlap_neither_each_other_nor_the_panels_edge():
    (setting,) = settings(sources())
    figure = selection_of(setting, ["leep", "h_score"])
    figure.draw_without_rendering()
    for axes in figure.axes:
        boxes = [Text.get_window_extent(text) for text in axes.texts]  # without the line to the point
        overlaps = [(a, b) for i, a in enumerate(boxes) for b in boxes[:i] if a.shrunk(0.9, 0.6).overlaps(b)]
        assert not overlaps
        panel = axes.get_window_extent().padded(figure.dpi * 0.05)
        assert all(panel.x0 <= box.x0 and box.x1 <= panel.x1 for box in boxes)


def test_figures_have_our_style_whatever_the_users_rcparams(varied):
    import matplotlib as mpl

    expected = encode(scatter_of(varied), "svg")
    with mpl.rc_context({"font.size": 30, "axes.facecolor": "red", "svg.fonttype": "path"}):
        assert encode(scatter_of(varied), "svg") == expected


def test_files_are_whole_and_the_same_every_time(tmp_path, varied):
    paths = save(scatter_of(varied), tmp_path / "new" / "large-0.5")
    assert [path.name for path in paths] == ["large-0.5.png", "large-0.5.svg", "large-0.5.pdf"]
    contents = [path.read_bytes() for path in paths]
    assert [content[:5] for content in contents] == [b"\x89PNG\r", b"<?xml", b"%PDF-"]
    again = scatter_of(varied)
    assert [encode(again, format) for format in FORMATS] == contents


def test_an_unknown_format_is_refused_and_nothing_is_written(tmp_path, varied):
    with pytest.raises(InputError, match="expected a format among png, svg, pdf, got 'gif'; choose one of them"):
        save(scatter_of(varied), tmp_path / "figure", ("gif", "svg"))
    assert not list(tmp_path.iterdir())


def test_an_inline_drawing_has_ids_of_its_own_and_a_title(varied):
    svg = encode(scatter_of(varied), "svg")
    one, other = (inline_svg(svg, prefix, "r < 1 & more") for prefix in ("one", "other"))
    ids = [set(re.findall(r'\bid="([^"]+)"', text)) for text in (one, other)]
    assert not ids[0] & ids[1]
    for text, known in zip((one, other), ids, strict=True):
        assert set(re.findall(r'(?:url\(|href=")#([^")]+)', text)) <= known
        assert text.startswith('<svg role="img"')
        assert "<title>r &lt; 1 &amp; more</title>" in text
        assert "metadata" not in text
        ET.fromstring(text)


def test_all_that_the_records_allow_is_drawn(tmp_path):
    made = {
        "large": outcomes(8, study="large", classes=(2, 100)),
        "small-imbalanced": outcomes(8, study="small-imbalanced", profile="long-tail"),
        "convergence": converging(6),
        "source-selection": sources(),
        "small-balanced": outcomes(2),  # too few
    }
    drawn = draw([outcome for each in made.values() for outcome in each], tmp_path, ("svg",))
    assert [(each.name, each.study, each.kind) for each in drawn] == [
        ("large-resnet18-cifar100-head-leep", "large", "scatter"),
        ("small-imbalanced-long-tail-resnet18-cifar100-head-leep", "small-imbalanced", "scatter"),
        ("convergence-resnet18-cifar100-finetune-leep", "convergence", "scatter"),
        ("source-selection-cifar100-000-head", "source-selection", "selection"),
        ("small-imbalanced-long-tail-head-levels", "small-imbalanced", "levels"),
        ("convergence-same-epoch", "convergence", "convergence"),
        ("convergence-final", "convergence", "convergence"),
    ]
    assert sorted(path.name for path in tmp_path.iterdir()) == sorted(f"{each.name}.svg" for each in drawn)
    assert all(each.svg.startswith("<svg") and html.escape(each.alt) in each.svg for each in drawn)
    captions = {each.name: each.caption for each in drawn}
    assert "−log c alone has r = 0." in captions["large-resnet18-cifar100-head-leep"]
    assert "With 9 sources |r| must exceed 0.67 for p < 0.05." in captions["source-selection-cifar100-000-head"]
    assert "Mean macro F1" in captions["small-imbalanced-long-tail-head-levels"]
    assert "training from scratch has caught up. First epoch there" in captions["convergence-same-epoch"]
    assert not draw([], tmp_path / "nothing", ("svg",))
    assert not (tmp_path / "nothing").exists()


def test_without_matplotlib_a_sentence_says_what_to_install():
    # The import fails before anything else is loaded that takes long.
    code = "import sys; sys.modules['matplotlib'] = None; import leepjax.report.drawing"
    ended = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False)
    assert ended.stderr.splitlines()[-1] == (
        "leepjax.types.InputError: report: expected Matplotlib for figures, got none; pip install 'leepjax[report]'."
    )


def test_figures_get_at_matplotlib_through_one_module():
    """The error says what to install; and no figure needs pyplot, whose state all threads share."""
    for path in Path(drawing.__file__).parent.glob("*.py"):
        if path.name != "drawing.py":
            assert "import matplotlib" not in path.read_text("utf-8")
            assert "from matplotlib" not in path.read_text("utf-8")
    assert "pyplot" not in Path(drawing.__file__).read_text("utf-8")


def test_equal_curves_lie_on_the_zero_line():
    """Warnings are errors: Matplotlib would warn of equal limits."""
    pair = [outcome(method=method, curve=(0.5, 0.6), study="convergence") for method in ("finetune", "scratch")]
    (axes,) = convergence_curves(convergence(pair, 1)).axes
    low, high = axes.get_ylim()
    assert low < 0 < high


@pytest.mark.parametrize(
    "name",
    ["cost$5_{", "n" * 300, "\x1b[2J", "🐈", "caf\udce9", *only_long(("a$\\undefined{$b",), ("[/b]",), ("שלום",))],
)
def test_any_name_can_be_drawn_and_makes_a_file(name, tmp_path):
    # Text is laid out alike for both formats; the PNG, which takes longer, is written of the first and the longest.
    formats = ("png", "svg") if is_long() or "cost" in name or len(name) == 300 else ("svg",)
    found = [outcome(f"t{i}", 0.5 + i / 20, source=name, target=name, scores={"leep": i / 9}) for i in range(5)]
    found += [outcome(f"{name}-1", 0.5, study="source-selection", source=f"{name}{i}", target=name) for i in range(4)]
    drawn = draw(found, tmp_path, formats)
    assert len(drawn) == 3
    assert len({path for it in drawn for path in it.files}) == len(formats) * len(drawn)
    assert all(path.stat().st_size > 1000 for it in drawn for path in it.files)


def test_names_that_differ_in_signs_alone_have_figures_of_their_own(tmp_path):
    found = [outcome(f"t{i}", 0.5 + i / 20, source=name) for name in ("a/b", "a-b") for i in range(5)]
    drawn = draw(found, tmp_path, ("svg",))
    assert len({it.files for it in drawn}) == len({it.name for it in drawn}) == len(drawn) == 3
