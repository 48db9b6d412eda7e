"""Training learns, is reproducible, uses every image, resumes, and reports divergence."""

from dataclasses import replace

import chex
import jax
import jax.numpy as jnp
import msgspec
import numpy as np
import pytest
from profiles import only_long
from small_network import DATA, EXPECTED, LABELS, RECIPE, Small, leaves

from leepjax.transfer import step as stepping
from leepjax.transfer.curve import Epoch, write_curve
from leepjax.transfer.loop import Images
from leepjax.transfer.metrics import metrics
from leepjax.transfer.recipe import Recipe
from leepjax.transfer.train import train
from leepjax.types import InputError


def trained(recipe=RECIPE, seed=0, data=DATA, **options):
    model, steps = Small(seed), []
    curve = train(model, data, EXPECTED, recipe, on_step=steps.append, **options)
    return model, steps, curve


@pytest.fixture(scope="module")
def once():
    return trained(test=DATA)


def same(one, other):
    return all(np.array_equal(a, b) for a, b in zip(leaves(one).values(), leaves(other).values(), strict=True))


def test_training_learns_and_leaves_the_model_ready_for_inference(once):
    model, steps, _ = once
    assert steps[-1].loss < 0.5 * steps[0].loss
    logits = model(EXPECTED.normalise(jnp.asarray(DATA.images))).logits
    np.testing.assert_array_equal(logits.argmax(axis=1), LABELS)
    assert model.bn.use_running_average
    assert np.abs(model.bn.mean[...]).max() > 0


