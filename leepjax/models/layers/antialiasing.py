"""Smoothing before subsampling, by timm's names of ``aa_layer``.

Reference:
    Zhang, *Making Convolutional Networks Shift-Invariant Again*, ICML 2019.
"""

import jax
import jax.numpy as jnp


def downsample(x: jax.Array, kind: str) -> jax.Array:
    """Halve a feature map [n h w c], by means of 2 × 2 pixels (``avg``) or a blur padded with zeros (``blurpc``)."""
    n, h, w, c = x.shape
    if kind == "avg":
        return x[:, : h // 2 * 2, : w // 2 * 2].reshape(n, h // 2, 2, w // 2, 2, c).mean(axis=(2, 4))
    x = jnp.pad(x, ((0, 0), (1, 1), (1, 1), (0, 0)))
    x = _blurred(x[:, :-2:2], x[:, 1:-1:2], x[:, 2::2])
    return _blurred(x[:, :, :-2:2], x[:, :, 1:-1:2], x[:, :, 2::2])


def _blurred(before: jax.Array, at: jax.Array, after: jax.Array) -> jax.Array:
    return (before + 2 * at + after) / 4
