"""Targets from TensorFlow Datasets. Only preparing a data set needs TensorFlow; reading a prepared one doesn't."""

import importlib.util
import os
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from leepjax.data.columns import IMAGES, LABELS, choose, one_line
from leepjax.data.encoded import Content, from_rows
from leepjax.data.split import own_name
from leepjax.data.target import Target
from leepjax.storage.root_logger import root_logger_kept
from leepjax.types import InputError, Task

_AT_A_TIME = 256
"""Records in memory at a time while labels are read."""


@root_logger_kept()
def from_tfds(
    name: str,
    split: str | None = None,
    *,
    image: str | None = None,
    label: str | None = None,
    groups: str | None = None,
    task: Task | None = "classes",
) -> Target:
    """Open a data set of TensorFlow Datasets, prepared as array_record in ``$TFDS_DATA_DIR``.

    A data set that isn't prepared is prepared there if TensorFlow is installed. Opening reads all records once, for
    their labels and the fingerprint, which is a digest of the records; images are decoded when they are used.

    Args:
        name: a name for ``tfds.builder``: ``fashion_mnist``, ``name/config:1.0.0``.
        split: a split in the syntax of TFDS, such as ``train[:10%]``, or ``val``, which also stands for validation;
            by default ``train``, or the only split.
        image: the image feature; by default the supervised or the only one.
        label: the class label feature; by default the supervised or the only one.
        groups: the feature of groups, a number or a text; by default there are none.
        task: what the class numbers are read as; None for classes.

    Raises:
        InputError: when the data set doesn't exist, can't be prepared or has no labelled images.
    """
    where = f"tfds:{name}"
    try:
        import tensorflow_datasets as tfds
    except ImportError as error:
        raise InputError(f"{where}: expected TensorFlow Datasets, got {error}; pip install leepjax again.") from None

    builder = _builder(where, tfds, name)
    features = builder.info.features
    supervised = [key for key in builder.info.supervised_keys or () if isinstance(key, str)]
    images, labels = (
        sorted(key for key, feature in features.items() if isinstance(feature, kind))
        for kind in (tfds.features.Image, tfds.features.ClassLabel)
    )
    image = choose(where, "image feature", images, image, (*supervised, *IMAGES), "take a set of images")
    label = choose(where, "label feature", labels, label, (*supervised, *LABELS), "name it with --label-column")
    _check_dtype(where, features[image].np_dtype)
    single = [key for key, feature in features.items() if feature.shape == ()]
    if groups is not None and groups not in single:
        raise InputError(f"{where}: expected groups in a feature of {', '.join(single)}, got {groups!r}; name one.")
    read = [image, label] if groups is None else [image, label, groups]
    records = _Records(
        source=_source(where, tfds, builder, split),
        features=tfds.features.FeaturesDict({key: features[key] for key in read}),
        decoders={image: tfds.decode.SkipDecoding()},
        image=image,
    )
    group_of_row = []

    def rows() -> Iterator[tuple[Content, Any]]:
        for record in records:
            if groups is not None:
                group_of_row.append(_text(record[groups]))
            yield record[image], record[label]

    return from_rows(
        name=":".join(part for part in (name, split) if part),
        rows=rows(),
        content=records,
        classes=_names(features[label]),
        task=task or "classes",
        columns=[label],
        where=where,
        groups=None if groups is None else group_of_row,
    )


def _text(value: Any) -> str:
    return value.decode(errors="surrogateescape") if isinstance(value, bytes) else str(value)


def _check_dtype(where: str, dtype: Any) -> None:
    """Raise InputError for images of floats, whose bits TensorFlow Datasets writes as PNG pixels."""
    if dtype not in (np.uint8, np.uint16):
        raise InputError(
            f"{where}: expected images of uint8 or uint16, got {np.dtype(dtype).name}; prepare the set as one of these."
        )


@dataclass(frozen=True)
class _Records:
    """The records of a split, by index or in sequence, with encoded images."""

    source: Any
    features: Any
    decoders: dict[str, Any]
    image: str

    def __call__(self, i: int) -> Content:
        return self._parse(self.source[i])[self.image]

    def __iter__(self) -> Iterator[dict[str, Any]]:
        for start in range(0, len(self.source), _AT_A_TIME):
            indices = range(start, min(start + _AT_A_TIME, len(self.source)))
            yield from map(self._parse, self.source.__getitems__(list(indices)))

    def _parse(self, record: bytes) -> dict[str, Any]:
        return self.features.deserialize_example_np(record, decoders=self.decoders)


def _builder(where: str, tfds: Any, name: str) -> Any:
    """The builder of a data set, prepared if necessary."""
    folder = os.environ.get("TFDS_DATA_DIR")  # TFDS reads it only when it is imported
    try:
        builder = tfds.builder(name, data_dir=folder)
    except tfds.core.DatasetNotFoundError:
        raise InputError(
            f"{where}: expected a set of TensorFlow Datasets, or one prepared in "
            f"{folder or tfds.core.constants.DATA_DIR}, got neither; correct the name or $TFDS_DATA_DIR."
        ) from None
    except (ValueError, AssertionError, ImportError) as error:
        raise InputError(f"{where}: expected a data set, got {one_line(error)}; correct the name.") from None
    if not builder.is_prepared():
        _prepare(where, builder)
    return builder


def _prepare(where: str, builder: Any) -> None:
    if importlib.util.find_spec("tensorflow") is None:
        raise InputError(
            f"{where}: expected a set prepared in {builder.data_dir}, got none; set $TFDS_DATA_DIR, "
            "or pip install 'leepjax[tfds]' to prepare it."
        )
    import tensorflow as tf  # pyright: ignore[reportMissingImports, reportMissingModuleSource]

    try:
        tf.config.set_visible_devices([], "GPU")  # TensorFlow would reserve all of the GPU's memory
        builder.download_and_prepare(file_format="array_record")
    except (OSError, ValueError, AssertionError, RuntimeError) as error:
        raise InputError(
            f"{where}: expected to prepare it in {builder.data_dir}, got {one_line(error)}; check the network "
            "connection, or the documentation of TensorFlow Datasets for files to download by hand."
        ) from None


def _source(where: str, tfds: Any, builder: Any, split: str | None) -> Any:
    splits = list(builder.info.splits)
    if split is None:
        split = choose(where, "split", splits, None, ("train",), "name it: tfds:NAME:SPLIT")
    split = own_name(split, splits)
    try:
        raw = tfds.decode.DeserializeMethod.RAW_BYTES
        return builder.as_data_source(split=split, deserialize_method=raw)
    except NotImplementedError:
        raise InputError(
            f"{where}: expected a set prepared as array_record, got one in {builder.data_dir} that is "
            f"{builder.info.file_format.value}; prepare it with file_format='array_record' in another folder."
        ) from None
    except (ValueError, AssertionError) as error:
        if "0 length" in str(error):  # the split has no records
            return ()
        listed = ", ".join(splits)
        raise InputError(f"{where}: expected a split of {listed}, got {split!r}; choose one of them.") from None


def _names(feature: Any) -> Sequence[str] | None:
    count = feature.num_classes
    return None if count is None else [feature.int2str(number) for number in range(count)]
