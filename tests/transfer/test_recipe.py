"""What a recipe asks of Optax: a schedule, decay of kernels alone, a rate of its own for the head."""

from dataclasses import replace

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from flax import nnx
from small_network import DATA, EXPECTED, RECIPE, Small, leaves

from leepjax.models import architectures, weights
from leepjax.models.families.vit import ViT
from leepjax.transfer.optimizer import chain, learning_rates
from leepjax.transfer.recipe import FineTuning, Recipe
from leepjax.transfer.train import train
from leepjax.types import InputError

FAMILIES = ("resnet20", "resnet18", "mobilenetv1_025", "tf_efficientnet_lite0", "darknet53", "vit_small_patch16_224")


def test_the_learning_rate_warms_up_and_falls_along_a_cosine():
    rates = learning_rates(Recipe(epochs=10, learning_rate=0.4, head_learning_rate=4, warmup_epochs=2), 5)
    steps = np.arange(50)
    expected = np.where(steps < 10, steps / 10, (1 + np.cos(np.pi * (steps - 10) / 40)) / 2)
    np.testing.assert_allclose(rates, expected[:, None] * [0.4, 4], atol=1e-6)


def test_warming_up_takes_half_of_a_training_at_most():
    rates = learning_rates(Recipe(epochs=2, learning_rate=1, warmup_epochs=5), 10)[:, 0]
    assert rates.argmax() == 10


def test_one_step_alone_learns_at_the_full_rate():
    np.testing.assert_allclose(learning_rates(Recipe(epochs=1, learning_rate=0.3), 1), 0.3)


@pytest.mark.parametrize("choice", [{"optimizer": "sgd", "momentum": 0.0}, {"optimizer": "adamw"}])
def test_kernels_alone_decay(choice):
    """With no gradient a step moves what decays by rate × decay × value, and nothing else."""
    recipe = Recipe(weight_decay=0.1, **choice)
    params = nnx.state(ViT(3, embed_dim=16, num_heads=2, depth=1, img_size=32, rngs=nnx.Rngs(0)), nnx.Param)
    optimizer = chain(recipe, np.float32([0.5, 0.5]), "head")
    updates, _ = jax.jit(optimizer.update)(jax.tree.map(jnp.zeros_like, params), optimizer.init(params), params)
    moved = nnx.to_flat_state(updates)
    before = dict(nnx.to_flat_state(params))
    for path, update in moved:
        expected = -0.05 * before[path][...] if "kernel" in path else 0
        np.testing.assert_allclose(update[...], np.broadcast_to(expected, update.shape), atol=1e-7)
    still = {path[-1] for path, _ in moved} - {"kernel"}
    assert still == {"scale", "bias", "cls_token", "pos_embed"}


@pytest.mark.parametrize("model", FAMILIES)
def test_the_head_of_every_family_is_its_last_layer(model):
    network = architectures.abstract(model, 7)
    params = nnx.state(network, nnx.Param)
    path = tuple(network.HEAD.split("."))
    head = {names[-1]: leaf.shape for names, leaf in nnx.to_flat_state(params) if names[: len(path)] == path}
    assert head == {"bias": (7,), "kernel": (weights.num_features(network), 7)}


def test_the_head_learns_at_its_own_rate():
    before = leaves(Small())
    for rate, still in ((1e-12, {"linear.kernel", "linear.bias"}), (0.5, set())):
        model = Small()
        train(model, DATA, EXPECTED, replace(RECIPE, epochs=1, learning_rate=0.5, head_learning_rate=rate))
        after = leaves(model)
        assert {name for name in after if np.allclose(after[name], before[name], atol=1e-9)} == still


def test_adamw_learns():
    model = Small()
    curve = train(model, DATA, EXPECTED, replace(RECIPE, optimizer="adamw", learning_rate=0.05), test=DATA)
    assert curve[-1].accuracy == 1


@pytest.mark.parametrize(
    ("choice", "message"),
    [
        ({"epochs": -1}, "recipe: expected epochs >= 0, got -1; pass a finite number >= 0."),
        ({"batch_size": 0}, "recipe: expected batch_size >= 1, got 0; pass a finite number >= 1."),
        ({"accumulate": 0}, "recipe: expected accumulate >= 1, got 0; pass a finite number >= 1."),
        ({"patience": 0}, "recipe: expected patience >= 1, got 0; pass a finite number >= 1."),
        ({"weight_decay": -0.1}, "recipe: expected weight_decay >= 0, got -0.1; pass a finite number >= 0."),
        ({"warmup_epochs": float("nan")}, "recipe: expected warmup_epochs >= 0, got nan; pass a finite number >= 0."),
        ({"seed": -1}, "recipe: expected seed >= 0, got -1; pass a finite number >= 0."),
        ({"warmup_epochs": float("inf")}, "recipe: expected warmup_epochs >= 0, got inf; pass a finite number >= 0."),
        ({"learning_rate": 0.0}, "recipe: expected learning_rate > 0, got 0.0; pass a positive number."),
        ({"head_learning_rate": -1.0}, "recipe: expected head_learning_rate > 0, got -1.0; pass a positive number."),
        ({"momentum": 1.0}, "recipe: expected momentum in [0, 1), got 1.0; pass a fraction."),
        ({"validation_fraction": 1.0}, "recipe: expected validation_fraction in (0, 1), got 1.0; pass a fraction."),
        ({"optimizer": "sdg"}, "recipe: optimizer: expected one of 2 known names, got 'sdg'"),
        ({"batch_norm": "thaw"}, "recipe: batch_norm: expected one of 2 known names, got 'thaw'"),
        (
            {"optimizer": "adamw", "momentum": 0.5},
            "recipe: expected momentum for optimizer 'sgd' alone, got 0.5 for 'adamw'; leave it out.",
        ),
        (
            {"validation_fraction": 0.2},
            "recipe: expected validation_fraction beside patience alone, got 0.2 without it; set patience, or",
        ),
        (
            {"batch_size": 10, "accumulate": 3},
            "recipe: expected a batch_size that is a multiple of accumulate = 3, got 10; change one of them.",
        ),
    ],
)
def test_a_recipe_that_cannot_be_followed_is_an_input_error(choice, message):
    with pytest.raises(InputError) as error:
        Recipe(**choice)
    assert str(error.value).startswith(message)


def test_fine_tuning_differs_from_pretraining_where_it_says_so():
    ours, theirs = FineTuning(), Recipe()
    changed = {name for name in vars(ours) if getattr(ours, name) != getattr(theirs, name)}
    assert changed == {"epochs", "batch_size", "learning_rate", "flip"}
