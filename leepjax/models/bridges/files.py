"""Read the JSON file beside another library's model; it states what the model's file lacks, such as preprocessing."""

import logging
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Annotated, Any

import msgspec

from leepjax.data.preprocessing import Preprocessing
from leepjax.models.bridges.bridged import Bridged, source_of
from leepjax.models.files.json_files import JsonError, convert, read_json
from leepjax.models.source import Source
from leepjax.storage.files import user_path
from leepjax.types import InputError, unknown_name

MEAN, STD = (0.485, 0.456, 0.406), (0.229, 0.224, 0.225)
"""ImageNet's preprocessing, with which most networks are trained."""
PIXELS = (1 / 255,) * 3
"""The `std` of a network that takes pixels in 0..255."""


class Stated(msgspec.Struct, frozen=True):
    """The content of ``model.json`` beside ``model.onnx`` or ``model.keras``; every field may be left out."""

    preprocessing: Preprocessing | None = None
    classes: tuple[str, ...] = ()
    data: str = ""
    licence: str = ""
    accuracy: Annotated[float, msgspec.Meta(ge=0, le=1)] | None = None


def file_of(name: str, prefix: str) -> Path:
    """The path in a name such as ``onnx:model.onnx``.

    Raises:
        InputError: when there is no such file.
    """
    path = user_path(name.removeprefix(prefix))
    if not path.is_file():
        raise InputError(f"{name}: expected a file at {path}, got none; check the path.")
    return path


def read_stated(path: Path) -> Stated:
    """What the JSON file beside a model states.

    Raises:
        InputError: when it isn't such a file, has other fields, or its preprocessing lacks mean or std of three
            channels.
    """
    beside = path.with_suffix(".json")
    if not beside.is_file():
        return Stated()
    try:
        fields = read_json(beside.read_bytes(), dict[str, Any])
        _check_fields(beside, fields)
        stated = convert(fields, Stated)
    except JsonError as error:
        raise InputError(
            f"{beside}: expected preprocessing, classes, data, licence and accuracy of {path.name}, got {error}; "
            f"correct or remove {beside.name}."
        ) from None
    if stated.preprocessing and len(stated.preprocessing.mean) != 3:
        raise InputError(
            f"{beside}: expected mean and std of red, green and blue, got {len(stated.preprocessing.mean)}; repeat one "
            "that is the same for all three."
        )
    return stated


def _check_fields(beside: Path, fields: Mapping[str, Any]) -> None:
    """Refuse fields that nothing would read, and a mean or std that would silently be 0 or 1."""
    _check_names(beside, "field", fields, Stated.__struct_fields__)
    if not isinstance(preprocessing := fields.get("preprocessing"), dict):
        return
    _check_names(beside, "field of preprocessing", preprocessing, Preprocessing.__struct_fields__)
    for name, common in (("mean", MEAN), ("std", STD)):
        if name not in preprocessing:
            raise InputError(
                f"{beside}: expected {name} in its preprocessing, got none; add it: ImageNet's is {list(common)}."
            )


def _check_names(beside: Path, kind: str, fields: Iterable[str], known: tuple[str, ...]) -> None:
    for name in fields:
        if name not in known:
            raise unknown_name(f"{beside}: {kind}", name, known)


def assumed(path: Path, preprocessing: Preprocessing, whose: str) -> Preprocessing:
    """Return the preprocessing that is assumed if none is stated, and say in a warning where it comes from."""
    beside = path.with_suffix(".json")
    mean, std = preprocessing.mean, preprocessing.std
    logging.getLogger("leepjax").warning(
        "%s: %s its preprocessing; %s is assumed: %s pixels, crop %s, mode %s, mean %s, std %s; the network gets "
        "values from %.3g to %.3g.",
        path,
        f"{beside.name} doesn't state" if beside.is_file() else f"no {beside.name} beside it states",
        whose,
        " × ".join(str(side) for side in dict.fromkeys(preprocessing.size)),
        preprocessing.crop,
        preprocessing.mode,
        mean,
        std,
        min((0 - m) / s for m, s in zip(mean, std, strict=True)),
        max((1 - m) / s for m, s in zip(mean, std, strict=True)),
    )
    return preprocessing


def source_of_file(name: str, bridged: Bridged, stated: Stated) -> Source:
    """The source of a model in a file.

    Raises:
        InputError: when the classes aren't those of its logits.
    """
    if len(stated.classes) not in (0, bridged.num_classes):
        raise InputError(
            f"{name}: expected a name for each of its {bridged.num_classes} classes, got {len(stated.classes)}; "
            "correct the JSON file beside it."
        )
    known = {"data": stated.data, "licence": stated.licence, "accuracy": stated.accuracy, "classes": stated.classes}
    return source_of(bridged, name=name, **known)
