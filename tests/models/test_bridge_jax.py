"""Modules of Keras, Equinox, Linen and NNX as sources."""

import os

os.environ["KERAS_BACKEND"] = "jax"  # read once, when Keras is imported

import json
import re

import equinox as eqx
import flax.linen
import jax
import jax.numpy as jnp
import keras
import numpy as np
import pytest
from flax import nnx

import leepjax
from leepjax.models.as_source import as_source
from leepjax.models.bridges.keras_models import _assumption
from leepjax.models.opening import load_source
from leepjax.types import InputError

PIXELS = leepjax.Preprocessing(image_size=12, mean=(0.5, 0.4, 0.3), std=(0.2, 0.3, 0.4))
IMAGES = np.random.default_rng(0).integers(0, 256, (5, 12, 12, 3)).astype(np.uint8)
NORMALISED = np.asarray(PIXELS.normalise(jnp.asarray(IMAGES)))


class Linen(flax.linen.Module):
    scale: float = 1.0

    @flax.linen.compact
    def __call__(self, images, train: bool):
        x = flax.linen.BatchNorm(use_running_average=not train)(flax.linen.Conv(6, (3, 3), 2)(images))
        return self.scale * flax.linen.Dense(4, name="fc")(flax.linen.Dense(8)(x.mean(axis=(1, 2))))


class Nnx(nnx.Module):
    def __init__(self, scale=1.0):
        rngs = nnx.Rngs(0)
        self.conv, self.norm = nnx.Conv(3, 6, (3, 3), 2, rngs=rngs), nnx.BatchNorm(6, rngs=rngs)
        self.blocks, self.fc = nnx.List([nnx.Linear(6, 8, rngs=rngs)]), nnx.Linear(8, 4, rngs=rngs)
        self.dropout, self.scale = nnx.Dropout(0.5, rngs=rngs), scale

    def features(self, images):
        return self.dropout(self.blocks[0](self.norm(self.conv(images)).mean(axis=(1, 2))))

    def __call__(self, images):
        return self.scale * self.fc(self.features(images))


class Equinox(eqx.Module):
    conv: eqx.nn.Conv2d
    layers: list
    fc: eqx.nn.Linear
    scale: float = eqx.field(static=True, default=1.0)

    def __init__(self, scale=1.0):
        first, second, third = jax.random.split(jax.random.key(0), 3)
        self.conv, self.fc = eqx.nn.Conv2d(3, 6, 3, 2, key=first), eqx.nn.Linear(8, 4, key=second)
        self.layers, self.scale = [eqx.nn.Linear(6, 8, key=third), eqx.nn.Dropout(0.5)], scale

    def features(self, image):
        return self.layers[1](self.layers[0](self.conv(image).mean(axis=(1, 2))))

    def __call__(self, image):
        return self.scale * self.fc(self.features(image))


def keras_model(activation="softmax"):
    keras.utils.set_random_seed(0)
    images = keras.Input((12, 12, 3))
    x = keras.layers.BatchNormalization()(keras.layers.Conv2D(6, 3, 2)(images))
    x = keras.layers.Dense(8, activation="relu")(keras.layers.GlobalAveragePooling2D()(x))
    return keras.Model(images, keras.layers.Dense(4, activation=activation, name="fc")(x), name="small")


def linen_parts(scale=1.0):
    module = Linen(scale)
    variables = module.init(jax.random.key(0), jnp.zeros((1, 12, 12, 3)), train=False)
    return module, variables


def of_linen():
    module, variables = linen_parts()
    _, seen = module.apply(variables, NORMALISED, train=False, capture_intermediates=True)
    features, logits = (seen["intermediates"][name]["__call__"][0] for name in ("Dense_0", "fc"))
    return (module, variables), features, logits


def of_nnx():
    module = Nnx()
    still = nnx.clone(module)
    still.eval()
    features = still.features(NORMALISED)
    return (module,), features, module.fc(features)


def of_equinox():
    module = Equinox()
    features = jax.vmap(eqx.nn.inference_mode(module).features)(NORMALISED.transpose(0, 3, 1, 2))
    return (module,), features, jax.vmap(module.fc)(features)


def of_keras():
    model = keras_model()
    fc = model.get_layer("fc")
    features = keras.Model(model.inputs[0], fc.input)(NORMALISED)
    return (model,), features, features @ fc.kernel.value + fc.bias.value


KINDS = {"Linen": of_linen, "Nnx": of_nnx, "Equinox": of_equinox, "small": of_keras}


