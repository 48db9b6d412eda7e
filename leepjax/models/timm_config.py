"""timm's ``config.json``: which architecture a checkpoint is of, and what images it expects."""

from typing import Annotated

import msgspec

from leepjax.models.architectures import ARCHITECTURES
from leepjax.preprocessing import Preprocessing
from leepjax.types import InputError, unknown_name


class Config(msgspec.Struct, frozen=True):
    """What we need of it."""

    model: str
    num_classes: int
    preprocessing: Preprocessing
    licence: str
    origin: str
    classes: tuple[str, ...]
    accuracy: float | None


class _Pretrained(msgspec.Struct, frozen=True):
    """timm's names, and its own defaults for what isn't there."""

    input_size: tuple[int, int, int]
    num_classes: Annotated[int, msgspec.Meta(ge=1)] | None = None
    crop_pct: float = 0.875
    crop_mode: str = "center"
    interpolation: str = "bilinear"
    mean: tuple[float, float, float] = (0.485, 0.456, 0.406)
    std: tuple[float, float, float] = (0.229, 0.224, 0.225)
    license: str | None = None
    origin_url: str | None = None


class _File(msgspec.Struct, frozen=True):
    architecture: str
    pretrained_cfg: _Pretrained
    num_classes: Annotated[int, msgspec.Meta(ge=1)] | None = None
    label_names: tuple[str, ...] = ()
    accuracy: Annotated[float, msgspec.Meta(ge=0, le=1)] | None = None
    """timm doesn't write it; whoever makes a folder may."""


def read_config(content: bytes, origin: str) -> Config:
    """What a ``config.json`` says.

    Raises:
        InputError: when it isn't one, its architecture isn't ours, or it asks for a preprocessing we don't have.
    """
    try:
        file = msgspec.json.decode(content, type=_File)
    except msgspec.DecodeError as error:
        raise InputError(f"{origin}: expected timm's config.json, got {error}; check the repository.") from None
    if file.architecture not in ARCHITECTURES:
        raise unknown_name(f"{origin}: architecture", file.architecture, ARCHITECTURES)
    pretrained = file.pretrained_cfg
    channels, height, width = pretrained.input_size
    if channels != 3 or height != width:
        raise InputError(
            f"{origin}: expected square RGB images, got input_size {list(pretrained.input_size)}; choose another model."
        )
    num_classes = file.num_classes or pretrained.num_classes
    if num_classes is None:
        raise InputError(f"{origin}: expected num_classes in config.json, got none; check the repository.")
    settings = {name: getattr(pretrained, name) for name in ("interpolation", "mean", "std")}
    settings |= {"image_size": height, "crop": pretrained.crop_pct, "mode": pretrained.crop_mode}
    return Config(
        file.architecture,
        num_classes,
        Preprocessing(**settings),
        licence=pretrained.license or "",
        origin=pretrained.origin_url or "",
        classes=file.label_names,
        accuracy=file.accuracy,
    )
