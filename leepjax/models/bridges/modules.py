"""Which library a module is of, and its bridge."""

from typing import Any

from leepjax.data.preprocessing import Preprocessing
from leepjax.models.bridges.bridged import Bridged
from leepjax.models.bridges.libraries import is_instance


def bridge_module(module: Any, params: Any, preprocessing: Preprocessing | None, head: str | None) -> Bridged | None:
    """Describe a module of another library and find its head; None for anything else.

    Raises:
        InputError: without preprocessing, or when the module takes no images, or its head isn't found.
    """
    if is_instance(module, "torch.nn", "Module"):
        from leepjax.models.bridges.torch_modules import bridge_torch, copied

        return bridge_torch(copied(module), preprocessing, head)
    return None
