"""Assign the examples of a folder to classes and splits. The rules are the same for texts as for images.

The rules, in order:

1. If a folder has no images of its own, and only one of its subfolders holds images, the subfolder is read in its place
   (``photos/images/…``, or an archive unpacked into a folder of its own name). The exceptions: another subfolder may be
   a class whose images can't be read, or the subfolder is a class of another split.
2. Folders called train, training, val, valid, validation, dev, test or testing, in any case, are splits if they hold
   class folders and either no other folder beside them holds images, or two of them are different splits with a class
   in common. Otherwise they are classes like the folders beside them.
3. If every class folder holds nothing but such folders (``photos/cat/train/…``), these are the splits.
4. Every other folder is a class, with all images below it at any depth. But folders whose names resemble those of
   different splits (``train2017``, ``seg_test``) are refused if there are no others, or if two have a class in common.
"""

from collections.abc import Callable, Collection, Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from leepjax.data.folder_tree import Folder
from leepjax.data.labels import class_name
from leepjax.data.split import SPLITS, split_called, split_resembled
from leepjax.printable import valid_unicode
from leepjax.types import NOUNS, InputError, Noun

_OF_NO_CLASS = {".csv", ".json", ".jsonl", ".mat", ".py", ".sh", ".tsv", ".txt", ".xml", ".yaml", ".yml"}
"""Suffixes of files that often accompany images in folders of their own, such as annotations."""

_TABLES = {".csv", ".tsv", ".tab", ".jsonl", ".ndjson", ".parquet"}
"""Suffixes of files that may hold, or list, labelled examples."""

Classes = dict[str, list[Path]]
"""Class name → its images, classes in the order of their names."""


@dataclass
class Layout:
    """The images of a folder by split and class."""

    parts: dict[str | None, Classes]
    """Split → its classes; the only key is None where there are no splits."""
    without_class: list[Path] = field(default_factory=list)
    """Images beside class folders."""
    unused: list[Path] = field(default_factory=list)
    """Folders with images beside the splits."""
    below: Path | None = None
    """The first image that isn't directly in its class folder, if any."""
    called_like_splits: list[Path] = field(default_factory=list)
    """Folders that have the name of a split, but are read as classes."""
    alike: tuple[Folder, Folder, list[str]] | None = None
    """Two folders that are read as classes though they hold subfolders of the same names, and these names"""


def lay_out(root: Folder, noun: Noun = NOUNS["images"]) -> Layout:
    """Find the splits and classes of a folder.

    Raises:
        InputError: for two folders of the same split, for splits without class folders, and for folders whose names
            only resemble those of splits.
    """
    layout = Layout({})
    root = _unwrapped(root)
    splits = _split_folders(root, layout, noun)
    if splits:
        for split, folder in zip(splits, _holding_classes(list(splits.values())), strict=True):
            layout.parts[split] = _classes(folder, layout)
        layout.without_class += root.images
    elif _holds_splits_in_classes(root):
        layout.parts = _splits_in_classes(root)
        layout.without_class += root.images
    else:
        _check_resembling(root, noun)
        layout.called_like_splits = [folder.path for folder in root.folders if _split(folder) and folder.has_images()]
        layout.alike = _alike([folder for folder in root.folders if folder.has_images()])
        layout.parts = {None: _classes(root, layout)}
    return layout


def how_to_label(root: Folder, noun: Noun) -> str:
    """Advice for examples without classes; a table among the other files may list them."""
    advice = f"make one folder per class and put its {noun.many} there"
    tables = [file for folder in root.walk() for file in folder.others if file.suffix.lower() in _TABLES]
    if not tables:
        return advice
    first = tables[0].relative_to(root.path)
    folders = ["*"] * len(first.parts[1:]) if len(tables) > 1 else first.parts[:-1]
    name = first.name if len({file.name for file in tables}) == 1 else f"*{first.suffix}"
    table = valid_unicode(str(Path(root.path, *folders, name)))
    read_by_hub = f", or hf:{valid_unicode(str(root.path))}, which reads it" if first.stem == "metadata" else ""
    holds = f"if it holds the {noun.many}, or their paths, and labels"
    return f"name the table {table!r} {holds}{read_by_hub}; otherwise {advice}"


def _split(folder: Folder) -> str | None:
    return split_called(folder.name)


def _resembled(folder: Folder) -> str | None:
    return split_resembled(folder.name)


def _unwrapped(folder: Folder, classes: Collection[str] = ()) -> Folder:
    """The folder to read in place of this one, by rule 1; `classes` are names that are known to be classes."""
    inside = [each for each in folder.folders if each.has_images()]
    if folder.images or len(inside) != 1 or inside[0].images or _split(inside[0]):
        return folder
    beside = [each for each in folder.folders if each is not inside[0]]
    if class_name(inside[0].name) in classes or any(map(_may_be_class, beside)):
        return folder
    return _unwrapped(inside[0], classes)


