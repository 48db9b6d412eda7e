"""Networks of one input channel, for grey images."""

from collections.abc import Callable
from typing import Any

from flax import nnx

from leepjax.models.network import VisionNetwork


def grey(build: Callable[..., VisionNetwork], num_classes: int, *, rngs: nnx.Rngs) -> VisionNetwork:
    """Build a freshly initialised network whose first convolutions take one channel in place of three."""
    network = build(num_classes, rngs=rngs)
    layers: list[Any] = [layer for _, layer in nnx.iter_modules(network)]
    for layer in layers:
        kernel = getattr(layer, "kernel", None)
        if isinstance(kernel, nnx.Param) and kernel.ndim == 4 and kernel.shape[2] == 3:
            # √3 times as large, so that the outputs vary as those of three channels.
            layer.kernel = nnx.Param(kernel[..., :1, :] * 3**0.5)
            layer.in_features = 1
    network.image_channels = 1
    return network
