"""Training: what augmentation moves, that it learns, repeats itself, sees every image and says when it diverges."""

from dataclasses import replace

import jax
import jax.numpy as jnp
import msgspec
import numpy as np
import pytest
from flax import nnx

from leepjax.data.target import from_arrays
from leepjax.models.opening import load_source
from leepjax.preprocessing import Preprocessing
from leepjax.transfer import train as training
from leepjax.transfer.finetune import fine_tune
from leepjax.transfer.train import CROP_PADDING, Recipe, augment, train
from leepjax.types import InputError, Outputs

SIZE = 12
RNG = np.random.default_rng(0)
LABELS = np.arange(22) % 2
# Dark images are class 0, bright ones class 1; no two are alike.
IMAGES = RNG.integers(0, 50, (22, SIZE, SIZE, 3)).astype(np.uint8) + np.uint8(150) * LABELS[:, None, None, None].astype(
    np.uint8
)
EXPECTED = Preprocessing(image_size=SIZE, mean=(0.4, 0.4, 0.4), std=(0.3, 0.3, 0.3))
RECIPE = Recipe(epochs=8, batch_size=8, learning_rate=0.5)


class Small(nnx.Module):
    """A network that compiles at once, with BatchNorm's running statistics."""

    def __init__(self, seed=0):
        self.bn = nnx.BatchNorm(3, rngs=nnx.Rngs(seed))
        self.linear = nnx.Linear(3, 2, rngs=nnx.Rngs(seed))

    def __call__(self, images):
        features = self.bn(images).mean(axis=(1, 2))
        return Outputs(features, self.linear(features))


def trained(recipe=RECIPE, seed=0):
    model, progress = Small(seed), []
    train(model, IMAGES, LABELS, EXPECTED, recipe, progress.append)
    return model, progress


@pytest.fixture(scope="module")
def once():
    return trained()


def leaves(model):
    return [np.asarray(leaf) for leaf in jax.tree.leaves(nnx.state(model, (nnx.Param, nnx.BatchStat)))]


def windows(image):
    """Every crop of the padded image, as `augment` may take them."""
    padded = np.pad(image, ((CROP_PADDING, CROP_PADDING), (CROP_PADDING, CROP_PADDING), (0, 0)))
    shifts = np.ndindex(2 * CROP_PADDING + 1, 2 * CROP_PADDING + 1)
    return {padded[i : i + SIZE, j : j + SIZE].tobytes() for i, j in shifts}


@pytest.mark.parametrize("flip", [False, True])
def test_augment_only_shifts_and_flips(flip):
    images = jnp.tile(jnp.asarray(IMAGES), (20, 1, 1, 1))
    augmented = np.asarray(augment(jax.random.key(0), images, flip))
    assert (augmented.shape, augmented.dtype) == (images.shape, np.uint8)
    upright = sum(new.tobytes() in windows(old) for new, old in zip(augmented, np.asarray(images), strict=True))
    mirrored = sum(
        new.tobytes() in windows(old[:, ::-1]) for new, old in zip(augmented, np.asarray(images), strict=True)
    )
    assert upright + mirrored >= len(images)
    assert upright == len(images) if not flip else 0.4 < mirrored / len(images) < 0.6


def test_augment_is_fixed_by_its_key_and_differs_between_images():
    images = jnp.tile(jnp.asarray(IMAGES[:1]), (200, 1, 1, 1))
    one, same, other = (np.asarray(augment(jax.random.key(k), images, flip=False)) for k in (0, 0, 1))
    np.testing.assert_array_equal(one, same)
    assert not np.array_equal(one, other)
    assert len({image.tobytes() for image in one}) > 60


def test_training_learns_and_leaves_the_model_ready_for_inference(once):
    model, progress = once
    assert progress[-1].loss < 0.5 * progress[0].loss
    predicted = model(EXPECTED.normalise(jnp.asarray(IMAGES))).logits.argmax(axis=1)
    np.testing.assert_array_equal(predicted, LABELS)
    assert model.bn.use_running_average
    assert np.abs(model.bn.mean[...]).max() > 0


def test_progress_counts_epochs_and_steps(once):
    expected = [(step // 3, step, 24) for step in range(24)]
    assert [(at.epoch, at.step, at.num_steps) for at in once[1]] == expected


def test_training_repeats_itself_by_seed(once):
    one, same = once[0], trained()[0]
    jax.tree.map(np.testing.assert_array_equal, leaves(same), leaves(one))
    other = trained(replace(RECIPE, seed=1))[0]
    assert not np.array_equal(leaves(other)[0], leaves(one)[0])


def test_no_epochs_change_nothing():
    model, progress = trained(Recipe(epochs=0))
    jax.tree.map(np.testing.assert_array_equal, leaves(model), leaves(Small()))
    assert not progress


@pytest.mark.parametrize("batch_size", [5, 8, 11, 22, 100])
def test_every_epoch_visits_every_image(monkeypatch, batch_size):
    seen = []

    def watch(key, images, flip):
        jax.debug.callback(lambda batch: seen.append(np.array(batch)), images, ordered=True)
        return images

    monkeypatch.setattr(training, "augment", watch)
    trained(Recipe(epochs=2, batch_size=batch_size))
    jax.effects_barrier()
    steps = -(-22 // batch_size)
    assert [len(batch) for batch in seen] == [min(batch_size, 22)] * 2 * steps
    every = {image.tobytes() for image in IMAGES}
    first, second = np.concatenate(seen[:steps]), np.concatenate(seen[steps:])
    assert {image.tobytes() for image in first} == {image.tobytes() for image in second} == every
    assert not np.array_equal(first, second)


def test_a_loss_that_is_not_finite_ends_the_training():
    message = r"train: the loss became nan at step 0 of 24 with learning rate 0; lower the learning rate\."
    with pytest.raises(FloatingPointError, match=message):
        train(Small(), IMAGES, LABELS, msgspec.structs.replace(EXPECTED, mean=(np.nan,) * 3), RECIPE)
    with pytest.raises(FloatingPointError, match=r"at step [1-5] of 24 with learning rate \S*e\+\d+; lower"):
        train(Small(), IMAGES, LABELS, EXPECTED, replace(RECIPE, learning_rate=1e30))


@pytest.mark.parametrize("recipe", [{"epochs": -1}, {"batch_size": 0}, {"batch_size": -8}])
def test_a_recipe_that_cannot_be_followed_is_an_input_error(recipe):
    with pytest.raises(InputError, match=next(iter(recipe))):
        trained(Recipe(**recipe))


def test_fine_tune_predicts_a_class_for_each_image():
    """The one training of a whole ResNet-20 here: 24 images of 3 classes, in 3 steps."""
    images = RNG.integers(0, 256, (30, 32, 32, 3), np.uint8)
    target = from_arrays(images, np.arange(30) % 3)
    steps = []
    recipe = Recipe(epochs=1, batch_size=8, learning_rate=0.01, flip=False)
    part, rest = target.subset(np.arange(24)), target.subset(np.arange(24, 30))
    predicted = fine_tune(load_source("random"), part, rest, recipe=recipe, seed=1, on_step=steps.append)
    assert predicted.shape == (6,)
    assert set(predicted) <= {0, 1, 2}
    assert [at.num_steps for at in steps] == [3, 3, 3]
