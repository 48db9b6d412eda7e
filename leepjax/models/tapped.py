"""Layers of a source as sources of their own: each candidate reads one layer of a network that all of them share."""

from collections.abc import Sequence
from dataclasses import dataclass, field
from fnmatch import fnmatchcase
from functools import partial
from pathlib import Path
from typing import Any, NamedTuple, get_args

import jax
import jax.numpy as jnp
import msgspec
from flax import nnx
from jax.typing import ArrayLike

from leepjax.data.preparation import Preparation
from leepjax.models import architectures
from leepjax.models.card import Card
from leepjax.models.source import Apply, Source, WeightsFile, applied
from leepjax.models.tap_names import Tap
from leepjax.models.taps import TappedNetwork, blocks_of, check_tap, outputs_at, unknown_layer
from leepjax.types import DType, InputError, Outputs, Pooling, unknown_name

LAST, ALL = "last", "all-blocks"
"""Words for layers: the network's own features, and every block."""


class Layers(NamedTuple):
    """Which layers of each source are candidates, and how they are pooled; by default the source as it is."""

    names: tuple[str, ...] = (LAST,)
    """Names of blocks, globs of them, ``all-blocks`` or ``last``."""
    poolings: tuple[Pooling, ...] = ()
    """By default ``head`` for ``last``, and ``mean`` for all others."""


AS_IT_IS = Layers()


def read_layers(caller: str, features: str | Sequence[str] | None, pooling: str | Sequence[str] | None) -> Layers:
    """Layers as a caller names them: one name or several.

    Raises:
        InputError: for an unknown pooling, or no name.
    """
    names = (features,) if isinstance(features, str) else tuple((LAST,) if features is None else features)
    poolings: Any = (pooling,) if isinstance(pooling, str) else tuple(pooling or ())
    for each in poolings:
        if each not in get_args(Pooling):
            raise unknown_name(f"{caller}: pooling", each, get_args(Pooling))
    if not names:
        raise InputError(f"{caller}: expected at least one layer, got none; name one, or leave features out.")
    return Layers(names, poolings)


@dataclass(frozen=True)
class Tapped:
    """The network of a candidate: that of a source, up to a tap."""

    source: Source
    tap: Tap
    siblings: tuple[Tap | None, ...] = field(default=(), compare=False)
    """The candidates that were named together, the deepest last; None is the source itself."""

    @property
    def path(self) -> Any:
        """The file of the source's weights, if it has one."""
        return getattr(self.source.network, "path", None)

    def open(self) -> tuple[Apply, Any]:
        apply, params = self.source.opened
        return _AtTap(apply.graphdef, self.tap), params  # type: ignore[attr-defined]

    def model(self) -> TappedNetwork:
        return TappedNetwork(self.source.network.model(), self.tap, 0, rngs=nnx.Rngs(0))

    def fresh(self, num_classes: int, seed: int) -> TappedNetwork:
        return architectures.build(f"{self.source.card.model}@{self.tap}", num_classes, seed)


@dataclass(frozen=True)
class _AtTap:
    """The pure function of a candidate; equal ones are compiled once."""

    graphdef: Any
    tap: Tap

    def __call__(self, state: Any, images: jax.Array) -> Outputs:
        return outputs_at(nnx.merge(self.graphdef, state), images, [self.tap])[0]


def base_of(source: Source) -> Source:
    """The source whose network a candidate reads: itself, unless it is a layer of another."""
    return source.network.source if isinstance(source.network, Tapped) else source


def tap_of(source: Source) -> Tap | None:
    """The layer that a candidate is; None for a source as it is."""
    return source.network.tap if isinstance(source.network, Tapped) else None


def named_together(source: Source) -> tuple[Tap | None, ...]:
    """The layers that were named with this one, the deepest last; none for a source as it is."""
    return source.network.siblings if isinstance(source.network, Tapped) else ()


def blocks_of_source(source: Source) -> dict[str, jax.ShapeDtypeStruct]:
    """Name of each block → shape of its output for one image, the first block first.

    Raises:
        InputError: for a source that isn't one of leepjax's own architectures.
    """
    pixels = source.card.preprocessing
    return blocks_of(_abstract(source), pixels and pixels.image_size)


def at_tap(source: Source, tap: Tap) -> Source:
    """The candidate that reads one layer of a source.

    Raises:
        InputError: where the source has no such layer, or can't pool it like this.
    """
    check_tap(source.name, _abstract(source), tap, blocks_of_source(source))
    return Source(card_at(source.card, tap), Tapped(source, tap), source.dtype)


def card_at(card: Card, tap: Tap) -> Card:
    """The card of a layer of a source, which has neither classes nor an accuracy of its own."""
    changed = {"name": f"{card.name}@{tap}", "model": f"{card.model}@{tap}"}
    return msgspec.structs.replace(card, **changed, num_classes=0, classes=(), accuracy=None)


