"""Read folders of images or texts: choose the split, and report how the folder is read and what isn't used."""

import logging
import re
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, replace
from itertools import product
from pathlib import Path

from leepjax.data.folder_layout import Classes, Layout, how_to_label, lay_out
from leepjax.data.folder_tree import Folder, is_saved_to_disk, read_tree
from leepjax.data.labels import warn_of_names
from leepjax.data.split import SPLITS, split_resembled
from leepjax.printable import valid_unicode
from leepjax.types import NOUNS, InputError, Kind, Noun, SplitChoice

_NOTES = ("readme", "license", "licence", "classes", "labels", "requirements")
"""Names of ``.txt`` files that describe a data set and aren't examples."""
_OF_MASKS = re.compile("mask|segment|annotation|label|ground.?truth|^gt$", re.IGNORECASE)
"""Names of folders of images that may be the labels of the images beside them."""
_SHOWN = 3
"""Most names that a message lists."""


@dataclass(frozen=True)
class Part:
    """The examples of a split, or of a whole folder."""

    classes: tuple[str, ...]
    labels: tuple[int, ...]
    paths: tuple[Path, ...]
    kind: Kind = "images"

    def ids(self, root: Path) -> list[str]:
        """The examples' paths below the folder, as valid Unicode."""
        return [valid_unicode(path.relative_to(root).as_posix()) for path in self.paths]


def read_parts(root: Path, split: SplitChoice | None, *, strict: bool) -> tuple[Part, Part | None]:
    """Read the training part of a folder and, where the folder comes in splits, the part to verify on.

    A folder that has ``.txt`` files but no image is a folder of texts.

    Args:
        root: the folder.
        split: read this split instead; there is then no part to verify on.
        strict: whether files that aren't used are an error; otherwise a warning counts them.

    Raises:
        InputError: when there are no examples, the split is missing, the part to verify on has a class that the
            training part lacks, or, if `strict`, a file isn't used.
    """
    tree, kind = _tree(root)
    noun = NOUNS[kind]
    layout = lay_out(tree, noun)
    in_classes = f"{noun.many} in class folders", f"{noun.one} of a class"
    _report(root, [*_others(root, tree, noun), *_unused(root, layout, noun)], *in_classes, strict=strict)
    if not any(images for classes in layout.parts.values() for images in classes.values()):
        if is_saved_to_disk(root):
            raise InputError(
                f"{_shown(root)}: expected {noun.many} at <class>/<{noun.one}>, got a set that Hugging Face datasets "
                f"saved to disk; name it hf:{_shown(root)}."
            )
        raise InputError(
            f"{_shown(root)}: expected {noun.many} at <class>/<{noun.one}>, got none; {how_to_label(tree, noun)}."
        )
    train, test = _chosen(root, layout, split)
    for each in _readings(root, layout, train, noun):
        logging.getLogger("leepjax").warning(each)
    warn_of_names(_shown(root), [train.classes[label] for label in train.labels], train.classes)
    return replace(train, kind=kind), test and replace(test, kind=kind)


def unlabelled(root: Path, noun: Noun, is_example: Callable[[Path], bool], *, strict: bool) -> list[Path]:
    """The examples in a folder without classes, at any depth; other files are counted in a warning.

    Args:
        root: the folder.
        noun: what messages call an example.
        is_example: whether a file is an example.
        strict: whether any other file is an error.

    Raises:
        InputError: if `strict`, for a file that isn't used.
    """
    tree = read_tree(root, is_example)
    _report(root, list(_others(root, tree, noun)), noun.many, noun.one, strict=strict)
    return tree.all_images()


def _tree(root: Path) -> tuple[Folder, Kind]:
    tree = read_tree(root)
    if not tree.has_images() and any(is_text(path) for folder in tree.walk() for path in folder.others):
        return read_tree(root, is_text), "text"
    return tree, "images"


def is_text(path: Path) -> bool:
    """Whether a file is an example of text: its suffix is that of a text, and its name isn't that of a read-me."""
    return path.suffix.lower() == ".txt" and path.stem.lower() not in _NOTES


