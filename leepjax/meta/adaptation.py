"""The adaptation network: from the labelled images of a task to the FiLM layers of a frozen network."""

import math
from collections.abc import Sequence
from itertools import groupby

import jax
import jax.numpy as jnp
from flax import nnx

from leepjax.meta.film import Film, FilmLayer
from leepjax.models.layers.convolution import Conv

WIDTH = 64
"""Channels of the set encoder, and so numbers in the representation of a task, as in CNAPs."""
_MOST_CONVOLUTIONS = 5
_GROUPS = 8


class SetEncoder(nnx.Module):
    """The representation of a task: the mean over its images of the outputs of a small convolutional network.

    Each 3 × 3 convolution is followed by a norm and ReLU. Two choices differ from CNAPs: the convolutions have stride 2
    in place of a maximum over 2 × 2 windows, at a quarter of the cost, and the norms are of one image (group norm) in
    place of BatchNorm over the images of a task, so that padding changes nothing.
    """

    def __init__(self, image_size: int, *, width: int = WIDTH, rngs: nnx.Rngs):
        depth = min(_MOST_CONVOLUTIONS, max(1, int(math.log2(image_size)) - 1))
        inputs = [3, *[width] * (depth - 1)]
        self.convs = nnx.List(
            [Conv(n, width, (3, 3), 2, padding=1, use_bias=False, kernel_init=_init, rngs=rngs) for n in inputs]
        )
        self.norms = nnx.List([nnx.GroupNorm(width, num_groups=_GROUPS, rngs=rngs) for _ in inputs])

    def __call__(self, images: jax.Array, weights: jax.Array) -> jax.Array:
        """[width] for normalised images [n h w 3] of which those of weight 1 count, and those of weight 0 don't."""
        x = images
        for conv, norm in zip(self.convs, self.norms, strict=True):
            x = nnx.relu(norm(conv(x)))
        return weights @ x.mean(axis=(1, 2)) / jnp.maximum(weights.sum(), 1)


_init = nnx.initializers.he_normal()


class BlockAdapter(nnx.Module):
    """The FiLM layers of one block, from the representation of the task."""

    def __init__(self, widths: Sequence[int], *, inputs: int, rngs: nnx.Rngs):
        self.hidden = nnx.List([nnx.Linear(inputs, inputs, kernel_init=_init, rngs=rngs) for _ in range(2)])
        # At zero, every scale is 1 and every shift 0: training starts from the source itself.
        zeros = nnx.initializers.zeros
        self.outputs = nnx.List([nnx.Linear(inputs, 2 * width, kernel_init=zeros, rngs=rngs) for width in widths])

    def __call__(self, task: jax.Array) -> list[Film]:
        for linear in self.hidden:
            task = task + nnx.elu(linear(task))
        parts = [jnp.split(linear(task), 2) for linear in self.outputs]
        return [Film(1 + scale, shift) for scale, shift in parts]


class AdaptationNetwork(nnx.Module):
    """The set encoder and one adapter per block: all that is meta-trained."""

    def __init__(self, layers: Sequence[FilmLayer], image_size: int, *, width: int = WIDTH, rngs: nnx.Rngs):
        self.encoder = SetEncoder(image_size, width=width, rngs=rngs)
        blocks = [[layer.width for layer in of_block] for _, of_block in groupby(layers, lambda layer: layer.block)]
        self.adapters = nnx.List([BlockAdapter(widths, inputs=width, rngs=rngs) for widths in blocks])

    def __call__(self, images: jax.Array, weights: jax.Array) -> list[Film]:
        """The FiLM layers, in the order of `layers`, for a task's normalised images [n h w 3] and weights [n]."""
        task = self.encoder(images, weights)
        return [film for adapter in self.adapters for film in adapter(task)]
