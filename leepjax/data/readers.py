"""Targets from where people keep them, by name or path; folders, an ``.npz`` and the embedded digits are read here."""

import glob
import re
import zipfile
import zlib
from collections.abc import Sequence
from dataclasses import dataclass
from itertools import chain
from pathlib import Path

import numpy as np
from PIL import Image

from leepjax.data.encoded import decode, digest_stream
from leepjax.data.hugging_face import from_hugging_face
from leepjax.data.parquet import from_parquet
from leepjax.data.target import Target, from_arrays
from leepjax.data.tfds import from_tfds
from leepjax.types import InputError

_HUBS = {"tfds": from_tfds, "hf": from_hugging_face}

_COLON = re.compile(r":(?![^\[]*\]|\d+\.\d+\.\d+(?::|$))")
"""Between the parts of a hub's name: neither that in ``train[:10%]`` nor that before a version."""

IMAGE_SUFFIXES = (".png", ".jpg", ".jpeg", ".webp")


def read_target(name: str) -> Target:
    """Open a target by name or path.

    Args:
        name: ``digits``; a folder ``class/image.png``; an ``.npz``; a ``.parquet``, a folder or a glob of them;
            ``tfds:NAME[:SPLIT[:LABEL]]``, a set of TensorFlow Datasets; or ``hf:NAME[:SPLIT[:LABEL]]``, one of
            Hugging Face, where the name may be a path.

    Raises:
        InputError: when it isn't there, or can't be read as labelled images.
    """
    if name in EMBEDDED:
        return EMBEDDED[name]()
    kind, _, rest = name.partition(":")
    if kind in _HUBS:
        return _from_hub(kind, rest)
    path = Path(name)
    if (path.suffix == ".parquet" and (path.is_file() or any(glob.iglob(name)))) or _has_parquet(path):
        return from_parquet(name)
    if path.is_dir():
        return from_folder(path)
    if path.is_file() and path.suffix == ".npz":
        return from_npz(path)
    if path.is_file():
        raise InputError(
            f"target: expected a folder or an .npz, got the file {name}; put images into class folders or a .parquet."
        )
    raise InputError(
        f"target: expected a folder, an .npz or one of {', '.join(EMBEDDED)}, got {name!r}, which isn't there; "
        "check the path, or name a .parquet, tfds:NAME[:SPLIT] or hf:NAME[:SPLIT]."
    )


def _from_hub(kind: str, rest: str) -> Target:
    name, *more = _COLON.split(rest)
    if not name or len(more) > 2:
        raise InputError(f"{kind}:{rest}: expected {kind}:NAME[:SPLIT[:LABEL]], got another form; write it so.")
    split, label, *_ = (*more, "", "")
    return _HUBS[kind](name, split or None, label=label or None)


def _has_parquet(path: Path) -> bool:
    """Whether a folder holds Parquet files rather than class folders."""
    return path.is_dir() and any(path.glob("*.parquet")) and not any(_class_folders(path))


def _class_folders(path: Path) -> list[Path]:
    return sorted(entry for entry in path.iterdir() if entry.is_dir() and not entry.name.startswith("."))


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
    folders = _class_folders(path)
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
    paths = [file for _, file in files]
    ids = [file.relative_to(path).as_posix() for file in paths]
    return Target(
        name=path.resolve().name,
        labels=np.array([label for label, _ in files], np.int32),
        classes=tuple(folder.name for folder in folders),
        fingerprint=_folder_digest(folders, paths, ids),
        read=_Files(paths, Path.cwd()),
        id=ids.__getitem__,
    )


@dataclass(frozen=True)
class _Files:
    """Index → RGB image, of files; `here` because a worker to which the target is sent may run elsewhere."""

    paths: Sequence[Path]
    here: Path

    def __call__(self, i: int) -> Image.Image:
        return decode(self.here / self.paths[i], str(self.paths[i]))


def _is_hidden(path: Path) -> bool:
    return any(part.startswith(".") for part in path.parts)


def _folder_digest(folders: Sequence[Path], files: Sequence[Path], ids: Sequence[str]) -> str:
    # The folders too: one without images has a class, and so a label, all the same.
    names = "\0".join(folder.name for folder in folders).encode()
    contents = (part for id, file in zip(ids, files, strict=True) for part in (id.encode(), b"\0", file.read_bytes()))
    return digest_stream(chain((names, b"\0\0"), contents))


def digits() -> Target:
    """The 1,797 handwritten digits (8 × 8, 10 classes) that scikit-learn carries: real data without a download."""
    from sklearn.datasets import load_digits  # here, because `import leepjax` doesn't load scikit-learn

    pixels, labels = load_digits(return_X_y=True)
    images = np.rint(np.asarray(pixels).reshape(-1, 8, 8) * (255 / 16)).astype(np.uint8)
    return from_arrays(images, np.asarray(labels), name="digits")


EMBEDDED = {"digits": digits}
