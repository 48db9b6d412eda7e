"""Images without labels: a folder at any depth, one file, or pixels in memory."""

import os
from collections.abc import Sequence
from pathlib import Path

import numpy as np

from leepjax.data.folder_tree import read_tree
from leepjax.data.image_formats import is_image
from leepjax.data.readable import readable
from leepjax.data.readers import Files
from leepjax.data.target import Target, from_arrays
from leepjax.printable import valid_unicode
from leepjax.types import InputError

AnyImages = str | os.PathLike | Sequence[str | os.PathLike] | np.ndarray
"""A folder or file of images, several of them, or pixels [n h w 3] as in a target."""


def open_images(caller: str, images: AnyImages, *, strict: bool = False) -> Target:
    """Open images as a target whose examples are all of one class; those that can't be decoded are left out.

    Raises:
        InputError: when there are no images, or, if `strict`, one can't be decoded.
    """
    if isinstance(images, np.ndarray):
        return from_arrays(images, np.zeros(len(images), int), name="arrays")
    several = [images] if isinstance(images, (str, os.PathLike)) else list(images)
    paths, ids = [], []
    for each in several:
        root = Path(each)
        found = _images_at(caller, root)
        paths += found
        ids += [valid_unicode(str(path.relative_to(root) if root.is_dir() else path)) for path in found]
    if not paths:
        where = valid_unicode(", ".join(map(str, several[:3]))) or "an empty list"
        raise InputError(f"{caller}: expected images in {where}, got none; pass a folder with images.")
    name = valid_unicode(Path(several[0]).name) or "images"
    labels = np.zeros(len(paths), np.int32)
    opened = Target(name, labels, ("unlabelled",), "", Files(tuple(paths), Path.cwd()), ids.__getitem__)
    target, _ = readable(opened, strict=strict)
    return target


def _images_at(caller: str, path: Path) -> list[Path]:
    if path.is_dir():
        return read_tree(path).all_images()
    if not path.exists():
        raise InputError(
            f"{caller}: expected a folder of images or an image at {valid_unicode(str(path))}, got nothing there; "
            "check the path."
        )
    if not path.is_file() or not is_image(path):
        raise InputError(
            f"{caller}: expected a folder of images or an image at {valid_unicode(str(path))}, got another file; "
            "pass a folder or an image."
        )
    return [path]
