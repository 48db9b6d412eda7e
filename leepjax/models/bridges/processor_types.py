"""The defaults of transformers' image processors by class, for fields that a configuration omits (transformers 5)."""

import re
from collections.abc import Mapping
from typing import Any

_HALF = {"image_mean": (0.5, 0.5, 0.5), "image_std": (0.5, 0.5, 0.5)}
_IMAGENET = {"image_mean": (0.485, 0.456, 0.406), "image_std": (0.229, 0.224, 0.225)}
_CLIP = {
    "image_mean": (0.48145466, 0.4578275, 0.40821073),
    "image_std": (0.26862954, 0.26130258, 0.27577711),
    "size": {"shortest_edge": 224},
    "crop_size": 224,
    "do_center_crop": True,
    "resample": 3,
    "default_to_square": False,
}
_CROPPED = {"size": 256, "crop_size": 224, "do_center_crop": True, "default_to_square": False}

DEFAULTS: Mapping[str, Mapping[str, Any]] = {
    "Beit": _HALF | {"size": 224, "crop_size": 224, "resample": 3, "default_to_square": True},
    "Bit": _CLIP,
    "Blip": _CLIP | {"size": 384, "do_center_crop": False, "default_to_square": True},
    "CLIP": _CLIP,
    "ChineseCLIP": _CLIP,
    "ConvNext": _HALF | {"size": 384, "crop_pct": 224 / 256, "resample": 3, "default_to_square": False},
    "DeiT": _HALF | _CROPPED | {"resample": 3, "default_to_square": True},
    "DINOv3ViT": _IMAGENET | {"size": 224, "resample": 2, "default_to_square": True},
    "EfficientNet": _HALF
    | {"size": 346, "crop_size": 289, "resample": 3, "include_top": True, "default_to_square": True},
    "Levit": _IMAGENET | _CROPPED | {"size": 224, "resample": 3},
    "MobileNetV1": _HALF | _CROPPED | {"resample": 2},
    "MobileNetV2": _HALF | _CROPPED | {"resample": 2},
    "MobileViT": _CROPPED
    | {"size": 224, "crop_size": 256, "resample": 3, "do_normalize": False, "do_flip_channel_order": True},
    "PoolFormer": _IMAGENET | _CROPPED | {"size": 224, "crop_pct": 0.9, "resample": 3},
    "Pvt": _IMAGENET | {"size": 224, "resample": 3, "default_to_square": True},
    "Segformer": _IMAGENET | {"size": 512, "resample": 2, "default_to_square": True},
    "Siglip": _HALF | {"size": {"height": 224, "width": 224}, "resample": 3, "default_to_square": False},
    "ViT": _HALF | {"size": 224, "resample": 2, "default_to_square": True},
}
"""Type → fields. ``default_to_square`` is whether a `size` that is one number means both sides or the shorter one."""

UNSUPPORTED: Mapping[str, str] = {
    "PPLCNet": "channels in reverse",
    "Perceiver": "a crop before resizing",
    "TextNet": "sides rounded up",
}
"""Type → a step that it always takes, whatever its configuration states, and that leepjax doesn't have."""

WITHOUT_CROP = ("ConvNext", "Segformer")
"""Types for which only some versions of transformers apply ``do_center_crop``."""

_TYPE = re.compile(r"(ImageProcessor|FeatureExtractor)(Fast|Pil)?$")


def type_of(fields: Mapping[str, Any]) -> str:
    """The type that a configuration names, such as ``ViT`` (older files name a feature extractor); "" without one."""
    stated = fields.get("image_processor_type") or fields.get("feature_extractor_type") or ""
    return _TYPE.sub("", str(stated))
