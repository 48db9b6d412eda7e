"""Every figure that the records of studies allow, with captions."""

from collections import Counter
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import NamedTuple, get_args

from leepjax.report.captions import Words, words_of_convergence, words_of_levels, words_of_scatter, words_of_selection
from leepjax.report.convergence_curves import convergence_curves
from leepjax.report.drawing import FORMATS, Figure, encode, inline_svg, save
from leepjax.report.level_bars import level_bars
from leepjax.report.scatter import scatter, selection
from leepjax.studies.analysis.by_level import Against, convergence, level_means
from leepjax.studies.analysis.levels import Kind
from leepjax.studies.analysis.settings import CONVERGENCE, SMALL, Setting, settings, slug
from leepjax.studies.outcome import Outcome, Study

__all__ = ["Drawn", "convergence_curves", "draw_all", "level_bars", "save", "scatter", "selection"]


class Drawn(NamedTuple):
    """A figure that was written."""

    name: str
    """Of its files, without suffix; different for each figure."""
    study: str
    kind: str
    """``scatter``, ``levels``, ``convergence`` or ``selection``."""
    caption: str
    """What is drawn, of how much, and what comes out; without it the figure isn't complete."""
    alt: str
    """What is to be seen, for those who don't see it."""
    svg: str
    """An ``<svg>`` element for HTML, with ids of its own."""
    files: tuple[Path, ...]


def draw_all(
    studies: Sequence[Study],
    folder: Path,
    formats: Sequence[str] = FORMATS,
    *,
    num_levels: int = 5,
    kind: Kind = "equal-width",
) -> list[Drawn]:
    """Draw what the outcomes of studies allow, and write it into a folder.

    For each setting of at least three tasks LEEP against accuracy; for small targets, mean accuracies by level; for
    the convergence study, curves by level; for source selection, a panel for each measure of the paper.

    Args:
        studies: as `read_studies` gives them.
        folder: of the files, made when it isn't there.
        formats: of `FORMATS`; none writes no files.
        num_levels: of the level means; convergence has its own (`convergence`).
        kind: of levels.

    Returns:
        The figures, study by study. The same records give the same files.
    """
    drawn, names = [], Counter()
    outcomes = [outcome for study in studies for outcome in study.outcomes]
    for plain, study, words, figure in _plans(outcomes, num_levels, kind):
        # Names that differ in signs alone make the same file name.
        name = plain if (count := names[plain]) == 0 else f"{plain}-{count + 1}"
        names[plain] += 1
        files = save(figure, folder / name, formats)
        svg = files[formats.index("svg")].read_bytes() if "svg" in formats else encode(figure, "svg")
        drawn.append(
            Drawn(name, study, words.kind, words.caption, words.alt, inline_svg(svg, name, words.alt), tuple(files))
        )
    return drawn


def _plans(outcomes: Sequence[Outcome], num_levels: int, kind: Kind) -> Iterator[tuple[str, str, Words, Figure]]:
    """Name, study, words and figure of each."""
    enough = [setting for setting in settings(outcomes) if len(setting.outcomes) > 2]
    for setting in enough:
        if setting.over == "sources":
            yield setting.slug, setting.study, words_of_selection(setting), selection(setting)
        else:
            yield f"{setting.slug}-leep", setting.study, words_of_scatter(setting), scatter(setting)
    for group in _small(enough):
        study, profile, method = group[0].study, group[0].profile, group[0].method
        means = [level_means(setting, num_levels, kind) for setting in group]
        name = slug(study, profile, method, "levels")
        yield name, study, words_of_levels(means), level_bars(group, num_levels=num_levels, kind=kind)
    for against in get_args(Against):
        if found := convergence(outcomes, kind=kind, against=against):
            name = slug(CONVERGENCE, against)
            yield name, CONVERGENCE, words_of_convergence(found), convergence_curves(found)


def _small(found: Sequence[Setting]) -> list[list[Setting]]:
    """Small targets' settings that belong in one figure: they differ in source and target."""
    groups: dict[tuple[str, str, str], list[Setting]] = {}
    for setting in found:
        if setting.study in SMALL:
            groups.setdefault((setting.study, setting.profile, setting.method), []).append(setting)
    return list(groups.values())
