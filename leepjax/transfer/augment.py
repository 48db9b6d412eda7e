"""Augmentation on the device: random shifts and mirror images of uint8 batches."""

import jax
import jax.numpy as jnp


def augment(key: jax.Array, images: jax.Array, *, crop: bool, flip: bool) -> jax.Array:
    """Images [n h w 3] of which, with `flip`, half are mirrored, and, with `crop`, each is shifted.

    A shift is of up to an eighth of the image's width each way, 4 pixels of 32, and zeros come in (He et al. 2016,
    section 4.2). Each image's fate is fixed by the key and its place in the batch.
    """
    flip_key, shift_key = jax.random.split(key)
    n, height, width, channels = images.shape
    if flip:
        mirrored = jax.random.bernoulli(flip_key, shape=(n, 1, 1, 1))
        images = jnp.where(mirrored, images[:, :, ::-1], images)
    if not crop:
        return images
    most = width // 8
    padded = jnp.pad(images, ((0, 0), (most, most), (most, most), (0, 0)))
    shifts = jax.random.randint(shift_key, (n, 2), 0, 2 * most + 1)

    def window(image, shift):
        return jax.lax.dynamic_slice(image, (*shift, 0), (height, width, channels))

    return jax.vmap(window)(padded, shifts)
