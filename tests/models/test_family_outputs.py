"""Small members of every family compute what timm's do in float64, from the same random state (tests/recorded).

One in three families by default, all options of all families under the long profile: run it after changing a network.
"""

import importlib
import json
from functools import partial

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from flax import nnx
from places import RECORDED
from profiles import is_long
from recorded.families import NUM_CLASSES
from recorded.random_state import digest, random_state, uniform
from timm_layout import torch_shapes

from leepjax.models import weights
from leepjax.models.architectures import abstract
from leepjax.models.model_args import apply_model_args
from leepjax.models.source import Merged, applied

FAMILIES = sorted(path.stem for path in (RECORDED / "families").glob("[a-z]*.py"))
MEMBERS = {family: importlib.import_module(f"recorded.families.{family}").CASES for family in FAMILIES}
CASES = {f"{family}-{name}": (family, name, case) for family in FAMILIES for name, case in MEMBERS[family].items()}
# Each kind of block, of attention and of head that several families share is in one of these or in the networks that
# test_family_training.py trains: residual networks and plain transformers.
QUICK = [
    "byobnet-every_kind",  # re-parametrised branches, attention of channels
    "convnext-v1",  # LayerNorm on maps, a head with hidden units
    "densenet-plain",  # concatenated maps, normalised before they are convolved
    "efficientnet-test",  # inverted bottlenecks of mobile networks
    "eva-eva02",  # rotated queries and keys, gated perceptrons
    "hiera-learned",  # units of windows, pooled queries
    "levit-distilled",  # attention with biases, two heads
    "maxxvit-tensorflow",  # windows and grids
    "mlp_mixer-mixer",  # perceptrons over places
    "nfnet-light",  # standardised kernels
    "swin_transformer-divided",  # shifted windows
    "vgg-plain",  # a head of convolutions
    "xcit-patch16",  # attention over channels and of a class token
]


def error(got, expected):
    return np.abs(np.asarray(got, np.float64) - expected).max() / np.abs(expected).max()


def built(case, model_args):
    arguments = json.loads(json.dumps(model_args))
    name = apply_model_args(case.architecture, arguments, NUM_CLASSES, None, case.architecture)
    return abstract(name, NUM_CLASSES)


class AsItIs:
    """No preparation: the inputs are normalised."""

    def normalise(self, inputs):
        return inputs


def network_of(name):
    """A small member with the random state, and what was recorded of its family."""
    family, key, case = CASES[name]
    recorded = np.load(RECORDED / "families" / f"{family}.npz")
    network = built(case, case.model_args)
    state = random_state(torch_shapes(built(case, case.model_args | case.saved) if case.saved else network))
    assert digest(state) == json.loads(recorded["facts"].item())["digests"][key]
    weights.load_torch(network, state, name)
    network.eval()
    return network, recorded


def compiled(function):
    """Without optimisation, which is most of the time here."""
    return jax.jit(function, compiler_options={"xla_backend_optimization_level": 0})


@pytest.mark.parametrize("name", CASES if is_long() else QUICK)
def test_features_and_logits_are_those_of_timm(name):
    _, key, case = CASES[name]
    network, recorded = network_of(name)
    graphdef, leaves = nnx.split(network)
    forward = compiled(Merged(graphdef))
    features, logits = forward(leaves, jnp.asarray(uniform("images", (2, *case.size, 3))))
    assert error(features, recorded[f"{key}.features"]) <= 5e-6
    assert error(logits, recorded[f"{key}.logits"]) <= 5e-6


@pytest.mark.long
@pytest.mark.parametrize("name", ["vit-dinov2", "convnext-v2", "swin_transformer-divided", "efficientnet-test"])
def test_bfloat16_is_near_float32(name):
    _, key, case = CASES[name]
    network, recorded = network_of(name)
    graphdef, leaves = nnx.split(network)
    half = partial(applied, Merged(graphdef), preparation=AsItIs(), dtype="bfloat16")
    features, logits = compiled(half)(leaves, jnp.asarray(uniform("images", (2, *case.size, 3))))
    assert 1e-4 < error(features, recorded[f"{key}.features"]) < 0.05
    assert 1e-4 < error(logits, recorded[f"{key}.logits"]) < 0.05
