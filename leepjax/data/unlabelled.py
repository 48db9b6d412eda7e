"""Images without labels: a folder at any depth, one file, or images in memory."""

import os
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import jax
import numpy as np
from PIL import Image

from leepjax.data.columns import in_rows, is_table
from leepjax.data.folder import unlabelled
from leepjax.data.image_formats import is_image
from leepjax.data.iterable import from_iterable
from leepjax.data.readable import readable
from leepjax.data.readers import Files
from leepjax.data.target import Target, from_arrays
from leepjax.printable import valid_unicode
from leepjax.types import NOUNS, InputError, check_no_url

AnyImages = str | os.PathLike | Image.Image | bytes | Sequence[Any] | np.ndarray | jax.Array
"""A folder or file of images; an image (of Pillow, an array of pixels, or the bytes of a file); a list of paths or of
images; or pixels [n h w 3] as in a target."""

_PATH = (str, os.PathLike)


def open_images(caller: str, images: AnyImages, *, strict: bool = False) -> Target:
    """Open images as a target whose examples are all of one class; those that can't be decoded are left out.

    Raises:
        InputError: when there are no images, or, if `strict`, one can't be decoded or a file of a folder is no image.
    """
    if (array := _pixels(images)) is not None:
        return _of_array(caller, array)
    alone = isinstance(images, (*_PATH, Image.Image, bytes, bytearray, memoryview))
    several: list[Any] = [images] if alone else in_rows(caller, images, "images")
    num_paths = sum(isinstance(each, _PATH) for each in several)
    if num_paths < len(several):
        if num_paths:
            raise InputError(f"{caller}: expected paths or images in the list, got both; pass one of them.")
        target = from_iterable([(each, 0) for each in several], ("unlabelled",), caller)
        if target.kind != "images":
            raise InputError(f"{caller}: expected images, got lists of strings; pass paths or images in one list.")
    else:
        target = _of_files(caller, several, strict=strict)
    return readable(target, strict=strict)[0]


def _pixels(images: Any) -> np.ndarray | None:
    """An array of any library as one of NumPy; None for what isn't one of numbers."""
    if is_table(images) or isinstance(images, (Image.Image, Sequence)) or not hasattr(images, "__array__"):
        return None
    array = np.asarray(images)
    return None if array.dtype.kind in "OSUT" else array  # of NumPy: objects, bytes and two kinds of strings


def _of_array(caller: str, array: np.ndarray) -> Target:
    if array.ndim == 3 and array.shape[2] in (1, 3, 4):
        raise InputError(
            f"{caller}: expected images [n h w] or [n h w 3], got {array.dtype} {list(array.shape)}, which is one "
            "image or narrow grey ones; pass images[None], or images[..., None] if they are grey."
        )
    return from_arrays(array, np.zeros(len(array) if array.ndim else 0, int), name="arrays")


def _of_files(caller: str, several: Sequence[str | os.PathLike], *, strict: bool) -> Target:
    paths, ids = [], []
    for each in several:
        root = Path(each)
        found = _images_at(caller, root, strict=strict)
        paths += found
        ids += [valid_unicode(str(path.relative_to(root) if root.is_dir() else path)) for path in found]
    if not paths:
        where = valid_unicode(", ".join(map(str, several[:3]))) or "an empty list"
        raise InputError(f"{caller}: expected images in {where}, got none; pass a folder with images.")
    name = valid_unicode(Path(several[0]).name) or "images"
    labels = np.zeros(len(paths), np.int32)
    return Target(name, labels, ("unlabelled",), "", Files(tuple(paths), Path.cwd()), ids.__getitem__)


def _images_at(caller: str, path: Path, *, strict: bool) -> list[Path]:
    check_no_url(caller, path)
    if path.is_dir():
        return unlabelled(path, NOUNS["images"], is_image, strict=strict)
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
