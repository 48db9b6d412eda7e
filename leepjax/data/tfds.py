"""Targets from TensorFlow Datasets. A prepared set is read without TensorFlow, which only preparing one needs."""

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
from leepjax.types import InputError

_AT_A_TIME = 256
"""Records that are in memory together while labels are read."""


def from_tfds(name: str, split: str | None = None, *, image: str | None = None, label: str | None = None) -> Target:
    """A target from a set of TensorFlow Datasets, prepared as array_record in ``$TFDS_DATA_DIR``.

    One that isn't prepared is prepared there if TensorFlow is installed. Opening goes through the records once, for
    their labels and the fingerprint, which is a digest of all of them; images are decoded when they are asked for.

    Args:
        name: as ``tfds.builder`` takes it: ``fashion_mnist``, ``name/config:1.0.0``.
        split: as TFDS takes it, ``train[:10%]`` included, or ``val`` for what the set calls
            validation; left out, ``train`` or the only split there is.
        image: the image feature; left out, the supervised or the only one.
        label: the class label feature; left out, the supervised or the only one.

    Raises:
        InputError: when it isn't there, can't be prepared or has no labelled images.
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
    records = _Records(
        source=_source(where, tfds, builder, split),
        features=tfds.features.FeaturesDict({image: features[image], label: features[label]}),
        decoders={image: tfds.decode.SkipDecoding()},
        image=image,
    )
    return from_rows(
        name=":".join(part for part in (name, split) if part),
        rows=((record[image], record[label]) for record in records),
        content=records,
        classes=_names(features[label]),
        where=where,
    )


def _check_dtype(where: str, dtype: Any) -> None:
    """Raise InputError for images of floats, which TensorFlow Datasets writes as PNGs of their bits."""
    if dtype not in (np.uint8, np.uint16):
        raise InputError(
            f"{where}: expected images of uint8 or uint16, got {np.dtype(dtype).name}; prepare the set as one of these."
        )


@dataclass(frozen=True)
class _Records:
    """The records of a split, by index or one after the other, with the image still encoded."""

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
    """The builder of a set that is prepared, or is now."""
    folder = os.environ.get("TFDS_DATA_DIR")  # TFDS itself reads it once, when it is imported
    try:
        builder = tfds.builder(name, data_dir=folder)
    except tfds.core.DatasetNotFoundError:
        raise InputError(
            f"{where}: expected a set of TensorFlow Datasets, or one prepared in "
            f"{folder or tfds.core.constants.DATA_DIR}, got neither; check the name and $TFDS_DATA_DIR."
        ) from None
    except (ValueError, AssertionError, ImportError) as error:
        raise InputError(f"{where}: expected a set to open, got {one_line(error)}; check the name.") from None
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
        tf.config.set_visible_devices([], "GPU")  # TensorFlow would take all of its memory from JAX
        builder.download_and_prepare(file_format="array_record")
    except (OSError, ValueError, AssertionError, RuntimeError) as error:
        raise InputError(
            f"{where}: expected to prepare it in {builder.data_dir}, got {one_line(error)}; check the network, "
            "or what TensorFlow Datasets says of files to fetch by hand."
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
        if "0 length" in str(error):  # no file has a record of it
            return ()
        listed = ", ".join(splits)
        raise InputError(f"{where}: expected a split of {listed}, got {split!r}; choose one of them.") from None


def _names(feature: Any) -> Sequence[str] | None:
    count = feature.num_classes
    return None if count is None else [feature.int2str(number) for number in range(count)]
