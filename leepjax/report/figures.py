"""Every figure of an analysis, with its caption."""

from collections import Counter
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import NamedTuple, get_args

from leepjax.report.captions import (
    Words,
    words_of_convergence,
    words_of_levels,
    words_of_methods,
    words_of_scatter,
    words_of_selection,
)
from leepjax.report.convergence_curves import convergence_curves
from leepjax.report.drawing import FORMATS, Figure, encode, inline_svg, save
from leepjax.report.level_bars import level_bars, method_bars
from leepjax.report.scatter import scatter, selection
from leepjax.studies.analysis.analyse import Analysis, SettingAnalysis
from leepjax.studies.analysis.by_level import LevelMeans
from leepjax.studies.analysis.settings import CONVERGENCE, slug
from leepjax.studies.outcome import Method


class Drawn(NamedTuple):
    """A figure that was written."""

    name: str
    """Name of its files, without suffix; different for each figure."""
    study: str
    kind: str
    """``scatter``, ``levels``, ``convergence`` or ``selection``."""
    caption: str
    """What is drawn, from how many outcomes, and the result."""
    alt: str
    """A description for screen readers."""
    svg: str
    """An ``<svg>`` element for HTML, with ids that no other figure of the page has."""
    files: tuple[Path, ...]


def draw_all(analysis: Analysis, folder: Path, formats: Sequence[str] = FORMATS) -> list[Drawn]:
    """Draw every figure of an analysis, and write it into a folder.

    There is a plot of LEEP against accuracy for each setting of tasks, mean accuracies by level for small targets,
    curves by level for the convergence study, and a panel for each measure of the paper for source selection.

    Args:
        analysis: the analysis of the studies' outcomes.
        folder: folder of the files, which is created if it is missing.
        formats: formats among `FORMATS`; without any, no files are written.

    Returns:
        The figures, study by study. The same analysis gives the same files.
    """
    drawn, names = [], Counter()
    for plain, study, words, figure in _figures(analysis):
        # Names that differ only in punctuation make the same file name.
        name = plain if (count := names[plain]) == 0 else f"{plain}-{count + 1}"
        names[plain] += 1
        files = save(figure, folder / name, formats)
        svg = files[formats.index("svg")].read_bytes() if "svg" in formats else encode(figure, "svg")
        drawn.append(
            Drawn(name, study, words.kind, words.caption, words.alt, inline_svg(svg, name, words.alt), tuple(files))
        )
    return drawn


def _figures(analysis: Analysis) -> Iterator[tuple[str, str, Words, Figure]]:
    """Name, study, words and figure of each."""
    for each in analysis.settings:
        setting = each.setting
        if setting.over == "sources":
            yield setting.slug, setting.study, words_of_selection(each), selection(setting, each.plots)
        else:
            yield f"{setting.slug}-leep", setting.study, words_of_scatter(each), scatter(setting, each.plots[0])
    for means in _levels_of_figures(analysis.settings):
        first = means[0].setting
        name = slug(first.study, first.profile, first.method, "levels")
        yield name, first.study, words_of_levels(means), level_bars(means)
    for by_pairing in _methods_of_figures(analysis.settings):
        first = by_pairing[0][0].setting
        name = slug(first.study, first.profile, "methods", "levels")
        yield name, first.study, words_of_methods(by_pairing), method_bars(by_pairing)
    for against, found in analysis.convergence.items():
        if found:
            name = slug(CONVERGENCE, against)
            yield name, CONVERGENCE, words_of_convergence(found), convergence_curves(found)


def _levels_of_figures(found: Sequence[SettingAnalysis]) -> list[list[LevelMeans]]:
    """Level means grouped by figure: a figure's settings differ only in source and target."""
    groups: dict[tuple[str, str, str], list[LevelMeans]] = {}
    for each in found:
        if each.levels:
            key = each.setting.study, each.setting.profile, each.setting.method
            groups.setdefault(key, []).append(each.levels)
    return list(groups.values())


def _methods_of_figures(found: Sequence[SettingAnalysis]) -> list[list[list[LevelMeans]]]:
    """Level means of the methods of each source and target, by figure, where one of the methods is meta-transfer."""
    figures: dict[tuple[str, str], dict[str, list[LevelMeans]]] = {}
    for each in found:
        if each.levels:
            setting = each.setting
            figures.setdefault((setting.study, setting.profile), {}).setdefault(setting.pairing, []).append(each.levels)
    order = get_args(Method)
    compared = [
        [
            sorted(panel, key=lambda each: order.index(each.setting.method))
            for panel in panels.values()
            if any(each.setting.method == "meta" for each in panel) and len(panel) > 1
        ]
        for panels in figures.values()
    ]
    return [panels for panels in compared if panels]
