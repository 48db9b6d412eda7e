"""Targets from Hugging Face `datasets`: from the hub, saved to disk, or a folder that ``load_dataset`` reads."""

from collections.abc import Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

from leepjax.data.columns import IMAGES, choose, choose_labels, labels_in, one_line
from leepjax.data.encoded import Content, from_rows
from leepjax.data.folder_tree import is_saved_to_disk
from leepjax.data.path_column import within
from leepjax.data.split import SPLITS, own_name
from leepjax.data.target import Target
from leepjax.data.text.columns import Asked
from leepjax.data.text.hugging_face_rows import from_table, shown_type
from leepjax.storage.files import in_cache_or_temporary
from leepjax.types import InputError, Task


def from_hugging_face(
    name: str,
    split: str | None = None,
    *,
    image: str | None = None,
    label: str | None = None,
    groups: str | None = None,
    asked: Asked | None = None,
    strict: bool = False,
    task: Task | None = "classes",
) -> Target:
    """Open a set of images or texts: of the hub, written by ``save_to_disk``, or a folder that ``load_dataset`` reads.

    Opening reads the encoded images once, for the fingerprint; they are decoded when they are used.

    Args:
        name: a name on the hub, or a path.
        split: a split in the syntax of `datasets`, ``all``, or ``val``, which also stands for validation;
            by default ``train``, or the only split.
        image: the image column; by default the only one.
        label: the label column; by default the only ClassLabel, or else one with the name of a label column.
        groups: the column of groups; by default there are none.
        asked: all columns that the caller names, of images or of texts; it replaces `label` and `groups`.
        strict: whether a row without a text is an error.
        task: what the labels are; None guesses it.

    Raises:
        InputError: when `datasets` isn't installed, or the data set doesn't exist or has no labelled images.
    """
    where = f"hf:{name}"
    try:
        import datasets
    except ImportError:
        raise InputError(f"{where}: expected Hugging Face datasets, got none; pip install 'leepjax[hf]'.") from None

    table = _load(where, datasets, name, split)
    asked = asked or Asked(label=label, groups=groups)
    label, groups = asked.label, asked.groups
    own = ":".join(part for part in (Path(name).absolute().name, split) if part)
    images = [key for key, feature in table.features.items() if isinstance(feature, datasets.Image)]
    if asked.is_text or (image is None and not images):
        return from_table(where, own, table, asked, task=task, strict=strict)
    declared = [key for key, feature in table.features.items() if isinstance(feature, datasets.ClassLabel)]
    possible = [key for key, feature in table.features.items() if key in declared or _may_be_label(feature)]
    image_column = choose(where, "image column", images, image, IMAGES, "take a set of images")
    others = {key: shown_type(each) for key, each in table.features.items() if key not in (*images, *possible)}
    label_columns = choose_labels(
        where, list(table.features), declared=declared, possible=possible, asked=label, others=others
    )
    if groups is not None and groups not in table.features:
        raise InputError(
            f"{where}: expected groups in the column {groups!r}, got {', '.join(table.features)}; name one."
        )
    columns = table.select_columns([image_column, *label_columns])
    encoded = columns.cast_column(image_column, datasets.Image(decode=False))
    rows = _Rows(encoded, image_column, _folders(datasets, name))
    return from_rows(
        name=own,
        rows=((rows.content(row[image_column]), labels_in(row, label_columns)) for row in encoded),
        content=rows,
        classes=_class_names(table.features[label_columns[0]]) if len(label_columns) == 1 else None,
        where=where,
        guessed=None if label or label_columns[0] in declared else label_columns[0],
        groups=None if groups is None else table[groups],
        task=task,
        columns=label_columns,
    )


@dataclass(frozen=True)
class _Rows:
    table: Any
    image: str
    folders: Sequence[Path]
    """Folders in which the data set's files may be."""

    def __call__(self, i: int) -> Content:
        return self.content(self.table[i][self.image])

    def content(self, value: Any) -> Content:
        if value is None or value["bytes"] is not None:
            return value and value["bytes"]
        return within(self.folders, value["path"]) if value["path"] else None


def _folders(datasets: Any, name: str) -> list[Path]:
    """The data set's own folder, and the folders to which `datasets` downloads and unpacks files."""
    config = datasets.config
    kept = [config.HF_DATASETS_CACHE, config.DOWNLOADED_DATASETS_PATH, config.EXTRACTED_DATASETS_PATH]
    own = [Path(name).absolute()] if Path(name).exists() else []
    return own + [Path(each) for each in kept]


def _load(where: str, datasets: Any, name: str, split: str | None) -> Any:
    """Load the rows of a split."""
    path = Path(name).absolute()  # absolute, because a worker process may have another working directory
    cache = str(datasets.config.HF_DATASETS_CACHE), "HF_HOME"
    saved = is_saved_to_disk(path)
    name = str(path) if path.exists() else name
    try:
        if split in SPLITS and not saved:
            names = in_cache_or_temporary(partial(datasets.get_dataset_split_names, name), *cache)
            split = own_name(split, names)
        load = partial(datasets.load_dataset, name, split=split)
        loaded = datasets.load_from_disk(name) if saved else in_cache_or_temporary(load, *cache)
    except (OSError, ValueError, RuntimeError, datasets.exceptions.DatasetsError) as error:
        raise InputError(f"{where}: expected a data set, got {one_line(error)}; correct its name or split.") from None
    if isinstance(loaded, datasets.DatasetDict):
        if split == "all" and split not in loaded:
            return datasets.concatenate_datasets(list(loaded.values()))
        split = None if split is None else own_name(split, list(loaded))
        return loaded[choose(where, "split", list(loaded), split, ("train",), "name it: hf:NAME:SPLIT")]
    if saved and split is not None and own_name(split, [str(loaded.split)]) not in ("all", str(loaded.split)):
        raise InputError(f"{where}: expected the split {split!r}, got {loaded.split}; leave the split out.")
    return loaded


def _may_be_label(feature: Any) -> bool:
    feature = _inner(feature)
    kind = getattr(feature, "dtype", "")
    return kind in ("string", "large_string", "bool", "binary") or kind.startswith(("int", "uint", "float"))


def _inner(feature: Any) -> Any:
    """For a feature of lists, the feature of their elements; otherwise the feature itself."""
    return getattr(feature, "feature", None) or (feature[0] if isinstance(feature, list) and feature else feature)


def _class_names(feature: Any) -> Sequence[str] | None:
    return getattr(_inner(feature), "names", None)
