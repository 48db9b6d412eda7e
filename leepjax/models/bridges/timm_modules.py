"""What a timm module states about itself: its preprocessing, its licence, and how to compute the head's input."""

from collections.abc import Mapping
from typing import Any, NamedTuple

from leepjax.data.preprocessing import Preprocessing
from leepjax.models.timm_config import preprocessing_of


class TimmModule(NamedTuple):
    """The facts in a module's ``pretrained_cfg``."""

    name: str
    licence: str
    origin: str


def is_timm(module: Any) -> bool:
    """Whether a PyTorch module has timm's methods and configuration."""
    methods = ("forward_features", "forward_head", "get_classifier")
    return all(callable(getattr(module, name, None)) for name in methods) and bool(_config(module))


def describe_timm(module: Any) -> TimmModule:
    """The name, licence and origin in a module's ``pretrained_cfg``."""
    config = _config(module)
    name = ".".join(filter(None, (config.get("architecture"), config.get("tag")))) or type(module).__name__
    origin = f"https://huggingface.co/{config['hf_hub_id']}" if config.get("hf_hub_id") else ""
    return TimmModule(name, config.get("license") or "", origin)


def timm_preprocessing(module: Any) -> Preprocessing:
    """The preprocessing in a module's ``pretrained_cfg``, for the image size that it was built for.

    Raises:
        InputError: for preprocessing that leepjax doesn't have.
    """
    config = dict(_config(module))
    if (built_for := getattr(getattr(module, "patch_embed", None), "img_size", None)) is not None:
        config["input_size"] = (3, *built_for)  # an img_size of create_model, which isn't in pretrained_cfg
    return preprocessing_of(config, describe_timm(module).name)


def timm_route(module: Any, images: Any) -> tuple[Any, Any]:
    """Features [n d] before the head, and logits; of several heads, the mean."""
    features = module.forward_head(module.forward_features(images), pre_logits=True)
    heads = module.get_classifier()
    heads = heads if isinstance(heads, tuple | list) else (heads,)
    logits = [head(features).flatten(1) for head in heads]
    return features.flatten(1), sum(logits[1:], logits[0]) / len(logits)


def _config(module: Any) -> Mapping[str, Any]:
    config = getattr(module, "pretrained_cfg", None) or {}
    return config if isinstance(config, Mapping) else vars(config)
