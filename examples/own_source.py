"""Rank a network of your own (here random convolutions in plain JAX) beside a shipped source."""

import jax
import jax.numpy as jnp

import leepjax

SIZE, CLASSES = 16, 12


def init(key):
    kernels, head = jax.random.split(key)
    return {
        "kernels": jax.random.normal(kernels, (5, 5, 3, 64)) / 5,
        "head": jax.random.normal(head, (64, CLASSES)),
    }


def apply(params, images):
    """Normalised images [n h w 3] → features [n 64], the input of the head, and logits [n 12]."""
    layout = ("NHWC", "HWIO", "NHWC")
    maps = jax.lax.conv_general_dilated(images, params["kernels"], (2, 2), "SAME", dimension_numbers=layout)
    features = jax.nn.relu(maps).mean(axis=(1, 2))
    return features, features @ params["head"]


source = leepjax.as_source(
    apply,
    init(jax.random.key(0)),
    name="random convolutions",
    preprocessing=leepjax.Preprocessing(image_size=SIZE, mean=(0.5, 0.5, 0.5), std=(0.5, 0.5, 0.5)),
    num_classes=CLASSES,
)
ranking = leepjax.rank("digits", [source, "random"], ["logme", "leep"], limit=300)
print(ranking)
assert jnp.isfinite(ranking.scores("logme")["random convolutions"])
