"""Targets from where people keep them: a folder of class folders, an ``.npz``, and the embedded digits."""

import zipfile
import zlib
from pathlib import Path

import numpy as np
from PIL import Image, ImageOps

from leepjax.data.target import Target, from_arrays
from leepjax.files import digest
from leepjax.types import InputError

IMAGE_SUFFIXES = (".png", ".jpg", ".jpeg", ".webp")


def read_target(name: str) -> Target:
    """Open a target by name (``digits``) or path (a folder ``class/image.png``, or an ``.npz``).

    Raises:
        InputError: when it isn't there, or can't be read as labelled images.
    """
    if name in EMBEDDED:
        return EMBEDDED[name]()
    path = Path(name)
    if path.is_dir():
        return from_folder(path)
    if path.is_file() and path.suffix == ".npz":
        return from_npz(path)
    if path.is_file():
        raise InputError(f"target: expected a folder or an .npz, got the file {name}; put images into class folders.")
    raise InputError(
        f"target: expected a folder, an .npz or one of {', '.join(EMBEDDED)}, got {name!r}, which isn't there; "
        "check the path."
    )


def from_npz(path: Path) -> Target:
    """A target from an ``.npz`` with `images` (uint8), `labels` (integers) and, if you like, `classes` (names)."""
    try:
        with zipfile.ZipFile(path), np.load(path, allow_pickle=False) as file:
            arrays = {name: file[name] for name in ("images", "labels", "classes") if name in file}
    except (OSError, ValueError, EOFError, RuntimeError, zipfile.BadZipFile, zlib.error) as error:
        raise InputError(f"{path}: expected an .npz of arrays, got {error}; write it with numpy.savez.") from None
    if missing := {"images", "labels"} - arrays.keys():
        raise InputError(
            f"{path}: expected arrays 'images' and 'labels', got no {sorted(missing)[0]!r}; add it with numpy.savez."
        )
    return from_arrays(arrays["images"], arrays["labels"], arrays.get("classes"), name=path.stem)


def from_folder(path: Path) -> Target:
    """A target from ``path/<class>/<image>``; classes are the folders' names in order, hidden files are left out."""
    folders = sorted(entry for entry in path.iterdir() if entry.is_dir() and not entry.name.startswith("."))
    files = [
        (label, file)
        for label, folder in enumerate(folders)
        for file in sorted(folder.rglob("*"))
        if file.suffix.lower() in IMAGE_SUFFIXES and file.is_file() and not _is_hidden(file.relative_to(folder))
    ]
    if not files:
        raise InputError(
            f"{path}: expected images at <class>/<image>{'|'.join(IMAGE_SUFFIXES)}, got none; "
            "make one folder a class and put its images there."
        )
    here = Path.cwd()  # a worker of a sweep, to which the target is sent, may run elsewhere
    return Target(
        name=path.resolve().name,
        labels=np.array([label for label, _ in files], np.int32),
        classes=tuple(folder.name for folder in folders),
        fingerprint=_folder_digest(path, folders, [file for _, file in files]),
        read=lambda i: _open(files[i][1], here),
    )


def _is_hidden(path: Path) -> bool:
    return any(part.startswith(".") for part in path.parts)


def _folder_digest(root: Path, folders: list[Path], files: list[Path]) -> str:
    # The folders too: one without images has a class, and so a label, all the same.
    names = "\0".join(folder.name for folder in folders).encode()
    contents = (
        part for file in files for part in (file.relative_to(root).as_posix().encode(), b"\0", file.read_bytes())
    )
    return digest(names, b"\0\0", *contents)


def _open(path: Path, folder: Path) -> Image.Image:
    try:
        with Image.open(folder / path) as image:
            if image.mode.startswith("I;16"):  # converting clips 16 bits at 255 instead of scaling them
                return Image.fromarray((np.asarray(image) >> 8).astype(np.uint8)).convert("RGB")
            image = ImageOps.exif_transpose(image)  # photographs lie on their side until this is done
            # A palette's transparency is dropped like any other, by way of RGBA.
            return (image.convert("RGBA") if "transparency" in image.info else image).convert("RGB")
    except (OSError, SyntaxError, ValueError) as error:
        raise InputError(f"{path}: expected an image, got {error}; replace or remove the file.") from None


def digits() -> Target:
    """The 1,797 handwritten digits (8 × 8, 10 classes) that scikit-learn carries: real data without a download."""
    from sklearn.datasets import load_digits  # here, because `import leepjax` doesn't load scikit-learn

    pixels, labels = load_digits(return_X_y=True)
    images = np.rint(np.asarray(pixels).reshape(-1, 8, 8) * (255 / 16)).astype(np.uint8)
    return from_arrays(images, np.asarray(labels), name="digits")


EMBEDDED = {"digits": digits}
