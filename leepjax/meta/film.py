"""FiLM layers of a frozen network: feature-wise scales and shifts after the norms of its blocks.

A norm ends in x̂ ↦ s x̂ + b for each channel, and FiLM after it in γ (s x̂ + b) + β = (γ s) x̂ + (γ b + β). So FiLM
changes two parameters of the norm, and needs none of the network's code.
"""

from collections.abc import Sequence
from typing import Any, NamedTuple

import jax
from flax import nnx

from leepjax.models.network import VisionNetwork
from leepjax.models.taps import blocks_of
from leepjax.types import InputError

Path = tuple[Any, ...]


class Film(NamedTuple):
    """Scale γ and shift β of one layer, [width] each."""

    scale: jax.Array
    shift: jax.Array


class FilmLayer(NamedTuple):
    """Where a FiLM layer acts."""

    path: Path
    """Path of the norm in the network, such as ``("layer1", 0, "bn1")``."""
    block: int
    """Number of the block, from 0."""
    width: int
    """Number of channels."""


def film_layers(network: VisionNetwork, image_size: int | tuple[int, int]) -> tuple[FilmLayer, ...]:
    """The norms after which FiLM acts, as in CNAPs: those of the blocks, without those of stem and shortcuts.

    Raises:
        InputError: when the blocks have no BatchNorm.

    References:
        Requeima, Gordon, Bronskill, Nowozin, Turner, *Fast and Flexible Multi-Task Classification Using Conditional
        Neural Adaptive Processes*, NeurIPS 2019, section 2.2.
        Perez et al., *FiLM: Visual Reasoning with a General Conditioning Layer*, AAAI 2018.
    """
    blocks = {name: number for number, name in enumerate(blocks_of(network, image_size))}
    found = []
    for path, module in nnx.iter_modules(network):
        *block, _ = path or ("",)
        # The norm of a shortcut stands deeper, in a list.
        if isinstance(module, nnx.BatchNorm) and (number := blocks.get(".".join(map(str, block)))) is not None:
            found.append(FilmLayer(path, number, module.num_features))
    if not found:
        raise InputError(
            f"metatrain: expected a network whose blocks have BatchNorm, got {type(network).__name__}; choose a ResNet."
        )
    return tuple(sorted(found, key=lambda layer: (layer.block, str(layer.path))))


def film(x: jax.Array, film: Film) -> jax.Array:
    """γ x + β for feature maps [n h w c]."""
    return x * film.scale + film.shift


def with_films(state: Any, layers: Sequence[FilmLayer], films: Sequence[Film]) -> Any:
    """The state of a network whose norms at `layers` are followed by FiLM."""
    flat = dict(nnx.to_flat_state(state))
    for layer, (scale, shift) in zip(layers, films, strict=True):
        old_scale, old_bias = (flat[*layer.path, name] for name in ("scale", "bias"))
        flat[*layer.path, "scale"] = old_scale.replace(old_scale[...] * scale)
        flat[*layer.path, "bias"] = old_bias.replace(old_bias[...] * scale + shift)
    return nnx.from_flat_state(flat)
