"""Augmentation only shifts and mirrors, each image by itself, as its key says."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from leepjax.transfer.augment import augment

SIZE, MOST = 16, 2
IMAGES = np.random.default_rng(0).integers(0, 256, (22, SIZE, SIZE, 3)).astype(np.uint8)


def windows(image):
    """Every crop of the padded image, as `augment` may take them."""
    padded = np.pad(image, ((MOST, MOST), (MOST, MOST), (0, 0)))
    shifts = np.ndindex(2 * MOST + 1, 2 * MOST + 1)
    return {padded[i : i + SIZE, j : j + SIZE].tobytes() for i, j in shifts}


@pytest.mark.parametrize("flip", [False, True])
def test_images_are_shifted_by_an_eighth_at_most_and_half_of_them_mirrored(flip):
    images = jnp.tile(jnp.asarray(IMAGES), (20, 1, 1, 1))
    augmented = np.asarray(augment(jax.random.key(0), images, crop=True, flip=flip))
    assert (augmented.shape, augmented.dtype) == (images.shape, np.uint8)
    pairs = list(zip(augmented, np.asarray(images), strict=True))
    upright = sum(new.tobytes() in windows(old) for new, old in pairs)
    mirrored = sum(new.tobytes() in windows(old[:, ::-1]) for new, old in pairs)
    assert upright + mirrored >= len(images)
    assert upright == len(images) if not flip else 0.4 < mirrored / len(images) < 0.6


def test_without_crop_and_flip_nothing_changes():
    np.testing.assert_array_equal(augment(jax.random.key(0), jnp.asarray(IMAGES), crop=False, flip=False), IMAGES)


def test_it_is_fixed_by_its_key_and_differs_between_images():
    images = jnp.tile(jnp.asarray(IMAGES[:1]), (200, 1, 1, 1))
    one, same, other = (np.asarray(augment(jax.random.key(k), images, crop=True, flip=False)) for k in (0, 0, 1))
    np.testing.assert_array_equal(one, same)
    assert not np.array_equal(one, other)
    assert len({image.tobytes() for image in one}) == (2 * MOST + 1) ** 2
