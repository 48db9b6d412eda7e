"""The families of source models compute what timm's do, from the same random state (tests/recorded)."""

import importlib
import json
import math
import re
from pathlib import Path

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from flax import nnx
from places import RECORDED
from profiles import one_in, only_long, some_of
from recorded.random_state import digest, images, random_state
from timm_layout import torch_shapes

from leepjax.models import architectures, families, weights
from leepjax.models.architectures import ARCHITECTURES, build
from leepjax.models.families import cifar_resnet
from leepjax.models.layers import convolution, mlp
from leepjax.types import InputError

FIXTURE = np.load(RECORDED / "torch_outputs.npz")
FACTS = json.loads(FIXTURE["facts"].item())
CHECKED = [name for name in FACTS if name != "versions"]
# Small members of timm's families are compared in test_family_outputs.py; these are whole, or in leepjax alone.
WHOLE = ("resnet18", "tf_mobilenetv1_025", "darknet53")
FAMILIES = [name for name in ARCHITECTURES if name not in cifar_resnet.ARCHITECTURES]


def abstract(name, num_classes=10):
    return architectures.abstract(name, num_classes)


def error(got, expected):
    return np.abs(np.asarray(got, np.float64) - expected).max() / np.abs(expected).max()


def outputs(model, x):
    """Compiled without optimisation, which is most of the time here."""
    graphdef, state = nnx.split(model)
    forward = jax.jit(
        lambda state, x: nnx.merge(graphdef, state)(x), compiler_options={"xla_backend_optimization_level": 0}
    )
    return forward(state, x)


# Of one of each family test_coverage.py compares the name and the shape of every tensor.
@pytest.mark.parametrize("name", one_in(4, CHECKED))
def test_there_are_as_many_parameters_as_in_timm(name):
    assert weights.num_parameters(abstract(name)) == FACTS[name]["num_parameters"]


@pytest.mark.parametrize("name", some_of(WHOLE, CHECKED))
def test_outputs_are_those_of_timm(name):
    model = abstract(name)
    state = random_state(torch_shapes(model))
    assert digest(state) == FACTS[name]["digest"]
    weights.load_torch(model, state, name)
    model.eval()
    features, logits = outputs(model, images(name))
    assert error(features[:, :256], FIXTURE[f"{name}.features"]) <= 1e-5
    assert error(logits, FIXTURE[f"{name}.logits"]) <= 1e-5


def test_every_family_is_compared():
    recorded = [path.stem for path in (RECORDED / "families").glob("[a-z]*.py")]
    cases = [case for name in recorded for case in importlib.import_module(f"recorded.families.{name}").CASES.values()]
    compared = {*CHECKED, *(case.architecture for case in cases)}
    assert {ARCHITECTURES[name].func for name in FAMILIES} == {ARCHITECTURES[name].func for name in compared}


@pytest.mark.parametrize(
    "name", ["resnet18", "mobilenetv1_025", "darknet53", 'vit_small_patch16_224:{"depth":1}', "efficientvit_b0"]
)
def test_replace_head(name):
    def replaced():
        model = build(name, 10)
        model.replace_head(3, seed=0)
        return model

    model, x = nnx.eval_shape(replaced), jax.ShapeDtypeStruct((2, 224, 224, 3), jnp.float32)
    features, logits = nnx.eval_shape(lambda model, x: model(x), model, x)
    assert logits.shape == (2, 3)
    parameters = weights.num_parameters(abstract(name))
    assert parameters - weights.num_parameters(model) == 7 * (features.shape[1] + 1)


def test_heads_are_made_by_functions_that_allow_no_classes(monkeypatch):
    """JAX 0.10.1, which Python 3.11 has, can't draw the kernel of Flax's linear layer for them."""
    for file in Path(families.__file__).parent.glob("*.py"):
        assert not re.findall(r"nnx\.Linear\([^()]*num_classes", file.read_text(encoding="utf-8")), file.name
    monkeypatch.setattr(mlp, "_xavier", lambda key, shape, dtype: jnp.ones(shape, dtype) / math.prod(shape))
    assert mlp.linear(3, 0, rngs=nnx.Rngs(0)).kernel.shape == (3, 0)


