"""The preprocessing in transformers' configuration of an image processor."""

from typing import Any

import msgspec

from leepjax.data.preprocessing import Preprocessing
from leepjax.models.files.json_files import JsonError, convert, read_json
from leepjax.types import InputError

_RESAMPLING = {0: "nearest", 1: "lanczos", 2: "bilinear", 3: "bicubic"}
"""Pillow's numbers."""


class _Processor(msgspec.Struct, frozen=True):
    """The part of ``preprocessor_config.json`` that leepjax uses."""

    size: int | dict[str, int] | None = None
    crop_size: int | dict[str, int] | None = None
    crop_pct: float | None = None
    do_resize: bool | None = None
    do_center_crop: bool | None = None
    do_normalize: bool | None = None
    do_rescale: bool | None = None
    rescale_factor: float | None = None
    resample: int | None = None
    image_mean: tuple[float, float, float] | None = None
    image_std: tuple[float, float, float] | None = None


def read_processor(content: bytes, origin: str) -> Preprocessing:
    """Read the content of ``preprocessor_config.json``.

    Args:
        content: content of the file; a ``processor_config.json`` has it as its ``image_processor``.
        origin: name of the source in messages.

    Raises:
        InputError: when it isn't a configuration of square images, resized and scaled to [0, 1].
    """
    try:
        fields = read_json(content, dict[str, Any])
        processor = convert(fields.get("image_processor", fields), _Processor)
    except JsonError as error:
        raise InputError(
            f"{origin}: expected the configuration of an image processor, got {error}; choose another model."
        ) from None
    resized, cropped, mode = _sizes(processor, origin)
    scaled = processor.do_rescale is not False
    if scaled and abs((processor.rescale_factor or 1 / 255) * 255 - 1) > 1e-6:
        raise InputError(
            f"{origin}: expected pixels scaled by 1/255, got rescale_factor {processor.rescale_factor}; choose another "
            "model."
        )
    normalised = processor.do_normalize is not False and processor.image_mean and processor.image_std
    mean, std = (processor.image_mean, processor.image_std) if normalised else ((0.0,) * 3, (1.0,) * 3)
    unit = 1 if scaled else 255  # without rescaling, mean and std are those of pixels in 0..255
    return Preprocessing(
        image_size=cropped,
        crop=_crop(cropped, resized),
        interpolation=_RESAMPLING.get(2 if processor.resample is None else processor.resample, "bicubic"),  # pyright: ignore[reportArgumentType]
        mode=mode,
        mean=tuple(each / unit for each in mean or ()),  # pyright: ignore[reportArgumentType]
        std=tuple(each / unit for each in std or ()),  # pyright: ignore[reportArgumentType]
    )


def _sizes(processor: _Processor, origin: str) -> tuple[int, int, Any]:
    """The side that images are resized to, the side of the crop, and whether the aspect ratio is kept."""
    short = isinstance(processor.size, dict) and "shortest_edge" in processor.size
    size = _side(processor.size, origin)
    crop = _side(processor.crop_size, origin) if processor.do_center_crop and processor.crop_size else None
    if processor.do_resize is False and crop is None:
        raise InputError(f"{origin}: expected images resized to one size, got do_resize false; choose another model.")
    if processor.crop_pct is not None:  # ConvNeXt's: below 384 pixels a crop of a larger image, from there on squashed
        return (int(size / processor.crop_pct), size, "center") if size < 384 else (size, size, "squash")
    if crop is None:
        # Of an image whose short side is given and that isn't cropped, the middle is taken: batches need one size.
        return size, size, "center" if short else "squash"
    return max(size, crop), crop, "center" if short or isinstance(processor.size, int) else "squash"


def _side(size: int | dict[str, int] | None, origin: str) -> int:
    sides = set(size.values()) if isinstance(size, dict) else {size or 224}
    if len(sides) != 1:
        raise InputError(f"{origin}: expected square images, got size {size}; choose another model.")
    return sides.pop()


def _crop(cropped: int, resized: int) -> float:
    """The fraction with which `Preprocessing` resizes to exactly `resized` pixels; it rounds down."""
    fraction = cropped / resized
    return fraction if int(cropped / fraction) == resized else cropped / (resized + 0.5)
