"""Assign the examples of a folder, images or texts, to classes and splits. The rules say images for both.

The rules, in order:

1. A folder whose only content with images is one folder, itself without images of its own, stands for that folder
   (``photos/images/…``, an archive in a folder of its name).
2. Folders called train, training, val, valid, validation, dev, test or testing, in any case, are splits if they hold
   class folders and either no other folder beside them holds images, or two of them are different splits with a class
   in common. Otherwise they are classes like the folders beside them.
3. Where every class folder holds nothing else than such folders (``photos/cat/train/…``), these are the splits.
4. Every other folder is a class, with all images below it at any depth.
"""

from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path

from leepjax.data.folder_tree import Folder
from leepjax.data.labels import class_name
from leepjax.data.split import SPLITS, split_called
from leepjax.types import NOUNS, InputError, Noun

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


def lay_out(root: Folder, noun: Noun = NOUNS["images"]) -> Layout:
    """Find the splits and classes of a folder.

    Raises:
        InputError: for two folders of the same split, and for splits without class folders.
    """
    layout = Layout({})
    root = _unwrapped(root)
    splits = _split_folders(root, layout, noun)
    if splits:
        for split, folder in splits.items():
            layout.parts[split] = _classes(_unwrapped(folder), layout)
        layout.without_class += root.images
    elif _holds_splits_in_classes(root):
        layout.parts = _splits_in_classes(root)
        layout.without_class += root.images
    else:
        layout.called_like_splits = [folder.path for folder in root.folders if _split(folder) and folder.has_images()]
        layout.parts = {None: _classes(root, layout)}
    return layout


def _split(folder: Folder) -> str | None:
    return split_called(folder.name)


def _unwrapped(folder: Folder) -> Folder:
    inside = [each for each in folder.folders if each.has_images()]
    if folder.images or len(inside) != 1 or inside[0].images or _split(inside[0]):
        return folder
    return _unwrapped(inside[0])


def _split_folders(root: Folder, layout: Layout, noun: Noun) -> dict[str, Folder]:
    """Split → its folder; empty where folders with the names of splits are classes."""
    called = [folder for folder in root.folders if _split(folder) and folder.has_images()]
    holding_classes = [folder for folder in called if any(each.has_images() for each in folder.folders)]
    others = [folder for folder in root.folders if not _split(folder) and folder.has_images()]
    if others and not _share_a_class(holding_classes):
        return {}
    if called and not holding_classes:
        raise InputError(
            f"{root.path}: expected class folders in {called[0].name}, got {noun.many} without a class; "
            f"make one folder a class and put its {noun.many} there."
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


def _share_a_class(folders: list[Folder]) -> bool:
    """Whether two of the folders are different splits with a class in common."""
    classes: dict[str | None, set[str]] = {}
    for folder in folders:
        named = {class_name(each.name) for each in _unwrapped(folder).folders}
        if any(named & those for split, those in classes.items() if split != _split(folder)):
            return True
        classes.setdefault(_split(folder), set()).update(named)
    return False


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