def _chosen(root: Path, layout: Layout, split: SplitChoice | None) -> tuple[Part, Part | None]:
    parts = layout.parts
    if None in parts:
        if split is not None:
            raise InputError(
                f"{_shown(root)}: expected split folders (train, val, test) for the split {split!r}, got none; "
                "leave the split out."
            )
        return _part(parts[None]), None
    if split is None:
        return _train_and_test(root, parts)
    if split == "all":
        return _part(_merged(list(parts.values()))), None
    if split not in parts:
        names = ", ".join(map(str, _in_order(parts)))
        raise InputError(f"{_shown(root)}: expected a split of {names}, got {split!r}; choose one of them.")
    first = next(iter(_in_order(parts).values()))
    # Use the classes of the training part if it has all of them, so that a label means the same in each split.
    return _part(parts[split], tuple(first) if parts[split].keys() <= first.keys() else None), None


def _train_and_test(root: Path, parts: dict[str | None, Classes]) -> tuple[Part, Part | None]:
    ordered = _in_order(parts)
    name, first = next(iter(ordered.items()))
    held = next((each for each in reversed(SPLITS) if each in parts and each != name), None)
    used = f"{name} is used for scores and training" + (f", {held} for verification" if held else "")
    unused = [str(each) for each in ordered if each not in (name, held)]
    logging.getLogger("leepjax").warning(
        f"{_shown(root)}: {_listed(list(map(str, ordered)))} are read as splits, not as classes: {used}"
        f"{f', {_listed(unused)} is not used' if unused else ''} (choose another with --split)."
        if len(ordered) > 1
        else f"{_shown(root)}: {name} is read as a split, not as a class."
    )
    if held is None:
        return _part(first), None
    if unknown := sorted(parts[held].keys() - first.keys()):
        raise InputError(
            f"{_shown(root)}: expected the classes of {name} in {held}, got {unknown[0]!r} as well; "
            f"rename or remove it, or choose one split with --split."
        )
    return _part(first), _part(parts[held], tuple(first))


def _in_order(parts: dict[str | None, Classes]) -> dict[str | None, Classes]:
    """Sort the parts, the training part first."""
    return {split: parts[split] for split in SPLITS if split in parts}


def _part(classes: Classes, names: tuple[str, ...] | None = None) -> Part:
    names = names or tuple(classes)
    numbers = {name: number for number, name in enumerate(names)}
    pairs = [(numbers[name], path) for name, images in classes.items() for path in images]
    labels, paths = zip(*sorted(pairs), strict=True) if pairs else ((), ())
    return Part(names, labels, paths)


def _merged(parts: Sequence[Classes]) -> Classes:
    names = sorted({name for part in parts for name in part})
    return {name: [image for part in parts for image in part.get(name, ())] for name in names}


def _readings(root: Path, layout: Layout, train: Part, noun: Noun) -> Iterator[str]:
    """Warnings about ambiguous content of the folder, and how it is read."""
    if layout.below:
        below = layout.below.relative_to(root)
        yield f"{_shown(root)}: {noun.many} in folders below a class folder belong to that class, for example {below}."
    for path in layout.called_like_splits:
        yield f"{_shown(root)}: {path.name} is read as a class, as the folders beside it are."
    if layout.alike:
        yield _of_alike(root, *layout.alike)
    yield from _same_folders(root, train, noun)
    yield from _masks(root, train)
    present = set(train.labels)
    if missing := [name for label, name in enumerate(train.classes) if label not in present]:
        yield f"{_shown(root)}: the class folders of {_listed(missing)} hold no {noun.one}."


