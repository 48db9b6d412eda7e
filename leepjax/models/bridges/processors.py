"""The preprocessing in transformers' configuration of an image processor."""

import logging
from collections.abc import Mapping
from typing import Any

import msgspec

from leepjax.data.preprocessing import Interpolation, Mode, Preprocessing
from leepjax.models.bridges.processor_types import DEFAULTS, UNSUPPORTED, WITHOUT_CROP, type_of
from leepjax.models.files.json_files import JsonError, convert, read_json
from leepjax.types import InputError

_RESAMPLING: dict[int, Interpolation] = {
    0: "nearest",
    1: "lanczos",
    2: "bilinear",
    3: "bicubic",
    4: "box",
    5: "hamming",
}
"""Pillow's numbers."""

_STEPS = {"do_resize", "do_center_crop", "do_normalize", "do_rescale"}
_OF_OTHER_INPUT = {"do_convert_rgb", "do_reduce_labels"}
"""Steps that don't change RGB images."""
_FURTHER = {"rescale_offset", "size_divisor", "keep_aspect_ratio", "ensure_multiple_of"}
"""Steps that aren't called ``do_…``."""

_SIDES = {"height", "width", "shortest_edge"}


class _Processor(msgspec.Struct, frozen=True):
    """The part of ``preprocessor_config.json`` that leepjax uses."""

    size: int | dict[str, int] | None = None
    crop_size: int | dict[str, int] | None = None
    crop_pct: float | None = None
    default_to_square: bool | None = None
    do_resize: bool = True
    do_center_crop: bool = False
    do_normalize: bool = True
    do_rescale: bool = True
    rescale_factor: float = 1 / 255
    resample: int = 2
    image_mean: tuple[float, float, float] | None = None
    image_std: tuple[float, float, float] | None = None
    include_top: bool = False
    """Whether pixels are divided by the standard deviation once more, as EfficientNet's are."""


def read_processor(content: bytes, origin: str) -> Preprocessing:
    """Read the content of ``preprocessor_config.json``; fields that are missing or null have the default of its type.

    Args:
        content: content of the file; a ``processor_config.json`` has it as its ``image_processor``.
        origin: name of the source in messages.

    Raises:
        InputError: when it isn't such a configuration, or asks for more than resizing, cropping, scaling to [0, 1] and
            normalising square images.
    """
    try:
        fields = read_json(content, dict[str, Any])
        fields = convert(fields.get("image_processor", fields), dict[str, Any])
        kind = type_of(fields)
        stated = {name: value for name, value in fields.items() if value is not None}
        fields = {**DEFAULTS.get(kind, {}), **stated}
        processor = convert(fields, _Processor)
    except JsonError as error:
        raise InputError(
            f"{origin}: expected the configuration of an image processor, got {error}; choose another model."
        ) from None
    _check_steps(kind, fields, processor, origin)
    resized, cropped, mode = _sizes(kind, processor, origin)
    mean, std = _normalisation(processor, origin)
    found = Preprocessing(
        image_size=cropped,
        crop=_crop(cropped, resized),
        interpolation=_RESAMPLING[processor.resample],
        mode=mode,
        mean=mean,
        std=std,
    )
    if kind and kind not in DEFAULTS:
        logging.getLogger("leepjax").warning(
            "%s: leepjax doesn't know the image processor %s; what its configuration states is read as %s.",
            origin,
            kind[:80],
            found,
        )
    return found


