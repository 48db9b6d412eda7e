"""The table of architectures: name → a function that builds a freshly initialised network."""

from collections.abc import Callable, Mapping
from functools import partial
from typing import Any

from flax import nnx

from leepjax.models import cifar_resnet, darknet, efficientnet, resnet, vit
from leepjax.models.layers import POOLS
from leepjax.types import unknown_name

ARCHITECTURES: Mapping[str, Callable[..., Any]] = {
    **cifar_resnet.ARCHITECTURES,
    **resnet.ARCHITECTURES,
    **efficientnet.ARCHITECTURES,
    **darknet.ARCHITECTURES,
    **vit.ARCHITECTURES,
}
"""Name → a function of ``num_classes`` and ``rngs``: an NNX module from normalised images [n h w 3] to ``Outputs``."""


def builder(model: str) -> Callable[..., Any]:
    """The function that builds a network, by its name in the table or by one that ``with_pool`` made.

    Raises:
        InputError: for any other name.
    """
    name, _, pool = model.partition(":")
    if name not in ARCHITECTURES or (pool and not (pool in POOLS and has_pool(name))) or model.endswith(":"):
        raise unknown_name("model", model, ARCHITECTURES)
    return partial(ARCHITECTURES[name], pool=pool) if pool else ARCHITECTURES[name]


def has_pool(name: str) -> bool:
    """Whether the features are a pooled feature map, as in every architecture except vision transformers."""
    return name not in vit.ARCHITECTURES


def with_pool(name: str, pool: str) -> str:
    """The name of an architecture with the given global pool; average pooling is the default.

    >>> with_pool("resnet18", "max"), with_pool("resnet18", "avg")
    ('resnet18:max', 'resnet18')
    """
    return name if pool == "avg" else f"{name}:{pool}"


def build(model: str, num_classes: int, seed: int = 0) -> Any:
    """Build a freshly initialised network, by the name of its architecture (``resnet18`` or ``resnet18:max``).

    Raises:
        InputError: for a name that isn't in the table.
    """
    return builder(model)(num_classes, rngs=nnx.Rngs(seed))


def abstract(model: str, num_classes: int) -> Any:
    """Build a network with shapes in place of arrays, to fill with weights without initialising it first.

    Raises:
        InputError: for a name that isn't in the table.
    """
    return nnx.eval_shape(lambda: build(model, num_classes))
