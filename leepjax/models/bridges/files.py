"""What a file of another library doesn't state of its model, and a JSON file beside it may."""

import logging
from pathlib import Path
from typing import Annotated

import msgspec

from leepjax.data.preprocessing import Preprocessing
from leepjax.models.bridges.bridged import Bridged, source_of
from leepjax.models.files.json_files import JsonError, read_json
from leepjax.models.source import Source
from leepjax.types import InputError

MEAN, STD = (0.485, 0.456, 0.406), (0.229, 0.224, 0.225)
"""ImageNet's, with which most networks are trained."""


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
    path = Path(name.removeprefix(prefix))
    if not path.is_file():
        raise InputError(f"{name}: expected a file at {path}, got none; check the path.")
    return path


def read_stated(path: Path) -> Stated:
    """What the JSON file beside a model states.

    Raises:
        InputError: when it isn't such a file.
    """
    beside = path.with_suffix(".json")
    if not beside.is_file():
        return Stated()
    try:
        return read_json(beside.read_bytes(), Stated)
    except JsonError as error:
        raise InputError(
            f"{beside}: expected preprocessing, classes, data, licence and accuracy of {path.name}, got {error}; "
            f"correct or remove {beside.name}."
        ) from None


def assumed(path: Path, preprocessing: Preprocessing, whose: str) -> Preprocessing:
    """Preprocessing that nothing states; a warning says whose it is."""
    logging.getLogger("leepjax").warning(
        "%s: no %s beside it states its preprocessing; %s is assumed: %d pixels, mean %s, std %s.",
        path,
        path.with_suffix(".json").name,
        whose,
        preprocessing.image_size,
        preprocessing.mean,
        preprocessing.std,
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
