"""Augmentation on the device: random shifts and horizontal flips of uint8 batches."""

import jax
import jax.numpy as jnp


def augment(key: jax.Array, images: jax.Array, *, crop: bool, flip: bool) -> jax.Array:
    """Randomly mirror half of the images [n h w 3] if `flip`, and shift each of them if `crop`.

    Shifts are up to an eighth of the image's width in each direction (4 pixels of 32), with zeros filled in (He et al.
    2016, section 4.2). The augmentation of an image depends only on the key and its position in the batch.
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
