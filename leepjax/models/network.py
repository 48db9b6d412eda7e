"""What all families of networks share: blocks in order, pooled features, and a linear head."""

from collections.abc import Iterator, Mapping
from typing import Any, ClassVar

import jax
import numpy as np
from flax import nnx

from leepjax.models.layers import POOLS
from leepjax.types import Outputs


class NamedParam(nnx.Param):
    """A parameter that timm's files have under the same name, although a layer's leaf of it, ``scale``, is renamed."""


class VisionNetwork(nnx.Module):
    """A classifier of images: normalised images [n h w 3] → ``Outputs``.

    A family defines `trunk` and `features`. Modules and parameters have timm's names, so that timm's weights fit.
    """

    HEAD: ClassVar[str] = "head"
    """Path of the linear layer from features to logits, such as ``fc`` or ``head.fc``."""
    POOLS: ClassVar[tuple[str, ...]] = POOLS
    """The values of the argument ``pool``, if the network has one."""
    IGNORED: ClassVar[tuple[str, ...]] = ()
    """Last parts of names of tensors in timm's files that are computed here, such as ``relative_position_index``."""
    prefix_tokens: int = 0
    """Number of tokens, such as the class token, before those of patches, where activations are tokens [n t c]."""

    def trunk(self, images: jax.Array) -> Iterator[tuple[str, jax.Array]]:
        """Yield the name of each block and its output, a feature map [n h w c] or tokens [n t c], the first first."""
        raise NotImplementedError

    def features(self, x: jax.Array) -> jax.Array:
        """The features [n d], the head's input, computed from the last block's output."""
        raise NotImplementedError

    def __call__(self, images: jax.Array) -> Outputs:
        *_, (_, x) = self.trunk(images)
        features = self.features(x)
        return Outputs(features, head_of(self)(features))

    def adapted(self, tensors: Mapping[str, np.ndarray]) -> Mapping[str, np.ndarray]:
        """The tensors of timm's names, those resized whose shape depends on the size of images, such as positions."""
        return tensors

    def replace_head(self, num_classes: int, seed: int) -> None:
        """Give the network a fresh linear head for other classes."""
        owner, name = _owner(self)
        setattr(owner, name, nnx.Linear(head_of(self).in_features, num_classes, rngs=nnx.Rngs(seed)))


def head_of(network: Any) -> Any:
    """The linear layer that computes the logits of a network from its features."""
    owner, name = _owner(network)
    return getattr(owner, name)


def _owner(network: Any) -> tuple[Any, str]:
    """The module that holds the head as an attribute, and the attribute's name."""
    *path, name = network.HEAD.split(".")
    for part in path:
        network = getattr(network, part)
    return network, name
