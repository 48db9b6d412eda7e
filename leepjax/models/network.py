"""What all families of networks share: blocks in order, pooled features, and a linear head."""

from collections.abc import Iterator, Mapping
from typing import Any, ClassVar

import jax
import jax.numpy as jnp
import numpy as np
from flax import nnx

from leepjax.models.layers.convolution import POOLS
from leepjax.models.pooling import pool_places
from leepjax.types import Outputs, Pooling


class NamedParam(nnx.Param):
    """A parameter that timm's files have under the same name, although a layer's leaf of it, ``scale``, is renamed."""


class BlockNetwork(nnx.Module):
    """A classifier that computes blocks one after another: prepared inputs of n examples → ``Outputs``.

    Modules and parameters have the names of the library whose weights fit.
    """

    HEAD: ClassVar[str] = "head"
    """Path of the linear layer from features to logits, such as ``fc``, ``head.fc`` or, in a list, ``head.4``."""
    FURTHER_HEADS: ClassVar[tuple[str, ...]] = ()
    """Paths of other linear heads, such as that of a distillation token; logits are the mean over all heads."""
    IGNORED: ClassVar[tuple[str, ...]] = ()
    """Last parts of names of tensors in files that are computed here, such as ``relative_position_index``."""
    TIMM_NAMES: ClassVar[Mapping[str, str]] = {}
    """First part of names here → timm's, where timm's is the name of a method here, such as ``features``."""
    num_features: int = 0
    """What timm states as the number of features where the head has hidden layers, the channels of the last block."""

    @property
    def has_class_token(self) -> bool:
        """Whether the first token of a block's output stands for the whole example."""
        raise NotImplementedError

    def one_example(self, size: int | tuple[int, int] | None = None) -> Any:
        """Shapes and dtypes of the inputs of one example; of an image, of this size if the network takes any."""
        raise NotImplementedError

    def trunk(self, inputs: Any, /) -> Iterator[tuple[str, jax.Array]]:
        """Yield the name of each block and its output, the first first."""
        raise NotImplementedError

    def pooled(self, x: jax.Array, pooling: Pooling, inputs: Any) -> jax.Array:
        """Pool a block's output to features [n d] in float32."""
        raise NotImplementedError

    def __call__(self, inputs: Any) -> Outputs:
        raise NotImplementedError

    def adapted(self, tensors: Mapping[str, np.ndarray]) -> Mapping[str, np.ndarray]:
        """The tensors of a file as this network has them, by the names of the library that wrote the file."""
        return tensors

    def replace_head(self, num_classes: int, seed: int) -> None:
        """Give the network a fresh linear head for other classes; several heads start as equals."""
        for path in head_paths(self):
            owner, name = _owner(self, path)
            head = linear_head(_part(owner, name).in_features, num_classes, nnx.Rngs(seed))
            if isinstance(owner, nnx.List):
                owner[int(name)] = head
            else:
                setattr(owner, name, head)


class VisionNetwork(BlockNetwork):
    """A classifier of images: normalised images [n h w c] → ``Outputs``.

    A family defines `trunk` and `features`. Modules and parameters have timm's names, so that timm's weights fit.
    """

    POOLS: ClassVar[tuple[str, ...]] = POOLS
    """The values of the argument ``pool``, if the network has one."""
    prefix_tokens: int = 0
    """Number of tokens, such as the class token, before those of patches, where activations are tokens [n t c]."""
    image_channels: int = 3
    """Three, or one where images are grey."""

    @property
    def has_class_token(self) -> bool:
        # Parameters have timm's names, and timm's class tokens come before all others.
        return bool(self.prefix_tokens) and getattr(self, "cls_token", None) is not None

    def one_example(self, size: int | tuple[int, int] | None = None) -> jax.ShapeDtypeStruct:
        wanted: int | tuple[int, int] = size or getattr(self, "image_size", 224)
        height, width = (wanted, wanted) if isinstance(wanted, int) else wanted
        return jax.ShapeDtypeStruct((1, height, width, self.image_channels), jnp.float32)

    def trunk(self, images: jax.Array) -> Iterator[tuple[str, jax.Array]]:
        """Yield the name of each block and its output, a feature map [n h w c] or tokens [n t c], the first first."""
        raise NotImplementedError

    def features(self, x: jax.Array) -> jax.Array:
        """The features [n d], the head's input, computed from the last block's output."""
        raise NotImplementedError

    def pooled(self, x: jax.Array, pooling: Pooling, inputs: jax.Array) -> jax.Array:
        """Pool a feature map [n h w c] or tokens [n t c]; all but ``cls`` are taken over places of the image."""
        x = x.astype(jnp.float32)
        if pooling == "cls":
            return x[:, 0]
        places = x.reshape(x.shape[0], -1, x.shape[-1]) if x.ndim == 4 else x[:, self.prefix_tokens :]
        return pool_places(places, pooling)

    def __call__(self, images: jax.Array) -> Outputs:
        *_, (_, x) = self.trunk(images)
        features = self.features(x)
        return Outputs(features, head_of(self)(features))


def linear_head(width: int, num_classes: int, rngs: nnx.Rngs) -> nnx.Linear:
    """A linear layer from features to logits, of no classes too, for which JAX 0.10.1 draws no kernel."""
    init = nnx.initializers.lecun_normal() if num_classes else nnx.initializers.zeros
    return nnx.Linear(width, num_classes, kernel_init=init, rngs=rngs)


def head_paths(network: Any) -> tuple[str, ...]:
    """The dotted paths of all heads of a network, the first first."""
    return (network.HEAD, *getattr(network, "FURTHER_HEADS", ()))


def heads_of(network: Any) -> list[Any]:
    """The linear layers whose mean output is the logits of a network; most networks have one."""
    return [_part(*_owner(network, path)) for path in head_paths(network)]


def head_of(network: Any) -> Any:
    """The linear layer that computes the logits of a network from its features, or the first of several."""
    return heads_of(network)[0]


def _owner(network: Any, path: str) -> tuple[Any, str]:
    """The module that holds a head as an attribute or an item, and its name."""
    *parts, name = path.split(".")
    for part in parts:
        network = _part(network, part)
    return network, name


def _part(module: Any, name: str) -> Any:
    return module[int(name)] if isinstance(module, nnx.List) else getattr(module, name)
