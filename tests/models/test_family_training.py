"""Small members of families learn as timm's do in float64: the losses of a few steps of SGD (tests/recorded).

Three kinds of networks by default, and one of every family under the long profile, but for two: VGG diverges in
these steps, and Next-ViT's small member differs once its loss has collapsed.
"""

import importlib
import json

import jax
import numpy as np
import pytest
from flax import nnx
from places import RECORDED
from recorded.families import NUM_CLASSES, TRAINING, training_images
from recorded.random_state import random_state
from timm_layout import torch_shapes

from leepjax.data.preprocessing import Preprocessing
from leepjax.models import weights
from leepjax.models.architectures import abstract
from leepjax.models.model_args import apply_model_args
from leepjax.models.network import head_paths
from leepjax.transfer.recipe import Recipe
from leepjax.transfer.step import StepConfig, TrainingBatch, initial_state, step

FAMILIES = {
    path.stem: importlib.import_module(f"recorded.families.{path.stem}")
    for path in sorted((RECORDED / "families").glob("[a-z]*.py"))
}
QUICK = ("resnet", "vit")
CASES = [
    pytest.param(family, name, marks=() if family in QUICK else pytest.mark.long)
    for family, module in FAMILIES.items()
    for name in getattr(module, "TRAINED", ())
]
RECIPE = Recipe(
    momentum=TRAINING["momentum"], weight_decay=TRAINING["weight_decay"], batch_size=1, crop=False, flip=False
)
HALF = (0.5, 0.5, 0.5)


@pytest.mark.parametrize(("family", "name"), CASES)
def test_losses_of_training_are_those_of_timm(family, name):
    case = FAMILIES[family].CASES[name]
    arguments = json.loads(json.dumps(case.model_args))
    model = abstract(apply_model_args(case.architecture, arguments, NUM_CLASSES, None, name), NUM_CLASSES)
    weights.load_torch(model, random_state(torch_shapes(model)), name)
    model.train()
    graphdef, params, statistics = nnx.split(model, nnx.Param, ...)
    preprocessing = Preprocessing(image_size=max(case.size), mean=HALF, std=HALF)
    config = StepConfig(graphdef, head_paths(model), RECIPE, preprocessing, "float32")
    state = initial_state(config, params, statistics)
    rates = np.array(TRAINING["learning_rates"], np.float32)
    batch = TrainingBatch(training_images(case.size), np.arange(NUM_CLASSES), rates, jax.random.key(0), 0)
    # Compiled without optimisation, which is most of the time here.
    run = step.lower(state, batch, config=config).compile({"xla_backend_optimization_level": 0})
    losses = []
    for _ in range(TRAINING["steps"]):
        state, seen = run(state, batch)
        losses.append(float(seen.loss))
    np.testing.assert_allclose(losses, np.load(RECORDED / "families" / f"{family}.npz")[f"{name}.losses"], rtol=1e-4)