def candidates_of(source: Source, layers: Layers) -> list[Source]:
    """The layers of a source as sources, each once, in the order in which they are named.

    Raises:
        InputError: for a layer that it doesn't have, or that can't be pooled like this.
    """
    if all(name == LAST for name in layers.names) and set(layers.poolings) <= {"head"}:
        return [source]
    network, blocks = _abstract(source), blocks_of_source(source)
    last = list(blocks)[-1]
    taps: list[Tap | None] = []
    for name in layers.names:
        for block in [last] if name == LAST else _matching(source.name, name, list(blocks)):
            for pooling in layers.poolings or (("head",) if name == LAST else ("mean",)):
                tap = None if (block, pooling) == (last, "head") else Tap(block, pooling)
                if tap:
                    check_tap(source.name, network, tap, blocks)
                taps.append(tap)
    siblings = tuple(sorted(set(taps), key=lambda tap: (tap is None, tap and (list(blocks).index(tap.block), *tap))))
    return [
        source if tap is None else Source(card_at(source.card, tap), Tapped(source, tap, siblings), source.dtype)
        for tap in dict.fromkeys(taps)
    ]


def deepest_of(card: Card, layers: Layers) -> Card:
    """The card of the layer where the pass for these layers of a source ends; its weights aren't read.

    Raises:
        InputError: as `candidates_of`.
    """
    source = Source(card, WeightsFile(card.model, card.num_classes, Path(), card.weights_hash))
    found = candidates_of(source, layers)
    taps = {tap: each for each in found if (tap := tap_of(each))}
    if len(taps) < len(found):  # the source itself, whose pass has no end before its head
        return card
    blocks = list(blocks_of_source(source))
    return taps[max(taps, key=lambda tap: blocks.index(tap.block))].card


def _matching(source: str, pattern: str, names: list[str]) -> list[str]:
    found = names if pattern == ALL else [name for name in names if pattern == name or fnmatchcase(name, pattern)]
    if not found:
        raise unknown_layer(source, pattern, names)
    return found


def _abstract(source: Source) -> Any:
    if isinstance(source.network, Tapped):
        raise InputError(
            f"{source.name}: expected features last of a source that is itself a layer, got others; name the source "
            "without its layer, or leave features and pooling out."
        )
    if not isinstance(source.network, WeightsFile):
        raise InputError(
            f"{source.name}: expected features last of a source that isn't one of leepjax's own architectures, whose "
            "layers have no names here, got others; leave features and pooling out."
        )
    return architectures.abstract(source.network.architecture, source.network.num_classes)


@dataclass(frozen=True)
class Together:
    """Candidates of one network as one function of images, by one pass through the network.

    The program computes all that were named together up to the deepest of these: it needn't be compiled anew when some
    of them are dropped.
    """

    sources: tuple[Source, ...]

    def __call__(self, inputs: ArrayLike) -> tuple[Outputs, ...]:
        """The outputs of each candidate for inputs as `preparation` makes them, in float32."""
        outputs = forward_together(*self.program, inputs, self.preparation, self.sources[0].dtype)
        at = dict(zip(self._taps, outputs, strict=True))
        return tuple(at[tap_of(source)] for source in self.sources)

    @property
    def program(self) -> tuple[Any, Any]:
        """The pure function and its parameters."""
        apply, params = base_of(self.sources[0]).opened
        return _AtTaps(apply.graphdef, self._taps), params  # type: ignore[attr-defined]

    @property
    def _taps(self) -> tuple[Tap | None, ...]:
        wanted = [tap_of(source) for source in self.sources]
        named = next(filter(None, map(named_together, self.sources)), ())
        blocks = {tap and tap.block for tap in wanted}
        end = max((place for place, tap in enumerate(named, start=1) if (tap and tap.block) in blocks), default=0)
        return tuple(dict.fromkeys((*named[:end], *wanted)))

    @property
    def preparation(self) -> Preparation:
        return self.sources[0].preparation


@dataclass(frozen=True)
class _AtTaps:
    graphdef: Any
    taps: tuple[Tap | None, ...]

    def __call__(self, state: Any, images: jax.Array) -> tuple[Outputs, ...]:
        return outputs_at(nnx.merge(self.graphdef, state), images, self.taps)


@partial(jax.jit, static_argnames=("apply", "preparation", "dtype"))
def forward_together(
    apply: Any, params: Any, inputs: ArrayLike, preparation: Preparation, dtype: DType = "float32"
) -> tuple[Outputs, ...]:
    """The float32 outputs at each tap; compiled once per shape."""
    outputs = applied(apply, params, inputs, preparation, dtype)
    return jax.tree.map(lambda array: array.astype(jnp.float32), outputs)
