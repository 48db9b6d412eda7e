"""Open targets by name or path. Folders, ``.npz`` files and the embedded digits are read here."""

import glob
import importlib.util
import json
import re
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
from PIL import Image

from leepjax.data.encoded import decode, digest_contents
from leepjax.data.folder import Part, read_parts
from leepjax.data.folder_tree import is_hidden
from leepjax.data.groups import FOLDER, folder_groups, group_numbers
from leepjax.data.held_out import with_test
from leepjax.data.hugging_face import from_hugging_face
from leepjax.data.image_formats import is_image
from leepjax.data.image_paths import holds_paths, images_at
from leepjax.data.parquet import from_parquet
from leepjax.data.parquet_files import parquet_files
from leepjax.data.target import Target, from_arrays, recast
from leepjax.data.text.columns import Asked
from leepjax.data.text.files import from_text_files, holds_texts, is_text_file, table_folders, text_files
from leepjax.data.text.folders import from_part
from leepjax.data.tfds import from_tfds
from leepjax.printable import printable, valid_unicode
from leepjax.storage.files import digest
from leepjax.storage.npy import read_npz
from leepjax.types import InputError, SplitChoice, Task, check_no_url

_HUBS = ("tfds", "hf")

_COLON = re.compile(r":(?![^\[]*\]|\d+\.\d+\.\d+(?::|$))")
"""The colon between the parts of a hub name, but not the one in ``train[:10%]`` or before a version."""


def read_target(
    name: str,
    split: SplitChoice | None = None,
    *,
    strict: bool = False,
    image_column: str | None = None,
    label_column: str | None = None,
    text_column: str | None = None,
    text_pair_column: str | None = None,
    task: Task | None = None,
) -> Target:
    """Open a target by name or path.

    Its fingerprint covers the examples' content, so all encoded images are read once.

    Args:
        name: ``digits``; a folder ``class/image.png`` or ``class/text.txt``; an ``.npz``; a ``.parquet`` of images or
            texts, a ``.csv``, ``.tsv``, ``.jsonl`` or ``.json`` of texts or of paths of images, a folder or a glob of
            such files; ``tfds:NAME[:SPLIT[:LABEL]]``, a set of TensorFlow Datasets; or ``hf:NAME[:SPLIT[:LABEL]]``,
            one of Hugging Face, where the name may be a path.
        split: the split to read of a set that comes in splits, or ``all`` as one set; by default the training part,
            and (for folders and files) the part to verify on is the target's `test`.
        strict: whether files of a folder that aren't used are an error; otherwise a warning counts them.
        image_column: the image column of a ``.parquet`` or a hub's set, or the column of paths of images.
        label_column: the label column of a ``.parquet``, a file of texts or a hub's set; or several, joined by commas.
        text_column: the column of texts, or of lists of words, each with a label.
        text_pair_column: the column of second texts, where the labels are of pairs.
        task: what the labels are, ``classes``, ``regression`` or ``multilabel``; by default guessed.

    Raises:
        InputError: when the target doesn't exist, or can't be read as labelled images or texts.
    """
    columns = {"text_column": text_column, "text_pair_column": text_pair_column}
    return list_target(name, split, strict, image_column, label_column, **columns, task=task).with_contents()


