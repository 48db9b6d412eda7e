"""Taps: features from a block inside a network, pooled to one vector for each example."""

import difflib
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

import jax
import jax.numpy as jnp
from flax import nnx

from leepjax.models.network import BlockNetwork, linear_head
from leepjax.models.tap_names import Tap
from leepjax.tables import some
from leepjax.types import InputError, Outputs, Pooling

_OTHERS = "cls, mean, max, gem or layers"


def blocks_of(
    network: BlockNetwork, image_size: int | tuple[int, int] | None = None
) -> dict[str, jax.ShapeDtypeStruct]:
    """Name of each block, the first first → shape and dtype of its output for one example. Nothing is computed.

    Args:
        network: with arrays or with shapes in their place.
        image_size: side of the image; by default the one that the network is built for, or 224.
    """
    graphdef, state = nnx.split(network)
    names: list[str] = []

    def outputs(state: Any, inputs: Any) -> list[jax.Array]:
        merged = nnx.merge(graphdef, state)
        merged.eval()
        found = list(merged.trunk(inputs))
        names[:] = [name for name, _ in found]
        return [x for _, x in found]

    shapes = jax.eval_shape(outputs, state, network.one_example(image_size))
    return dict(zip(names, shapes, strict=True))


def check_tap(source: str, network: BlockNetwork, tap: Tap, blocks: Mapping[str, jax.ShapeDtypeStruct]) -> None:
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
    if tap.pooling == "layers":
        names = list(blocks)
        widths = {blocks[name].shape[-1] for name in names[: names.index(tap.block) + 1]}
        if len(widths) > 1:
            raise InputError(
                f"{source}: expected blocks of one width up to {tap.block} for pooling layers, the mean over them, got "
                f"{', '.join(map(str, sorted(widths)))}; choose cls, mean, max or gem."
            )
    if tap.pooling != "cls":
        return
    if len(blocks[tap.block].shape) == 4:
        raise InputError(
            f"{source}: expected pooling mean, max or gem for {tap.block}, which is a feature map, got cls; choose one "
            "of these."
        )
    if not network.has_class_token:
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


def outputs_at(network: BlockNetwork, inputs: Any, taps: Sequence[Tap | None]) -> tuple[Outputs, ...]:
    """The outputs at each tap from one pass, which stops at the deepest one.

    A tap has features and logits of no classes. In place of a tap, None stands for the network's own outputs.
    """
    pooled: dict[Tap | None, jax.Array] = {}
    missing = {tap for tap in taps if tap}
    total = jnp.zeros(())
    for count, (name, x) in enumerate(network.trunk(inputs) if missing else (), start=1):
        here = {tap for tap in missing if tap.block == name}
        if any(tap.pooling == "layers" for tap in missing):
            total = total + network.pooled(x, "mean", inputs)
        for tap in here:
            pooled[tap] = total / count if tap.pooling == "layers" else network.pooled(x, tap.pooling, inputs)
        if not (missing := missing - here):
            break
    # XLA computes what the two passes through the blocks have in common once.
    own = network(inputs) if None in taps else None
    return tuple(own if tap is None else _bare(pooled[tap]) for tap in taps)  # type: ignore[misc]


def _bare(features: jax.Array) -> Outputs:
    return Outputs(features, jnp.zeros((len(features), 0)))


class TappedNetwork(BlockNetwork):
    """A network up to a tap, with a linear head on the pooled features. What lies above the tap isn't computed."""

    HEAD = "head"

    def __init__(self, network: BlockNetwork, tap: Tap, num_classes: int, *, rngs: nnx.Rngs):
        blocks = blocks_of(network)
        check_tap("source", network, tap, blocks)
        network.replace_head(0, 0)  # isn't used, and would be written with the rest
        self.network = network
        self.tap = tap
        if hasattr(network, "image_size"):
            self.image_size = network.image_size  # type: ignore[attr-defined]
        self.head = linear_head(blocks[tap.block].shape[-1], num_classes, rngs)

    @property
    def has_class_token(self) -> bool:
        return self.network.has_class_token

    def one_example(self, size: int | tuple[int, int] | None = None) -> Any:
        return self.network.one_example(size)

    def trunk(self, inputs: Any) -> Iterator[tuple[str, jax.Array]]:
        for name, x in self.network.trunk(inputs):
            yield name, x
            if name == self.tap.block:
                return

    def pooled(self, x: jax.Array, pooling: Pooling, inputs: Any) -> jax.Array:
        return self.network.pooled(x, pooling, inputs)

    def __call__(self, inputs: Any) -> Outputs:
        (outputs,) = outputs_at(self.network, inputs, [self.tap])
        features = jnp.asarray(outputs.features, self.head.kernel.dtype)
        return Outputs(features, self.head(features))