def _check_steps(kind: str, fields: Mapping[str, Any], processor: _Processor, origin: str) -> None:
    """Check that `Preprocessing` has every step of the processor."""
    further = [
        f"{name} {str(value).lower()}"
        for name, value in fields.items()
        if value and (name in _FURTHER or (name.startswith("do_") and name not in _STEPS | _OF_OTHER_INPUT))
    ]
    if kind in UNSUPPORTED:
        further.append(f"{UNSUPPORTED[kind]} by {kind}")
    if processor.do_center_crop and kind in WITHOUT_CROP:
        further.append(f"do_center_crop of {kind}")
    if processor.resample not in _RESAMPLING:
        further.append(f"resample {processor.resample}")
    if processor.crop_pct and kind and kind not in DEFAULTS:
        further.append(f"crop_pct of the unknown type {kind[:80]!r}")
    if further:
        raise InputError(
            f"{origin}: expected images that are resized, cropped, scaled and normalised alone, got {further[0]}; "
            "choose another model."
        )
    if not processor.do_resize:
        raise InputError(f"{origin}: expected images resized to one size, got do_resize false; choose another model.")
    if processor.do_rescale and abs(processor.rescale_factor * 255 - 1) > 1e-6:
        raise InputError(
            f"{origin}: expected pixels scaled by 1/255, got rescale_factor {processor.rescale_factor}; choose another "
            "model."
        )


def _normalisation(processor: _Processor, origin: str) -> tuple[tuple[float, ...], tuple[float, ...]]:
    """Mean and standard deviation of pixels in [0, 1]."""
    divisions = processor.do_normalize + processor.include_top
    if divisions and not (processor.image_mean and processor.image_std):
        raise InputError(
            f"{origin}: expected image_mean and image_std in its preprocessor_config.json, got do_normalize without "
            "them; choose another model, or add them."
        )
    unit = 1 if processor.do_rescale else 255  # without rescaling, mean and std are those of pixels in 0..255
    mean = processor.image_mean if processor.do_normalize and processor.image_mean else (0.0,) * 3
    std = processor.image_std or (1.0,) * 3
    return tuple(each / unit for each in mean), tuple(each**divisions / unit for each in std)


def _sizes(kind: str, processor: _Processor, origin: str) -> tuple[int, int, Mode]:
    """The side that images are resized to, the side of the crop, and whether the aspect ratio is kept."""
    size, short = _size(kind, processor, origin)
    if processor.crop_pct and kind in ("", "ConvNext"):  # below 384 a crop of a larger image, from there on squashed
        return (int(size / processor.crop_pct), size, "center") if size < 384 else (size, size, "squash")
    resized = size
    if kind == "Levit" and short:
        resized = int(256 / 224 * size)
    elif processor.crop_pct and kind == "PoolFormer":
        resized, short = int(size / processor.crop_pct), True
    # If only the short side is given and there is no crop, the middle is cropped, because batches need one size.
    crop = _side(processor.crop_size, origin) if processor.do_center_crop and processor.crop_size else resized
    if crop > resized:
        raise InputError(
            f"{origin}: expected a crop of at most the {resized} pixels that images are resized to, got {crop}; choose "
            "another model."
        )
    return resized, crop, "center" if short else "squash"


def _size(kind: str, processor: _Processor, origin: str) -> tuple[int, bool]:
    """The stated side, and whether only the shorter side has this length."""
    if processor.size is None:
        raise InputError(f"{origin}: expected size in its preprocessor_config.json, got none; choose another model.")
    if isinstance(processor.size, dict):
        return _side(processor.size, origin), "shortest_edge" in processor.size
    if processor.default_to_square is None and processor.do_center_crop:
        raise InputError(
            f"{origin}: expected size as shortest_edge, or as height and width, got {processor.size} "
            f"{f'of the unknown type {kind[:80]!r}' if kind else 'without a type'}; choose another model."
        )
    return processor.size, processor.default_to_square is False


def _side(size: int | dict[str, int], origin: str) -> int:
    sides = set(size.values()) if isinstance(size, dict) else {size}
    if len(sides) != 1 or min(sides) < 1 or (isinstance(size, dict) and not size.keys() <= _SIDES):
        raise InputError(f"{origin}: expected square images, got size {size}; choose another model.")
    return sides.pop()


def _crop(cropped: int, resized: int) -> float:
    """The fraction with which `Preprocessing` resizes to exactly `resized` pixels; it rounds down."""
    fraction = cropped / resized
    return fraction if int(cropped / fraction) == resized else cropped / (resized + 0.5)
