"""A whole ResNet-20 learns: from a source's weights it fits fifty images exactly."""

import json
import subprocess
import sys

import numpy as np
import pytest
from flax import nnx
from places import environment
from small_network import leaves
from small_shipped import use_small_sources

from leepjax.data.readers import digits
from leepjax.models.opening import load_source
from leepjax.models.source import UserFunction
from leepjax.transfer import finetune
from leepjax.transfer.finetune import fine_tune, from_scratch
from leepjax.transfer.recipe import FineTuning
from leepjax.types import InputError

FIFTY = digits().subset(np.arange(50))
# Without augmentation, so that the fifty are always the same.
RECIPE = FineTuning(epochs=12, batch_size=25, learning_rate=0.1, weight_decay=0, crop=False, seed=1)


# test_train.py has a small network that learns, test_adaptation.py two epochs of this one.
@pytest.mark.long
def test_fifty_images_are_learned_by_heart():
    trained = fine_tune(load_source("cifar10"), FIFTY, FIFTY, recipe=RECIPE, per_epoch=False)
    np.testing.assert_array_equal(trained.logits.argmax(axis=1), FIFTY.labels)
    assert trained.curve[-1].accuracy == 1
    assert trained.curve[-1].log_loss < 0.1


@pytest.fixture
def begun(monkeypatch):
    """What `train` was given, in place of training."""
    calls = []

    def record(model, data, preprocessing, recipe, **options):
        calls.append((leaves(model), data, preprocessing, recipe, options))
        return []

    monkeypatch.setattr(finetune, "train", record)
    return calls


def test_the_pair_shares_batches_seeds_and_preprocessing_and_differs_in_its_weights(begun, monkeypatch, tmp_path):
    use_small_sources(monkeypatch, tmp_path)
    source = load_source("cifar10")
    options = {"recipe": RECIPE, "per_epoch": False}
    tuned, fresh = (train(source, FIFTY, FIFTY, **options) for train in (fine_tune, from_scratch))
    (one, *same), (other, *also) = begun
    for a, b in zip(same[0], also[0], strict=True):
        np.testing.assert_array_equal(a, b)
    assert same[1:3] == also[1:3]
    assert {name for name, leaf in one.items() if np.array_equal(leaf, other[name])} <= {"linear.bias"}
    original = leaves(source.network.model())
    kept = {name for name, leaf in one.items() if name in original and np.array_equal(leaf, original[name])}
    assert kept == set(one) - {"linear.kernel", "linear.bias"}
    assert isinstance(tuned.model, nnx.Module)
    assert isinstance(fresh.model, nnx.Module)


def test_a_user_s_function_has_no_weights_to_train():
    source = load_source("random")
    source = type(source)(source.card, UserFunction(*source.opened))
    for train in (fine_tune, from_scratch):
        with pytest.raises(InputError, match=r"expected a network of leepjax's own archi.*, got a user's function"):
            train(source, FIFTY, FIFTY)


def test_other_classes_in_the_test_set_are_an_input_error():
    with pytest.raises(InputError, match="fine_tune: expected the same classes in both sets, got"):
        fine_tune(load_source("random"), FIFTY, FIFTY.of_classes(["1", "0"]))


DEVICES = """
import json, sys
import jax
from small_network import *
from dataclasses import replace
from leepjax.models.card import Card
from leepjax.models.source import Source
from leepjax.data.target import from_arrays
from leepjax.transfer.finetune import from_scratch
from leepjax.transfer.train import train

class Fresh:
    def fresh(self, num_classes, seed):
        return Small(seed)

card = Card(name="small", model="small", num_classes=2, preprocessing=EXPECTED, num_parameters=0, weights_hash="")
target = from_arrays(*DATA)
def found(train, *arguments, **options):
    seen = []
    trained = train(*arguments, on_step=lambda at: seen.append(at.loss), **options)
    return seen, trained

# Twelve images are sharded over four of eight devices, unlike the predictions afterwards.
recipe = replace(RECIPE, batch_size=12, epochs=1)
losses, uneven = found(from_scratch, Source(card, Fresh()), target, target, recipe=recipe)
model = Small()
recipe = replace(RECIPE, batch_size=16, epochs=2, accumulate=2)
further, _ = found(train, model, DATA, EXPECTED, recipe)
further += [float(leaf.sum()) for leaf in leaves(model).values()]
print(json.dumps({"devices": jax.device_count(), "curves": [losses, uneven.logits.ravel().tolist(), further]}))
"""


def test_eight_devices_follow_the_curve_of_one(capsys):
    exec(DEVICES, {})  # this process has one device
    one = json.loads(capsys.readouterr().out)
    devices = environment(XLA_FLAGS="--xla_force_host_platform_device_count=8")
    ended = subprocess.run([sys.executable, "-c", DEVICES], env=devices, capture_output=True, text=True)
    assert ended.returncode == 0, ended.stderr
    eight = json.loads(ended.stdout)
    assert (one["devices"], eight["devices"]) == (1, 8)
    for of_eight, of_one in zip(eight["curves"], one["curves"], strict=True):
        np.testing.assert_allclose(of_eight, of_one, atol=1e-4)
