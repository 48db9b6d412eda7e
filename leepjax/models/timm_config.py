"""Read timm's ``config.json``: the architecture of a checkpoint, and its preprocessing."""

import logging
from collections.abc import Mapping
from typing import Annotated, Any

import msgspec

from leepjax.data.preprocessing import Preprocessing
from leepjax.models.architectures import ARCHITECTURES
from leepjax.models.card import MOST_CLASSES
from leepjax.models.files.json_files import JsonError, convert, read_json
from leepjax.models.model_args import apply_model_args, check_no_layers
from leepjax.types import InputError, unknown_name

_Count = Annotated[int, msgspec.Meta(ge=0, le=MOST_CLASSES)]
_LabelNames = tuple[str, ...] | dict[str, str] | None


class TimmConfig(msgspec.Struct, frozen=True):
    """The part of timm's configuration that leepjax uses."""

    model: str
    """A name in the table of architectures."""
    num_classes: int
    preprocessing: Preprocessing
    licence: str
    origin: str
    classes: tuple[str, ...]
    accuracy: float | None
    num_features: int | None


class _Pretrained(msgspec.Struct, frozen=True):
    """timm's ``PretrainedCfg`` with its defaults; ``null`` also means the default."""

    input_size: tuple[int, int, int] | None = None
    num_classes: _Count | None = None
    crop_pct: float | None = None
    crop_mode: str | None = None
    interpolation: str | None = None
    mean: tuple[float, ...] | None = None
    std: tuple[float, ...] | None = None
    license: str | None = None
    origin_url: str | None = None
    label_names: _LabelNames = None
    labels: _LabelNames = None
    """The name of ``label_names`` before 2023."""
    label_offset: int | None = None


class _File(msgspec.Struct, frozen=True):
    architecture: str
    pretrained_cfg: _Pretrained
    num_classes: _Count | None = None
    num_features: int | None = None
    global_pool: str | None = None
    model_args: dict[str, Any] | None = None
    label_names: _LabelNames = None
    accuracy: Annotated[float, msgspec.Meta(ge=0, le=1)] | None = None
    """Not written by timm; an optional addition by the author of a folder."""


def read_config(content: bytes, origin: str) -> TimmConfig:
    """Read a ``config.json``; missing fields have timm's defaults: 3 × 224 × 224 pixels, bicubic, 1000 classes.

    Args:
        content: content of the file. Before 2023 the fields of ``pretrained_cfg`` were beside the architecture.
        origin: name of the source in messages.

    Raises:
        InputError: when the content isn't a configuration, or its architecture, model_args or preprocessing aren't
            supported by leepjax.
    """
    try:
        file = _file(content)
    except JsonError as error:
        raise InputError(f"{origin}: expected timm's config.json, got {error}; download or save it again.") from None
    if file.architecture not in ARCHITECTURES:
        raise unknown_name(f"{origin}: architecture", file.architecture, ARCHITECTURES)
    pretrained = file.pretrained_cfg
    num_classes = _num_classes(file)
    if pretrained.label_offset:
        raise InputError(
            f"{origin}: expected a classifier without a background class, got label_offset {pretrained.label_offset}; "
            "save the network again with the num_classes of its head."
        )
    preprocessing = _preprocessing(pretrained, origin)
    check_no_layers(file.architecture, file.model_args or {}, origin)
    return TimmConfig(
        apply_model_args(
            file.architecture,
            file.model_args or {},
            num_classes,
            file.global_pool or None,
            origin,
            preprocessing.image_size,
            preprocessing.shape[-1],
        ),
        num_classes,
        preprocessing,
        licence=pretrained.license or "",
        origin=pretrained.origin_url or "",
        classes=_classes(file.label_names or pretrained.label_names or pretrained.labels, num_classes, origin),
        accuracy=file.accuracy,
        num_features=file.num_features,
    )


def preprocessing_of(fields: Mapping[str, Any], origin: str) -> Preprocessing:
    """The preprocessing in a ``pretrained_cfg``.

    Raises:
        InputError: for a field of the wrong type, or preprocessing that leepjax doesn't have.
    """
    known = {name: fields[name] for name in _Pretrained.__struct_fields__ if name in fields}
    try:
        return _preprocessing(convert(known, _Pretrained), origin)
    except JsonError as error:
        raise InputError(f"{origin}: expected timm's pretrained_cfg, got {error}; pass preprocessing.") from None


def _file(content: bytes) -> _File:
    fields = read_json(content, dict[str, Any])
    if "pretrained_cfg" not in fields:
        fields["pretrained_cfg"] = dict(fields)
    file = convert(fields, _File)
    # timm's names of weights have a tag after the architecture, such as resnet18.a1_in1k.
    return msgspec.structs.replace(file, architecture=file.architecture.partition(".")[0])


def _num_classes(file: _File) -> int:
    """The outputs of the head, 0 for a network that was saved without one, such as a self-supervised one."""
    stated = file.num_classes if file.num_classes is not None else file.pretrained_cfg.num_classes
    return 1000 if stated is None else stated


def _preprocessing(pretrained: _Pretrained, origin: str) -> Preprocessing:
    channels, height, width = pretrained.input_size or (3, 224, 224)
    if channels not in (1, 3):
        raise InputError(
            f"{origin}: expected images of 3 channels or 1, got input_size {[channels, height, width]}; choose another "
            "model."
        )
    return Preprocessing(
        image_size=height if height == width else (height, width),
        crop=0.875 if pretrained.crop_pct is None else pretrained.crop_pct,
        interpolation=pretrained.interpolation or "bicubic",  # pyright: ignore[reportArgumentType]
        mode=pretrained.crop_mode or "center",  # pyright: ignore[reportArgumentType]
        mean=_per_channel("mean", pretrained.mean or (0.485, 0.456, 0.406), channels, origin),
        std=_per_channel("std", pretrained.std or (0.229, 0.224, 0.225), channels, origin),
    )


def _per_channel(name: str, values: tuple[float, ...], channels: int, origin: str) -> tuple[float, ...]:
    """A number for each channel; a single one is of all channels."""
    if len(values) not in (1, channels):
        raise InputError(
            f"{origin}: expected {name} of {channels} channels, as input_size has, got {len(values)}; correct "
            "config.json."
        )
    return values * channels if len(values) == 1 else values


def _classes(label_names: _LabelNames, num_classes: int, origin: str) -> tuple[str, ...]:
    """Class names in the order of the logits; timm writes a dict if some classes have no name."""
    if not num_classes:
        return ()
    if isinstance(label_names, dict):
        numbers = [str(number) for number in range(num_classes)]
        if not label_names.keys() <= set(numbers):
            stranger = next(key for key in label_names if key not in set(numbers))
            raise InputError(
                f"{origin}: expected label_names to map the numbers of {num_classes} classes to names, got "
                f"{stranger[:80]!r}; correct config.json."
            )
        return tuple(label_names.get(number, number) for number in numbers)
    if label_names and len(label_names) != num_classes:
        logging.getLogger("leepjax").warning(
            "%s: config.json names %d classes of %d; the names are left out.", origin, len(label_names), num_classes
        )
        return ()
    return label_names or ()