@pytest.mark.parametrize("name", KINDS)
def test_features_and_logits_are_those_around_the_head(name):
    model, features, logits = KINDS[name]()
    source = as_source(*model, preprocessing=PIXELS)
    assert (source.name, source.card.num_classes) == (name, 4)
    np.testing.assert_allclose(source(IMAGES).features, features, atol=1e-5)
    np.testing.assert_allclose(source(IMAGES).logits, logits, atol=1e-5)
    assert as_source(*KINDS[name]()[0], preprocessing=PIXELS).identity == source.identity
    headless = as_source(*model, preprocessing=PIXELS, head=None)
    assert (headless.card.num_classes, headless(IMAGES).logits.shape) == (0, (5, 0))
    assert headless.identity != source.identity
    with pytest.raises(InputError, match=r"of leepjax's own architectures, got an? (Linen|NNX|Equinox|Keras) mo"):
        source.network.model()


@pytest.mark.parametrize(
    "model",
    [
        lambda: linen_parts(3.0),
        lambda: (Nnx(3.0),),
        lambda: (Equinox(3.0),),
        lambda: (keras_model("relu"),),
    ],
    ids=KINDS,
)
def test_another_output_than_the_head_s_is_refused(model):
    model = model()
    with pytest.raises(InputError, match=r"as_source: expected the output of .* to be that of its linear layer 'fc'"):
        as_source(*model, preprocessing=PIXELS)


def test_weights_and_settings_are_the_identity():
    module = Nnx()
    before = as_source(module, preprocessing=PIXELS)
    kept = before(IMAGES).logits
    module.fc.bias[...] += 1
    assert as_source(module, preprocessing=PIXELS).identity != before.identity
    np.testing.assert_array_equal(before(IMAGES).logits, kept)


def test_a_module_that_returns_a_pair_needs_no_head():
    class Pair(nnx.Module):
        def __init__(self):
            self.kernel = nnx.Param(jnp.ones((3, 4)))

        def __call__(self, images):
            features = images.mean(axis=(1, 2))
            return features, features @ self.kernel[...]

    assert [array.shape for array in as_source(Pair(), preprocessing=PIXELS)(IMAGES)] == [(5, 3), (5, 4)]


@pytest.mark.filterwarnings("ignore:__array__ implementation:DeprecationWarning")  # of Keras, when it saves variables
def test_a_file_with_two_heads_is_refused(tmp_path):
    images = keras.Input((12, 12, 3))
    features = keras.layers.GlobalAveragePooling2D()(images)
    keras.Model(images, [keras.layers.Dense(n)(features) for n in (4, 2)], name="two").save(tmp_path / "two.keras")
    with pytest.raises(
        InputError, match=r"as the two outputs of two, got the output of .*; save the network with its lo"
    ):
        load_source(f"keras:{tmp_path / 'two.keras'}")


def test_a_jax_module_is_ranked_with_its_operations():
    source = as_source(Equinox(), preprocessing=PIXELS, name="mine")
    ranking = leepjax.rank("digits", [source], ["logme"], verify="none", limit=40, resamples=0)
    assert ranking.costs["mine"].flops_per_image > 0


@pytest.mark.filterwarnings("ignore:__array__ implementation:DeprecationWarning")  # of Keras, when it saves variables
def test_a_file_of_keras_is_a_source(tmp_path, caplog):
    model = keras_model()
    model.save(tmp_path / "small.keras")
    (tmp_path / "small.json").write_text(json.dumps({"classes": list("abcd"), "licence": "mit"}))
    name = f"keras:{tmp_path / 'small.keras'}"
    source = load_source(name)
    assert (source.name, source.card.classes, source.card.preprocessing.image_size) == (name, tuple("abcd"), 12)
    assert "small.keras: small.json doesn't state its preprocessing; ImageNet's is assumed" in caplog.text
    (tmp_path / "text.keras").write_text("none")
    with pytest.raises(InputError, match=r"text\.keras: expected a model that Keras can open, got Value"):
        load_source(f"keras:{tmp_path / 'text.keras'}")


def small_keras(shape, rescale=False, inputs=1):
    """A model of images of a shape, which are scaled in a model within it if `rescale` is set."""
    images = [keras.Input(shape) for _ in range(inputs)]
    inner = keras.Input(shape)
    x = keras.layers.Rescaling(1 / 255)(inner) if rescale else inner
    within = keras.Model(inner, keras.layers.GlobalAveragePooling2D()(x))
    return keras.Model(images if inputs > 1 else images[0], keras.layers.Dense(4)(within(images[0])), name="small")