def _same_folders(root: Path, part: Part, noun: Noun) -> Iterator[str]:
    """The warning that classes hold the same folder, to which links lead."""
    holding: dict[Path, int] = {}
    for folder, label in sorted({(path.parent, label) for path, label in zip(part.paths, part.labels, strict=True)}):
        if (other := holding.setdefault(folder.resolve(), label)) != label:
            both = _listed(sorted(part.classes[each] for each in (other, label)))
            yield (
                f"{_shown(root)}: the classes {both} hold the same {noun.many}, because a link leads to the folder of "
                f"both, {_shown(folder.resolve())}; remove one of them."
            )
            return


def _masks(root: Path, part: Part) -> Iterator[str]:
    """The warning that a class seems to hold masks, or other labels, of the images of another class."""
    stems: dict[str, set[str]] = {name: set() for name in part.classes}
    for path, label in zip(part.paths, part.labels, strict=True):
        stems[part.classes[label]].add(path.stem)
    of_masks = [name for name in part.classes if _OF_MASKS.search(name)]
    for masks, name in product(of_masks, sorted(stems.keys() - set(of_masks))):
        images = {each if each in stems[name] else each.rpartition("_")[0] for each in stems[masks]}
        if 2 * len(images & stems[name]) > len(images):
            yield (
                f"{_shown(root)}: {name} and {masks} are read as classes, though their files have the same names; if "
                f"{masks} holds masks or labels of {name}, make one folder per class of {name}."
            )
            return


def _of_alike(root: Path, first: Folder, second: Folder, names: Sequence[str]) -> str:
    """The warning that two class folders hold folders of the same names, which may be the classes, or splits."""
    both = " and ".join(valid_unicode(folder.name) for folder in (first, second))
    shown = _listed([*names[:_SHOWN], *(["others"] if len(names) > _SHOWN else [])])
    if any(map(split_resembled, names)):
        advice = "splits, call them train, val or test in every class"
    else:
        advice = "the classes, merge the folders, or call them train and test"
    return (
        f"{_shown(root)}: {both} are read as classes, though both hold folders called {shown}; if these are {advice}."
    )


def _others(root: Path, tree: Folder, noun: Noun) -> Iterator[str]:
    """Describe the files that aren't examples, and the links that aren't followed, one sentence per kind."""
    if others := [path for folder in tree.walk() for path in folder.others]:
        by_suffix = Counter(path.suffix.lower() or "without a suffix" for path in others)
        heic = " (pip install pillow-heif to read .heic)" if by_suffix.keys() & {".heic", ".heif"} else ""
        counts = ", ".join(f"{count:,} {suffix}" for suffix, count in by_suffix.most_common())
        yield _left_out(len(others), "file", f"no {noun.one}", f"{counts}{heic}", others[0].relative_to(root))
    if again := [path for folder in tree.walk() for path in folder.again]:
        yield _left_out(len(again), "link", "to a folder that is read already", "", again[0].relative_to(root))


def _unused(root: Path, layout: Layout, noun: Noun) -> Iterator[str]:
    """Describe the examples and folders that the layout leaves out, one sentence per kind."""
    if paths := layout.without_class:
        yield _left_out(len(paths), noun.one, "in no class folder", "", paths[0].relative_to(root))
    if paths := layout.unused:
        yield _left_out(len(paths), "folder", "no split, but lie beside splits", "", paths[0].relative_to(root))


def _left_out(count: int, noun: str, what: str, counts: str, first: Path) -> str:
    found = f"{count:,} {noun}s are" if count > 1 else f"one {noun} is"
    return f"{found} {what} and left out{f': {counts}' if counts else ''}; the first: {first}"


def _report(root: Path, unused: list[str], expected: str, one: str, *, strict: bool) -> None:
    if strict and unused:
        raise InputError(
            f"{_shown(root)}: expected only {expected}, got others: {unused[0]}; remove what is no {one}, or leave out "
            "strict."
        )
    for each in unused:
        logging.getLogger("leepjax").warning(f"{_shown(root)}: {each}.")


def _shown(path: Path) -> str:
    return valid_unicode(str(path))


def _listed(names: Sequence[str]) -> str:
    return names[0] if len(names) == 1 else f"{', '.join(names[:-1])} and {names[-1]}"