def list_target(
    name: str,
    split: SplitChoice | None,
    strict: bool,
    image_column: str | None,
    label_column: str | None,
    groups: str | None = None,
    *,
    text_column: str | None = None,
    text_pair_column: str | None = None,
    task: Task | None = "classes",
) -> Target:
    """Open a target as `read_target` does, but without reading the images of a folder for the fingerprint.

    `Target.with_contents` completes the fingerprint when it is known which images are used.
    """
    check_no_url("target", name)
    path = Path(name)
    kind, _, rest = name.partition(":")
    asked = Asked(text_column, text_pair_column, label_column, groups)
    if image_column and asked.is_text:
        raise InputError(
            f"target: expected a column of images or of texts, got {image_column!r} and {text_column!r}; name one."
        )
    if (path.suffix.lower() == ".parquet" and (path.is_file() or any(glob.iglob(name)))) or _has_parquet(path):
        if asked.is_text or holds_texts(name):
            return _of_rows(name, image_column, asked, split, strict, task)
        return from_parquet(name, split=split, image=image_column, label=label_column, groups=groups, task=task)
    if kind in _HUBS and not path.exists():
        return _from_hub(kind, rest, split, image_column, asked, strict, task)
    if is_text_file(name) or _has_text_files(path):
        return _of_rows(name, image_column, asked, split, strict, task)
    if column := image_column or label_column or text_column or text_pair_column:
        raise InputError(
            f"target: expected a .parquet, hf: or tfds: set, or a file of texts, for the column {column!r}, got "
            f"{name!r}; leave it out."
        )
    if _is_image_folder(path):
        if groups not in (None, FOLDER):
            raise InputError(f"target: expected groups {FOLDER!r} of a folder, got {groups!r}; pass that.")
        return recast(_listed(path, split, strict=strict, groups=groups), task)
    if path.is_file() and path.suffix.lower() == ".npz" and split is None:
        return from_npz(path, groups, task)
    if groups is not None:
        raise InputError(f"target: expected a set with groups for {groups!r}, got {name!r}; leave the groups out.")
    if split is not None:
        raise InputError(f"target: expected a set with splits for the split {split!r}, got {name!r}; leave it out.")
    if name in EMBEDDED:
        return recast(EMBEDDED[name](), task)
    if path.is_file():
        raise InputError(
            f"target: expected a folder or an .npz, got the file {name}; put images into class folders or a .parquet, "
            "and texts into a .csv, .tsv or .jsonl."
        )
    raise InputError(
        f"target: expected a folder, an .npz or one of {', '.join(EMBEDDED)}, got {name!r}, which isn't there; "
        "correct the path, or name a .parquet, .csv, .jsonl, tfds:NAME[:SPLIT] or hf:NAME[:SPLIT]."
    )


def _of_rows(
    name: str, image: str | None, asked: Asked, split: SplitChoice | None, strict: bool, task: Task | None
) -> Target:
    """The target of files of texts, or of images at the paths that such files hold."""
    columns = asked if image is None else replace(asked, text=image)
    target = from_text_files(name, columns, split=split, strict=strict, task=task)
    if asked.is_text or not (image or holds_paths(target)):
        return target
    return images_at(printable(name), target, image, table_folders(name))


def _from_hub(
    kind: str, rest: str, split: str | None, image: str | None, asked: Asked, strict: bool, task: Task | None
) -> Target:
    name, *more = _parts(rest)
    if not name or len(more) > 2:
        raise InputError(
            f"{kind}:{rest}: expected {kind}:NAME[:SPLIT[:LABEL]], got {rest!r}; write, say, {kind}:mnist:train."
        )
    own_split, own_label, *_ = (*more, "", "")
    for what, own, other in (("split", own_split, split), ("label column", own_label, asked.label)):
        if own and other:
            raise InputError(f"{kind}:{rest}: expected one {what}, got {own!r} and {other!r}; pass only one of them.")
    asked = replace(asked, label=own_label or asked.label)
    if kind == "tfds":
        if asked.is_text:
            raise InputError(f"tfds:{rest}: expected images, got a column of texts, {asked.text!r}; leave it out.")
        return from_tfds(name, own_split or split, image=image, label=asked.label, groups=asked.groups, task=task)
    return from_hugging_face(name, own_split or split, image=image, asked=asked, strict=strict, task=task)


def _parts(rest: str) -> list[str]:
    """Split a hub name into name, split and label; the longest existing path is the name, even with colons."""
    parts = _COLON.split(rest)
    for length in range(len(parts), 1, -1):
        if Path(name := ":".join(parts[:length])).exists():
            return [name, *parts[length:]]
    return parts


def _is_image_folder(path: Path) -> bool:
    return path.is_dir() and not _has_parquet(path) and str(path) not in EMBEDDED


def _has_parquet(path: Path) -> bool:
    """Whether a folder, or its ``data/``, holds Parquet files rather than class folders."""
    return (
        path.is_dir()
        and bool(parquet_files(path))
        and all(folder.name == "data" and parquet_files(folder) for folder in _class_folders(path))
    )


def _has_text_files(path: Path) -> bool:
    """Whether a folder, or its ``data/``, holds files of texts rather than class folders or images."""
    return (
        path.is_dir()
        and bool(text_files(path))
        and all(folder.name == "data" for folder in _class_folders(path))
        and not any(is_image(file) for file in path.iterdir() if file.suffix)
    )


