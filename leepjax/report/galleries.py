"""Sections of images: those that the sources disagree on, and some of each class."""

from collections.abc import Collection, Sequence

from leepjax.ranking.examples import ClassImages, Disputed, Thumbnails
from leepjax.report.label_counts import histograms, label_bars
from leepjax.report.page import Gallery, Origin, Picture, Section

_MOST_NAMED = 6
"""How many sources are named below an image; of more, they are counted."""


def image_sections(
    examples: Thumbnails | None, leaders: Collection[str], of: str, origins: Sequence[Origin]
) -> list[Section]:
    """The images of a target; none without a file of them.

    Args:
        examples: thumbnails.
        leaders: are marked.
        of: added to titles.
        origins: the commands that found them.
    """
    if examples is None:
        return []
    sections = []
    if examples.disputed:
        text = [
            f"On {examples.num_disputed:,} of {examples.num_judged:,} test images, some sources are right and others "
            "wrong. Shown are first those on which leaders disagree, then those that divide the sources most evenly. "
            "Where a label looks wrong, mend the label before you compare sources; where the images are hard in the "
            "same way, more of these would tell the sources apart."
        ]
        pictures = [_disputed_picture(each, leaders) for each in examples.disputed]
        gallery = Gallery(pictures, "◆ marks the leaders.", is_small=False)
        sections.append(Section(f"Images that the sources disagree on{of}", text, gallery=gallery, origins=origins))
    if examples.task != "classes":
        return [*sections, *_label_sections(examples, of, origins)]
    if any(each.images for each in examples.classes):
        rest = examples.num_classes - len(examples.classes)
        note = f"The first {len(examples.classes):,} of {examples.num_classes:,} classes are shown." if rest else ""
        pictures = [_class_picture(each) for each in examples.classes]
        text = ["Some images of each class. Check that they show what you mean by it."]
        gallery = Gallery(pictures, note, is_small=True)
        sections.append(Section(f"Classes{of}", text, gallery=gallery, origins=origins))
    return sections


def _label_sections(examples: Thumbnails, of: str, origins: Sequence[Origin]) -> list[Section]:
    """What the numbers or labels of a target are like, with some of its images."""
    has_images = any(each.images for each in examples.classes)
    if examples.task == "regression":
        name = examples.histograms[0].name if examples.histograms else "number"
        text = ["How the numbers are distributed: the metric compares sources where most of them lie."]
        if has_images:
            text.append(f"Below, some images of each tenth of {name}. Check that they show what it means.")
        figures = histograms(examples)
    else:
        text = ["How many examples have each label; metrics are means over the labels, the rare ones included."]
        if has_images:
            text.append("Below, some images that have each label. Check that they show what you mean by it.")
        figures = [label_bars(examples)]
    pictures = [_class_picture(each) for each in examples.classes] if has_images else []
    rest = examples.num_classes - len(examples.classes) if examples.task == "multilabel" else 0
    note = f"The first {len(examples.classes):,} of {examples.num_classes:,} labels are shown." if rest > 0 else ""
    gallery = Gallery(pictures, note, is_small=True) if pictures else None
    title = "Numbers" if examples.task == "regression" else "Labels"
    return [Section(f"{title}{of}", text, figures=figures, gallery=gallery, origins=origins)]


def _disputed_picture(it: Disputed, leaders: Collection[str]) -> Picture:
    right, wrong = (_listed(names, leaders) for names in (it.right, it.wrong))
    return Picture((_source(it.image),), it.label, (f"right: {right}", f"wrong: {wrong}"), f"Image {it.id}")


def _class_picture(it: ClassImages) -> Picture:
    count = f"{it.num_examples:,} image{'' if it.num_examples == 1 else 's'}"
    return Picture(tuple(map(_source, it.images)), it.name, (count,), f"Of class {it.name}")


def _source(image: str) -> str:
    return f"data:image/jpeg;base64,{image}"


def _listed(names: Sequence[str], leaders: Collection[str]) -> str:
    """The leaders among them first, as many as fit."""
    ordered = sorted(names, key=lambda name: name not in leaders)
    shown = [f"◆\N{NO-BREAK SPACE}{name}" if name in leaders else name for name in ordered[:_MOST_NAMED]]
    rest = len(names) - len(shown)
    return ", ".join([*shown, *([f"{rest:,} more"] if rest else [])])