def test_progress_counts_epochs_and_steps_and_tells_the_last_accuracy(once):
    _, steps, curve = once
    assert [(at.epoch, at.step, at.num_steps) for at in steps] == [(step // 3, step, 24) for step in range(24)]
    accuracies = [None, *(epoch.accuracy for epoch in curve[:-1])]
    assert [at.accuracy for at in steps] == [accuracy for accuracy in accuracies for _ in range(3)]


def test_the_curve_has_a_record_an_epoch_with_all_metrics_of_the_test_set(once, tmp_path):
    model, steps, curve = once
    assert [(epoch.epoch, epoch.step) for epoch in curve] == [(i + 1, 3 * i + 3) for i in range(8)]
    for i, epoch in enumerate(curve):
        assert epoch.loss == pytest.approx(np.mean([at.loss for at in steps[3 * i : 3 * i + 3]]))
        assert 0 <= epoch.train_accuracy <= 1
        assert epoch.steps_per_second * 8 == pytest.approx(epoch.images_per_second, rel=1e-2)
        assert epoch.steps_per_second * epoch.seconds == pytest.approx(3, rel=0.05)
    expected = metrics(model(EXPECTED.normalise(jnp.asarray(DATA.images))).logits, LABELS)._asdict()
    assert {name: getattr(curve[-1], name) for name in expected} == pytest.approx(expected, abs=1e-5)
    assert curve[-1].train_accuracy > curve[0].train_accuracy
    write_curve(tmp_path / "curve.jsonl", curve)
    lines = (tmp_path / "curve.jsonl").read_bytes().splitlines()
    assert [msgspec.json.decode(line, type=Epoch) for line in lines] == curve


def test_the_test_set_may_be_measured_on_at_the_end_only(once):
    _, _, curve = trained(test=DATA, per_epoch=False)
    assert [epoch.accuracy for epoch in curve] == [None] * 7 + [once[2][-1].accuracy]


def test_without_a_test_set_nothing_is_measured_on_one():
    _, _, curve = trained(replace(RECIPE, epochs=1))
    assert (curve[0].accuracy, curve[0].ece) == (None, None)


def test_training_repeats_itself_by_seed(once):
    assert same(trained()[0], once[0])  # which the test set doesn't change
    assert not same(trained(replace(RECIPE, seed=1))[0], once[0])


def test_the_caller_s_model_is_whole_after_a_training_that_failed():
    model = Small()
    with pytest.raises(FloatingPointError):
        train(model, DATA, EXPECTED, replace(RECIPE, learning_rate=1e30))
    assert same(model, Small())


def test_no_epochs_change_nothing():
    model, steps, curve = trained(Recipe(epochs=0))
    assert same(model, Small())
    assert not steps
    assert not curve
    assert model.bn.use_running_average


@pytest.mark.parametrize("batch_size", [5, 11, 100, *only_long((8,), (22,))])
def test_every_epoch_visits_every_image(monkeypatch, batch_size):
    seen, keys = [], set()

    def note(batch, key):
        seen.append(np.array(batch))
        keys.add(np.array(key).tobytes())

    def watch(key, images, **options):
        jax.debug.callback(note, images, jax.random.key_data(key), ordered=True)
        return images

    monkeypatch.setattr(stepping, "augment", watch)
    # A momentum of its own makes a program of its own, which is compiled with the watcher.
    trained(Recipe(epochs=2, batch_size=batch_size, momentum=0.5 + batch_size / 1000))
    jax.effects_barrier()
    steps = -(-22 // batch_size)
    assert [len(batch) for batch in seen] == [min(batch_size, 22)] * 2 * steps
    every = {image.tobytes() for image in DATA.images}
    first, second = np.concatenate(seen[:steps]), np.concatenate(seen[steps:])
    assert {image.tobytes() for image in first} == {image.tobytes() for image in second} == every
    assert not np.array_equal(first, second)
    assert len(keys) == 2 * steps  # each step augments in its own way


def test_one_program_serves_sets_of_any_size_and_any_rate_seed_and_length(monkeypatch):
    chex.clear_trace_counter()
    monkeypatch.setattr(stepping, "_gradient", chex.assert_max_traces(stepping._gradient, 1))
    recipe = replace(RECIPE, momentum=0.77)  # compiled nowhere else
    trained(recipe)
    trained(replace(recipe, epochs=3, learning_rate=0.1, head_learning_rate=0.3, seed=5, warmup_epochs=0))
    trained(recipe, data=Images(*(array[:13] for array in DATA)))
    trained(replace(recipe, batch_size=64, epochs=1), data=Images(*(array[:8] for array in DATA)))


@pytest.mark.parametrize("n", [1, 2])
def test_a_set_of_one_or_two_images_is_learned(n):
    model, _, curve = trained(data=Images(*(array[:n] for array in DATA)))
    assert len(curve) == 8
    assert all(np.isfinite(leaf).all() for leaf in leaves(model).values())
    assert curve[-1].train_accuracy == 1


def test_a_class_without_an_example_is_unlearned(once):
    only = Images(DATA.images[LABELS == 0], LABELS[LABELS == 0])
    model, _, _ = trained(data=only)
    assert set(np.asarray(model(EXPECTED.normalise(jnp.asarray(DATA.images))).logits.argmax(axis=1))) == {0}


def test_an_empty_set_is_an_input_error():
    with pytest.raises(InputError, match="train: expected at least one image to measure on, got none; pass a set that"):
        trained(test=Images(*(array[:0] for array in DATA)))
    with pytest.raises(InputError, match="train: expected at least one image to learn from, got none; pass a set that"):
        trained(data=Images(*(array[:0] for array in DATA)))


def test_a_loss_that_is_not_finite_ends_the_training():
    message = r"the loss became nan at step 0 of 24 with learning rate 0; check the images and the source's weights\."
    broken = Small()
    broken.bn.bias[...] = jnp.full_like(broken.bn.bias[...], jnp.nan)
    with pytest.raises(FloatingPointError, match=message):
        train(broken, DATA, EXPECTED, RECIPE)
    with pytest.raises(FloatingPointError, match=r"at step [1-5] of 24 with learning rate \S*e\+\d+; lower"):
        trained(replace(RECIPE, learning_rate=1e30))
    with pytest.raises(FloatingPointError, match=r"the logits are infinite or NaN at step 0 of 1 with learning rate"):
        trained(replace(RECIPE, learning_rate=1e30, batch_size=22, epochs=1, warmup_epochs=0), test=DATA)


def test_frozen_norms_keep_the_source_s_statistics_and_learn_their_scales():
    model, _, _ = trained(replace(RECIPE, batch_norm="frozen"))
    before, after = leaves(Small()), leaves(model)
    for name in ("bn.mean", "bn.var"):
        np.testing.assert_array_equal(after[name], before[name])
    assert not np.array_equal(after["bn.scale"], before["bn.scale"])


def test_norms_average_the_statistics_of_their_batches():
    recipe = replace(RECIPE, epochs=1, batch_size=22, learning_rate=1e-12, crop=False, flip=False)
    model, _, _ = trained(recipe)
    pixels = np.asarray(EXPECTED.normalise(jnp.asarray(DATA.images)))
    momentum = model.bn.momentum
    np.testing.assert_allclose(model.bn.mean[...], (1 - momentum) * pixels.mean((0, 1, 2)), rtol=1e-4)
    np.testing.assert_allclose(model.bn.var[...], momentum + (1 - momentum) * pixels.var((0, 1, 2)), rtol=1e-4)


@pytest.mark.parametrize("pieces", [2, 4])
def test_a_batch_in_pieces_is_the_batch(pieces):
    whole, _, curve = trained(replace(RECIPE, batch_norm="frozen"))
    cut, _, same_curve = trained(replace(RECIPE, batch_norm="frozen", accumulate=pieces))
    chex.assert_trees_all_close(leaves(cut), leaves(whole), rtol=1e-4, atol=1e-5)
    assert [epoch.loss for epoch in same_curve] == pytest.approx([epoch.loss for epoch in curve], abs=1e-5)
    assert [epoch.train_accuracy for epoch in same_curve] == [epoch.train_accuracy for epoch in curve]


def test_pieces_of_a_batch_larger_than_the_set():
    _, steps, _ = trained(replace(RECIPE, epochs=1, batch_size=64, accumulate=4))
    assert len(steps) == 1


def test_half_precision_learns_too_and_keeps_its_parameters():
    model, _, curve = trained(replace(RECIPE, epochs=12), dtype="bfloat16", test=DATA)
    assert {leaf.dtype for leaf in leaves(model).values()} == {np.dtype("float32")}
    assert curve[-1].accuracy == 1


def test_early_stopping_keeps_the_best_weights_without_reading_the_test_set():
    noise = Images(DATA.images, np.random.default_rng(3).integers(0, 2, len(LABELS)))
    recipe = replace(RECIPE, epochs=60, patience=3, validation_fraction=0.3)
    model, _, curve = trained(recipe, data=noise, test=noise)
    losses = [epoch.validation_loss for epoch in curve]
    best = int(np.argmin(losses))
    assert len(curve) == best + 1 + 3 < 60
    logits = model(EXPECTED.normalise(jnp.asarray(DATA.images))).logits
    reached = metrics(logits, noise.labels).log_loss
    assert reached == pytest.approx(curve[best].log_loss, abs=1e-5) != curve[-1].log_loss
    last, _, unmeasured = trained(recipe, data=noise, test=noise, per_epoch=False)
    assert same(last, model)
    assert [epoch.accuracy for epoch in unmeasured] == [None] * (len(curve) - 1) + [curve[-1].accuracy]


def test_early_stopping_needs_something_to_hold_out():
    with pytest.raises(InputError, match=r"expected images to learn from and to hold out .* got 2 and 0; change"):
        trained(replace(RECIPE, patience=1), data=Images(*(array[:2] for array in DATA)))


def test_a_network_is_trained_wherever_it_was_before():
    """A model in training mode, or one on which training was begun, is trained alike."""
    model = Small()
    model.train()
    train(model, DATA, EXPECTED, RECIPE)
    assert same(model, trained()[0])