def _class_folders(path: Path) -> list[Path]:
    return sorted(entry for entry in path.iterdir() if entry.is_dir() and not is_hidden(entry.name))


def from_npz(path: Path, groups: str | None = None, task: Task | None = "classes") -> Target:
    """Open an ``.npz`` with the arrays `images` and `labels` and, optionally, `classes` (names) and `groups` (a key).

    Raises:
        InputError: when the file isn't an ``.npz``, lacks `images` or `labels`, or they don't fit (see `from_arrays`).
    """
    of_groups = () if groups is None else (groups,)
    arrays = read_npz("target", path, ("images", "labels", "classes", *of_groups))
    if missing := {"images", "labels", *of_groups} - arrays.keys():
        expected = " and ".join(map(repr, ("images", "labels", *of_groups)))
        raise InputError(f"{path}: expected arrays {expected}, got no {sorted(missing)[0]!r}; add it with numpy.savez.")
    target = from_arrays(arrays["images"], arrays["labels"], arrays.get("classes"), name=path.stem, task=task)
    if groups is None:
        return target
    if arrays[groups].shape != target.labels.shape[:1]:
        raise InputError(
            f"{path}: expected {len(target)} groups in {groups!r}, one per image, got shape {arrays[groups].shape}; "
            "save one for each image."
        )
    return replace(target, groups=group_numbers(str(path), arrays[groups].tolist()))


def from_folder(path: Path, split: SplitChoice | None = None, *, strict: bool = False) -> Target:
    """Open a folder ``path/<class>/<image>`` or ``path/<split>/<class>/<image>``.

    The classes are the sorted folder names. For a folder that comes in splits, the target is the training part, and
    its `test` the part to verify on. `leepjax.data.folder_layout` has the rules; hidden files and files created by
    operating systems are ignored.

    Args:
        path: the folder.
        split: read this split instead, or ``all`` as one set.
        strict: whether files that aren't used are an error; otherwise a warning counts them.

    Raises:
        InputError: when there are no images, the split is missing, the splits have different classes, or, if `strict`,
            a file isn't used.
    """
    return _listed(path, split, strict=strict).with_contents()


def _listed(path: Path, split: SplitChoice | None, *, strict: bool, groups: str | None = None) -> Target:
    train, test = read_parts(path, split, strict=strict)
    target = _of_part(path, train, groups, strict)
    if test is None:
        return target
    return with_test(valid_unicode(str(path)), target, _of_part(path, test, groups, strict))


def _of_part(root: Path, part: Part, groups: str | None, strict: bool) -> Target:
    if part.kind == "text":
        return from_part(root, part, groups=groups is not None, strict=strict)
    files, labels, ids = Files(part.paths, Path.cwd()), np.array(part.labels, np.int32), part.ids(root)
    return Target(
        name=valid_unicode(root.resolve().name),
        labels=labels,
        classes=part.classes,
        fingerprint=digest(json.dumps([part.classes, ids]).encode(), labels.tobytes()),
        read=files,
        id=ids.__getitem__,
        contents=files.digest,
        groups=None if groups is None else folder_groups(valid_unicode(str(root)), ids, part.classes),
    )


@dataclass(frozen=True)
class Files:
    """Index → RGB image of a file; paths are relative to `here`: a worker may have another working directory."""

    paths: Sequence[Path]
    here: Path

    def __call__(self, i: int, key: int | None = None) -> Image.Image:
        return decode(self.here / self.paths[i], valid_unicode(str(self.paths[i])), key)

    def digest(self, i: int) -> str:
        return digest_contents([self.here / self.paths[i]])


def digits() -> Target:
    """Open scikit-learn's 1,797 handwritten digits (8 × 8, 10 classes): real data without a download."""
    rows = np.loadtxt(_digits_file(), delimiter=",")
    images = np.rint(rows[:, :-1].reshape(-1, 8, 8) * (255 / 16)).astype(np.uint8)
    return from_arrays(images, rows[:, -1].astype(np.int64), name="digits")


def _digits_file() -> Path:
    """The file of scikit-learn's digits, found without importing scikit-learn: the import takes longer than a pass."""
    spec = importlib.util.find_spec("sklearn")
    (folder,) = spec.submodule_search_locations if spec and spec.submodule_search_locations else ("",)
    return Path(folder, "datasets", "data", "digits.csv.gz")


EMBEDDED = {"digits": digits}
