"""``timm:NAME``: any model of an installed timm with its pretrained weights, computed by PyTorch."""

from functools import partial
from typing import Any

from leepjax.models.bridges.bridged import Bridged, source_of
from leepjax.models.bridges.libraries import library
from leepjax.models.bridges.torch_modules import bridge_torch
from leepjax.models.bridges.torch_network import default_device, reopened
from leepjax.models.hub import hub_file, hub_size
from leepjax.models.hub_weights import hub_weights, hub_weights_size
from leepjax.models.source import Source
from leepjax.types import InputError, unknown_name

PREFIX = "timm:"


def open_timm(name: str) -> Source:
    """Open a model of timm, such as ``timm:resnet18.a1_in1k``, with its weights from timm's cache.

    Raises:
        InputError: without timm, for a name that timm doesn't have or has no weights for, or when they can't be
            downloaded.
    """
    bridged = _bridged(name, pretrained=True)
    network = reopened(bridged, partial(open_timm, name))
    return source_of(bridged._replace(network=network), name=name)


def describe_timm_name(name: str) -> tuple[Source, int | None]:
    """A model of timm with random weights, and the bytes to download (None if unknown).

    Raises:
        InputError: without timm, or for a name that timm doesn't have.
    """
    config = _config(name)
    bridged = _bridged(name, pretrained=False)
    if not config.hf_hub_id:
        return source_of(bridged, name=name), None
    if config.hf_hub_filename:
        return source_of(bridged, name=name), hub_size(config.hf_hub_id, config.hf_hub_filename)
    return source_of(bridged, name=name), hub_weights_size(config.hf_hub_id)


def _bridged(name: str, *, pretrained: bool) -> Bridged:
    timm, config = library(name, "timm", "torch"), _config(name)
    if pretrained:
        _fetch(config)
    try:
        module = timm.create_model(name.removeprefix(PREFIX), pretrained=pretrained)
    except Exception as error:  # models may raise any type
        first = str(error).partition("\n")[0].rstrip(".")
        raise InputError(
            f"{name}: expected a model that timm can build, got {type(error).__name__}: {first}; choose another, as "
            "timm.list_models(pretrained=True) lists them."
        ) from error
    return bridge_torch(module.to(default_device()).eval(), None)


def _config(name: str) -> Any:
    """Timm's ``PretrainedCfg`` of a name."""
    timm, wanted = library(name, "timm", "torch"), name.removeprefix(PREFIX)
    architecture = wanted.partition(".")[0]
    if not timm.is_model(architecture):
        raise unknown_name(f"{name}: model of timm", architecture, timm.list_models())
    try:
        return timm.models.get_pretrained_cfg(wanted, allow_unregistered=False)
    except RuntimeError:
        tags = timm.list_models(f"{architecture}.*", pretrained=True) or [architecture]
        raise unknown_name(f"{name}: pretrained weights of {architecture}", wanted, tags) from None


def _fetch(config: Any) -> None:
    """Download the weights into the hub's cache, where timm finds them; errors are leepjax's own."""
    if config.hf_hub_id and config.hf_hub_filename:
        hub_file(config.hf_hub_id, config.hf_hub_filename)
    elif config.hf_hub_id:
        hub_weights(config.hf_hub_id)
