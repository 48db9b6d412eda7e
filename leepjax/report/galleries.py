"""Sections of examples: those that the sources disagree on, and some of each class."""

from collections.abc import Collection, Sequence

from leepjax.ranking.examples import ClassImages, Disputed, Thumbnails
from leepjax.report.label_counts import histograms, label_bars
from leepjax.report.page import Gallery, Origin, Picture, Section
from leepjax.types import NOUNS, Kind

_MOST_NAMED = 6
"""How many sources are named below an example; any others are counted."""


def example_sections(
    examples: Thumbnails | None, leaders: Collection[str], of: str, origins: Sequence[Origin]
) -> list[Section]:
    """The sections of a target's examples; none if the examples weren't stored.

    Args:
        examples: the examples to show.
        leaders: the sources to mark.
        of: text that is appended to titles.
        origins: the commands that stored the examples.
    """
    if examples is None:
        return []
    sections, noun = [], NOUNS[examples.kind]
    if examples.disputed:
        text = [
            f"On {examples.num_disputed:,} of {examples.num_judged:,} test {noun.many}, some sources are right and "
            "others wrong. Those on which leaders disagree come first, then those that divide the sources most "
            "evenly. "
            f"If a label looks wrong, fix it before you compare sources; if many {noun.many} are hard in the same way, "
            "more of these would distinguish the sources."
        ]
        pictures = [_disputed_picture(each, leaders, examples.kind) for each in examples.disputed]
        gallery = Gallery(pictures, "◆ marks the leaders.", is_small=False)
        title = f"{noun.many.capitalize()} that the sources disagree on{of}"
        sections.append(Section(title, text, gallery=gallery, origins=origins))
    if examples.task != "classes":
        return [*sections, *_label_sections(examples, of, origins)]
    if any(each.images for each in examples.classes):
        rest = examples.num_classes - len(examples.classes)
        note = f"The first {len(examples.classes):,} of {examples.num_classes:,} classes are shown." if rest else ""
        pictures = [_class_picture(each, examples.kind) for each in examples.classes]
        shows = "show" if examples.kind == "images" else "say"
        text = [f"Some {noun.many} of each class. Check that they {shows} what you mean by it."]
        gallery = Gallery(pictures, note, is_small=examples.kind == "images")
        sections.append(Section(f"Classes{of}", text, gallery=gallery, origins=origins))
    return sections


def _label_sections(examples: Thumbnails, of: str, origins: Sequence[Origin]) -> list[Section]:
    """The sections on the distribution of a target's numbers or labels, with some of its examples."""
    has_images, noun = any(each.images for each in examples.classes), NOUNS[examples.kind]
    if examples.task == "regression":
        name = examples.histograms[0].name if examples.histograms else "number"
        text = ["The distribution of the numbers. The metric depends mostly on where most of them lie."]
        if has_images:
            text.append(f"Below, some {noun.many} of each tenth of {name}. Check that they show what it means.")
        figures = histograms(examples)
    else:
        text = ["How many examples have each label. Metrics are means over all labels, including the rare ones."]
        if has_images:
            text.append(f"Below, some {noun.many} that have each label. Check that they show what you mean by it.")
        figures = [label_bars(examples)]
    pictures = [_class_picture(each, examples.kind) for each in examples.classes] if has_images else []
    rest = examples.num_classes - len(examples.classes) if examples.task == "multilabel" else 0
    note = f"The first {len(examples.classes):,} of {examples.num_classes:,} labels are shown." if rest > 0 else ""
    gallery = Gallery(pictures, note, is_small=examples.kind == "images") if pictures else None
    title = "Numbers" if examples.task == "regression" else "Labels"
    return [Section(f"{title}{of}", text, figures=figures, gallery=gallery, origins=origins)]


def _disputed_picture(it: Disputed, leaders: Collection[str], kind: Kind) -> Picture:
    lines = [f"{how}: {_listed(names, leaders)}" for how, names in (("right", it.right), ("wrong", it.wrong))]
    if kind == "images":
        return Picture((_source(it.image),), it.label, lines, f"Image {it.id}")
    return Picture((), it.label, lines, texts=(it.image,))


def _class_picture(it: ClassImages, kind: Kind) -> Picture:
    noun = NOUNS[kind]
    count = f"{it.num_examples:,} {noun.one if it.num_examples == 1 else noun.many}"
    if kind == "images":
        return Picture(tuple(map(_source, it.images)), it.name, (count,), f"Of class {it.name}")
    return Picture((), it.name, (count,), texts=it.images)


def _source(image: str) -> str:
    return f"data:image/jpeg;base64,{image}"


def _listed(names: Sequence[str], leaders: Collection[str]) -> str:
    """The leaders among them first, as many as fit."""
    ordered = sorted(names, key=lambda name: name not in leaders)
    shown = [f"◆\N{NO-BREAK SPACE}{name}" if name in leaders else name for name in ordered[:_MOST_NAMED]]
    rest = len(names) - len(shown)
    return ", ".join([*shown, *([f"{rest:,} more"] if rest else [])])