@pytest.mark.filterwarnings("ignore:__array__ implementation:DeprecationWarning")
def test_a_file_of_keras_has_pixels_and_oblong_images_as_its_layers_take_them(tmp_path, caplog):
    small_keras((10, 12, 3), rescale=True).save(tmp_path / "nested.keras")
    source = load_source(f"keras:{tmp_path / 'nested.keras'}")
    assert (source.card.preprocessing.image_size, source.card.preprocessing.std) == ((10, 12), (1 / 255,) * 3)
    assert (
        "nested.json beside it states its preprocessing; scaling by the model itself is assumed: 10 × 12" in caplog.text
    )
    np.testing.assert_allclose(source(IMAGES[:, :10]).features, IMAGES[:, :10].mean((1, 2)) / 255, atol=1e-5)


RESCALING, NORMALIZATION = keras.layers.Rescaling, keras.layers.Normalization


@pytest.mark.parametrize(
    ("layers", "expected"),
    [
        ([RESCALING(1 / 127.5, -1)], (0, 255)),
        ([RESCALING(1.0, [-103.9, -116.8, -123.7])], (0, 255)),
        ([NORMALIZATION(mean=[123, 116, 103], variance=[3500] * 3)], (0, 255)),
        ([NORMALIZATION(mean=[0.485, 0.456, 0.406], variance=[0.05] * 3)], (0, 1)),
        ([RESCALING(2.0, -1)], (0, 1)),
        ([RESCALING(255.0), NORMALIZATION(mean=[123, 116, 103], variance=[3500] * 3)], (0, 1)),
        ([RESCALING(1.0), RESCALING(1 / 255)], (0, 255)),
        ([keras.layers.Conv2D(8, 3), RESCALING(0.1)], (-0.485 / 0.229, (1 - 0.406) / 0.225)),
    ],
)
def test_pixels_have_the_range_that_the_first_scaling_layer_takes(layers, expected):
    model = keras.Sequential([keras.Input((12, 12, 3)), *layers])
    pixels, _ = _assumption(keras, model, (12, 12))
    normalised = np.asarray(pixels.normalise(jnp.asarray([[[[0, 0, 0]]], [[[255, 255, 255]]]], jnp.uint8)))
    np.testing.assert_allclose((normalised.min(), normalised.max()), expected, rtol=1e-5)


@pytest.mark.filterwarnings("ignore:__array__ implementation:DeprecationWarning")
@pytest.mark.parametrize(("options", "shape"), [({}, "(None, 12, 12, 1)"), ({"inputs": 2}, "[(None, 12, 12, 1)")])
def test_other_images_than_rgb_ones_of_its_size_are_one_sentence(tmp_path, options, shape):
    model = small_keras((12, 12, 1), **options)
    model.save(tmp_path / "grey.keras")
    with pytest.raises(
        InputError, match=re.escape(f"expected small to take one input of RGB images [n h w 3], got shape {shape}")
    ):
        load_source(f"keras:{tmp_path / 'grey.keras'}")
    with pytest.raises(InputError, match="as_source: expected small to take one input of RGB"):
        as_source(model, preprocessing=PIXELS)
    with pytest.raises(
        InputError, match=re.escape("as_source: expected image_size (10, 12), which small takes, got (12,")
    ):
        as_source(small_keras((10, 12, 3)), preprocessing=PIXELS)


@pytest.mark.parametrize(
    ("model", "options", "message"),
    [
        ((Linen(),), {}, r"expected the variables of the Linen module Linen, got none; pass as_source\(module, vari"),
        ((Nnx(), {"a": 1}), {}, "expected no params beside Nnx, which holds its own, got some"),
        ((Nnx(),), {"preprocessing": None}, "expected the preprocessing that Nnx was trained with, got none"),
        ((nnx.Linear(5, 4, rngs=nnx.Rngs(0)),), {}, r"expected Linear to take images \[n 12 12 3\], .* got TypeError"),
        (("resnet18",), {}, "expected a module of PyTorch, Keras, Equinox or Flax, or a function .*, got str"),
        ((lambda params, images: images, 1.0), {}, "expected name and num_classes for a function, got only one or no"),
    ],
)
def test_what_a_module_lacks_is_one_sentence(model, options, message):
    with pytest.raises(InputError, match=f"as_source: {message}"):
        as_source(*model, **{"preprocessing": PIXELS} | options)
