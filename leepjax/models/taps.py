"""Taps: features from a block inside a network, pooled to one vector for each image."""

import difflib
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

import jax
import jax.numpy as jnp
from flax import nnx

from leepjax.models.network import VisionNetwork
from leepjax.models.tap_names import Tap
from leepjax.tables import some
from leepjax.types import InputError, Outputs, Pooling

GEM_POWER, GEM_EPSILON = 3, 1e-6
"""Generalised-mean pooling is (mean of max(x, ε)³)^(1/3): Radenović, Tolias, Chum, *Fine-tuning CNN Image Retrieval
with No Human Annotation*, TPAMI 2019, with the exponent that its networks start from."""

_OTHERS = "cls, mean, max or gem"


def pool(x: jax.Array, pooling: Pooling, prefix_tokens: int) -> jax.Array:
    """Pool a feature map [n h w c] or tokens [n t c] to features [n c] in float32.

    ``cls`` is the first token; ``mean``, ``max`` and ``gem`` are taken over the map, or over the tokens of patches.
    """
    x = x.astype(jnp.float32)
    if pooling == "cls":
        return x[:, 0]
    places = x.reshape(x.shape[0], -1, x.shape[-1]) if x.ndim == 4 else x[:, prefix_tokens:]
    if pooling == "mean":
        return places.mean(axis=1)
    if pooling == "max":
        return places.max(axis=1)
    powers = jnp.maximum(places, GEM_EPSILON) ** GEM_POWER
    return powers.mean(axis=1) ** (1 / GEM_POWER)


def blocks_of(
    network: VisionNetwork, image_size: int | tuple[int, int] | None = None
) -> dict[str, jax.ShapeDtypeStruct]:
    """Name of each block, the first first → shape and dtype of its output for one image. Nothing is computed.

    Args:
        network: with arrays or with shapes in their place.
        image_size: side of the image; by default the one that the network is built for, or 224.
    """
    graphdef, state = nnx.split(network)
    size = image_size or getattr(network, "image_size", 224)
    height, width = (size, size) if isinstance(size, int) else size
    names: list[str] = []

    def outputs(state: Any, image: jax.Array) -> list[jax.Array]:
        merged = nnx.merge(graphdef, state)
        merged.eval()
        found = list(merged.trunk(image))
        names[:] = [name for name, _ in found]
        return [x for _, x in found]

    shapes = jax.eval_shape(outputs, state, jax.ShapeDtypeStruct((1, height, width, 3), jnp.float32))
    return dict(zip(names, shapes, strict=True))


def check_tap(source: str, network: VisionNetwork, tap: Tap, blocks: Mapping[str, jax.ShapeDtypeStruct]) -> None:
    """Check that a network has the block, and that its output can be pooled like this.

    Raises:
        InputError: otherwise; it begins with the source's name.
    """
    if tap.block not in blocks:
        raise unknown_layer(source, tap.block, list(blocks))
    if tap.pooling == "head":
        raise InputError(
            f"{source}: expected pooling {_OTHERS} for {tap.block}, got head, which pools the last layer alone; choose "
            "one of these, or the layer last."
        )
    if tap.pooling != "cls":
        return
    if len(blocks[tap.block].shape) == 4:
        raise InputError(
            f"{source}: expected pooling mean, max or gem for {tap.block}, which is a feature map, got cls; choose one "
            "of these."
        )
    # Parameters have timm's names, and timm's class tokens come before all others.
    if not network.prefix_tokens or getattr(network, "cls_token", None) is None:
        raise InputError(
            f"{source}: expected pooling mean, max or gem for {tap.block}, whose tokens have no class token, got cls; "
            "choose one of these."
        )


def unknown_layer(source: str, layer: str, names: Sequence[str]) -> InputError:
    """The error for a layer that a network doesn't have; it lists a few that it has."""
    close = difflib.get_close_matches(layer, names, n=1)
    advice = f"did you mean {close[0]}?" if close else "choose one, a glob, all-blocks or last."
    return InputError(
        f"{source}: expected one of {len(names)} layers ({some(names, 4)}; leepjax ls blocks lists them), got "
        f"{layer!r}; {advice}"
    )


def outputs_at(network: VisionNetwork, images: jax.Array, taps: Sequence[Tap | None]) -> tuple[Outputs, ...]:
    """The outputs at each tap from one pass, which stops at the deepest one.

    A tap has features and logits of no classes. In place of a tap, None stands for the network's own outputs.
    """
    pooled: dict[Tap | None, jax.Array] = {}
    missing = {tap for tap in taps if tap}
    for name, x in network.trunk(images) if missing else ():
        here = {tap for tap in missing if tap.block == name}
        pooled |= {tap: pool(x, tap.pooling, network.prefix_tokens) for tap in here}
        if not (missing := missing - here):
            break
    # XLA computes what the two passes through the blocks have in common once.
    own = network(images) if None in taps else None
    none = jnp.zeros((len(images), 0))
    return tuple(own if tap is None else Outputs(pooled[tap], none) for tap in taps)  # type: ignore[misc]


class TappedNetwork(VisionNetwork):
    """A network up to a tap, with a linear head on the pooled features. What lies above the tap isn't computed."""

    HEAD = "head"

    def __init__(self, network: VisionNetwork, tap: Tap, num_classes: int, *, rngs: nnx.Rngs):
        blocks = blocks_of(network)
        check_tap("source", network, tap, blocks)
        network.replace_head(0, 0)  # isn't used, and would be written with the rest
        self.network = network
        self.block = tap.block
        self.pooling: Pooling = tap.pooling
        if hasattr(network, "image_size"):
            self.image_size = network.image_size  # type: ignore[attr-defined]
        self.head = nnx.Linear(blocks[tap.block].shape[-1], num_classes, rngs=rngs)

    def trunk(self, images: jax.Array) -> Iterator[tuple[str, jax.Array]]:
        for name, x in self.network.trunk(images):
            yield name, x
            if name == self.block:
                return

    def features(self, x: jax.Array) -> jax.Array:
        return pool(x, self.pooling, self.network.prefix_tokens).astype(x.dtype)
