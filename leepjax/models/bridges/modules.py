"""Which library a module is of, and its bridge."""

from typing import Any

from leepjax.data.preprocessing import Preprocessing
from leepjax.models.bridges.bridged import Bridged
from leepjax.models.bridges.libraries import is_instance
from leepjax.types import InputError


def bridge_module(module: Any, params: Any, preprocessing: Preprocessing | None, head: str | None) -> Bridged | None:
    """Describe a module of another library and find its head; None for anything else.

    Raises:
        InputError: without preprocessing, or when the module takes no images, or its head isn't found.
    """
    if is_instance(module, "torch.nn", "Module"):
        from leepjax.models.bridges.torch_modules import bridge_torch, copied

        _no_params(module, params)
        return bridge_torch(copied(module), preprocessing, head)
    if is_instance(module, "keras", "Model"):
        from leepjax.models.bridges.keras_models import bridge_keras

        _no_params(module, params)
        return bridge_keras(module, preprocessing, head)
    if is_instance(module, "equinox", "Module"):
        from leepjax.models.bridges.equinox_modules import bridge_equinox

        return bridge_equinox(module, params, preprocessing, head)
    if is_instance(module, "flax.linen", "Module"):
        from leepjax.models.bridges.flax_modules import bridge_linen

        return bridge_linen(module, params, preprocessing, head)
    if is_instance(module, "flax.nnx", "Module"):
        from leepjax.models.bridges.flax_modules import bridge_nnx

        _no_params(module, params)
        return bridge_nnx(module, preprocessing, head)
    return None


def _no_params(module: Any, params: Any) -> None:
    if params is not None:
        raise InputError(
            f"as_source: expected no params beside {type(module).__name__}, which holds its own, got some; leave them "
            "out."
        )