def _may_be_class(folder: Folder) -> bool:
    """Whether a folder without an image may be a class: it is empty, or has files of types that aren't known here."""
    others = [file for each in folder.walk() for file in each.others]
    return not others or any(file.suffix.lower() not in _OF_NO_CLASS for file in others)


def _class_names(folder: Folder) -> set[str]:
    return {class_name(each.name) for each in folder.folders if each.has_images()}


def _holding_classes(splits: Sequence[Folder]) -> list[Folder]:
    """For each split, the folder that holds its class folders, even if there is only a single class."""
    names = [_class_names(_unwrapped(folder)) for folder in splits]
    return [_unwrapped(folder, set().union(*names[:i], *names[i + 1 :])) for i, folder in enumerate(splits)]


def _split_folders(root: Folder, layout: Layout, noun: Noun) -> dict[str, Folder]:
    """Split → its folder; empty where folders with the names of splits are classes."""
    called = [folder for folder in root.folders if _split(folder) and folder.has_images()]
    holding_classes = [folder for folder in called if any(each.has_images() for each in folder.folders)]
    others = [folder for folder in root.folders if not _split(folder) and folder.has_images()]
    if others and not _share_a_class(holding_classes, _split):
        return {}
    if called and not holding_classes:
        raise InputError(
            f"{root.path}: expected class folders in {called[0].name}, got {noun.many} without a class; "
            f"{how_to_label(root, noun)}."
        )
    layout.unused += [folder.path for folder in others]
    bare = [folder for folder in called if not any(each.has_images() for each in folder.folders)]
    layout.without_class += [image for folder in bare for image in folder.images]
    splits: dict[str, Folder] = {}
    for folder in holding_classes:
        split = split_called(folder.name)
        assert split  # only folders with the name of a split were collected
        if split in splits:
            raise InputError(
                f"{root.path}: expected one folder per split, got {splits[split].name} and {folder.name}; "
                "merge or remove one."
            )
        splits[split] = folder
    return splits


def _share_a_class(folders: Sequence[Folder], split_of: Callable[[Folder], str | None]) -> bool:
    """Whether two of the folders are different splits with a class in common."""
    classes: dict[str | None, set[str]] = {}
    for folder, holding in zip(folders, _holding_classes(folders), strict=True):
        named = _class_names(holding)
        if any(named & those for split, those in classes.items() if split != split_of(folder)):
            return True
        classes.setdefault(split_of(folder), set()).update(named)
    return False


def _check_resembling(root: Folder, noun: Noun) -> None:
    """Refuse folders that look like splits although their names aren't exactly those of splits."""
    holding = [folder for folder in root.folders if folder.has_images()]
    resembling = [folder for folder in holding if _resembled(folder)]
    names = {_resembled(folder): valid_unicode(folder.name) for folder in resembling}
    if len(names) < 2 or (len(resembling) < len(holding) and not _share_a_class(resembling, _resembled)):
        return
    raise InputError(
        f"{valid_unicode(str(root.path))}: expected class folders, or splits called train, val or test, got "
        f"{' and '.join(names.values())}, which resemble splits; rename them to these, with class folders of "
        f"{noun.many} inside, or to other names if they are classes."
    )


def _alike(classes: Sequence[Folder]) -> tuple[Folder, Folder, list[str]] | None:
    """The first two folders that hold folders of the same names, two or more, and these names."""
    seen: dict[str, Folder] = {}
    for folder in classes:
        held = _class_names(_unwrapped(folder))
        first = next((seen[name] for name in sorted(held) if name in seen), None)
        names = [] if first is None else sorted(held & _class_names(_unwrapped(first)))
        if first is not None and len(names) > 1:
            return first, folder, names
        seen |= {name: folder for name in held if name not in seen}
    return None


def _holds_splits_in_classes(root: Folder) -> bool:
    classes = [folder for folder in root.folders if folder.has_images()]
    return bool(classes) and all(
        not folder.images and all(_split(each) for each in folder.folders if each.has_images()) for folder in classes
    )


def _splits_in_classes(root: Folder) -> dict[str | None, Classes]:
    parts: dict[str | None, Classes] = {}
    for split in SPLITS:
        found: Classes = {}
        for folder in root.folders:
            found.setdefault(class_name(folder.name), []).extend(_images_of(folder, split))
        if any(found.values()):
            parts[split] = found
    return parts


def _images_of(folder: Folder, split: str) -> Iterator[Path]:
    for each in folder.folders:
        if _split(each) == split:
            yield from each.all_images()


def _classes(folder: Folder, layout: Layout) -> Classes:
    layout.without_class += folder.images
    classes: Classes = {}
    for each in folder.folders:
        images = each.all_images()
        classes.setdefault(class_name(each.name), []).extend(images)
        layout.below = layout.below or next((image for image in images if image.parent != each.path), None)
    return {name: sorted(classes[name]) for name in sorted(classes)}