def test_a_transformer_names_the_size_it_needs():
    model = abstract("vit_small_patch16_224")
    with pytest.raises(InputError, match="ViT: expected images of 224 × 224 pixels, got 32 × 64; resize them"):
        nnx.eval_shape(lambda model, x: model(x), model, jax.ShapeDtypeStruct((2, 32, 64, 3), jnp.float32))


def assert_as_the_librarys(fast, x):
    plain = nnx.clone(fast)
    plain.conv_general_dilated = jax.lax.conv_general_dilated
    gradients = nnx.jit(nnx.value_and_grad(lambda conv, x: (conv(x) ** 3).sum(), argnums=(0, 1)))
    (value, (by_conv, by_x)), expected = gradients(fast, x), gradients(plain, x)
    got = (value, by_conv.kernel[...], by_x)
    for a, b in zip(got, (expected[0], expected[1][0].kernel[...], expected[1][1]), strict=True):
        np.testing.assert_allclose(a, b, rtol=1e-4, atol=1e-4 * np.abs(b).max())


@pytest.mark.parametrize(
    ("size", "stride", "same"), [(3, 1, False), (5, 2, True), *only_long((3, 2, True), (5, 2, False))]
)
def test_depthwise_convolutions_and_their_gradients_are_the_librarys(size, stride, same):
    fast = convolution.conv(4, 4, size, stride, groups=4, same=same, rngs=nnx.Rngs(0))
    assert_as_the_librarys(fast, jax.random.normal(jax.random.key(0), (2, 9, 8, 4)))


@pytest.mark.parametrize(
    ("inputs", "outputs", "groups", "stride", "same"),
    [(24, 48, 6, 1, False), (34, 68, 2, 2, True), *only_long((32, 32, 8, 2, True), (6, 18, 6, 1, True))],
)
def test_grouped_convolutions_and_their_gradients_are_the_librarys(inputs, outputs, groups, stride, same):
    made = convolution.conv(inputs, outputs, 3, stride, groups=groups, same=same, rngs=nnx.Rngs(0))
    assert_as_the_librarys(made, jax.random.normal(jax.random.key(0), (2, 9, 8, inputs)))


@pytest.mark.parametrize("size", [1, 2, 4])
def test_convolutions_of_disjoint_windows_are_the_librarys(size):
    fast = convolution.conv(3, 5, size, size, padding=0, bias=True, rngs=nnx.Rngs(0))
    assert fast.conv_general_dilated is not jax.lax.conv_general_dilated
    x = jax.random.normal(jax.random.key(0), (2, 9, 11, 3))
    got = fast(x)
    fast.conv_general_dilated = jax.lax.conv_general_dilated
    np.testing.assert_allclose(got, fast(x), rtol=1e-5, atol=1e-5)


@pytest.mark.parametrize("dtype", [jnp.float32, jnp.bfloat16])
def test_max_pool_is_that_of_squares(dtype):
    x = jax.random.normal(jax.random.key(0), (2, 9, 8, 3), dtype) - 9
    np.testing.assert_array_equal(convolution.max_pool(x), nnx.max_pool(x, (3, 3), (2, 2), padding=((1, 1), (1, 1))))


def test_swin_transformers_of_the_authors_open():
    small = (
        'swin_tiny_patch4_window7_224:{"depths":[1,1],"embed_dim":6,"img_size":32,"num_heads":[1,1],"window_size":4}'
    )
    model = abstract(small)
    state = random_state(torch_shapes(model))
    theirs = {name.replace("layers.1.down", "layers.0.down").replace("head.fc", "head"): state[name] for name in state}
    weights.load_torch(model, theirs | {"layers.0.blocks.0.attn.relative_position_index": np.zeros(2, int)}, "theirs")
    for name, kernel in (("layers.1.downsample.reduction", model.layers[1]["downsample"].reduction.kernel),
                         ("head.fc", model.head["fc"].kernel)):  # fmt: skip
        np.testing.assert_array_equal(kernel[...], state[f"{name}.weight"].T)
