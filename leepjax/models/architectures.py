"""The table of architectures: name → how to build a freshly initialised network."""

from collections.abc import Callable, Mapping
from typing import Any

from flax import nnx

from leepjax.models import cifar_resnet, darknet, efficientnet, resnet, vit
from leepjax.types import unknown_name

ARCHITECTURES: Mapping[str, Callable[..., Any]] = {
    **cifar_resnet.ARCHITECTURES,
    **resnet.ARCHITECTURES,
    **efficientnet.ARCHITECTURES,
    **darknet.ARCHITECTURES,
    **vit.ARCHITECTURES,
}
"""Name → a function of ``num_classes`` and ``rngs``: an NNX module from normalised images [n h w 3] to ``Outputs``."""


def build(model: str, num_classes: int, seed: int = 0) -> Any:
    """A freshly initialised network by the name of its architecture.

    Raises:
        InputError: for a name that isn't in the table.
    """
    if model not in ARCHITECTURES:
        raise unknown_name("model", model, ARCHITECTURES)
    return ARCHITECTURES[model](num_classes, rngs=nnx.Rngs(seed))


def abstract(model: str, num_classes: int) -> Any:
    """The network with shapes in place of arrays: what is to be filled needn't be drawn first.

    Raises:
        InputError: for a name that isn't in the table.
    """
    return nnx.eval_shape(lambda: build(model, num_classes))
