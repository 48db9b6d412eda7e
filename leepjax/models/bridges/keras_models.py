"""Keras 3 models with the JAX backend as sources, also from ``keras:model.keras``."""

import os
import re
from collections import OrderedDict
from functools import partial
from typing import Any

import jax
import numpy as np

from leepjax.data.preprocessing import Preprocessing
from leepjax.models.bridges.bridged import Bridged, code_of, required
from leepjax.models.bridges.files import MEAN, PIXELS, STD, assumed, file_of, read_stated, source_of_file
from leepjax.models.bridges.heads import IN_FILE
from leepjax.models.bridges.jax_modules import Recorded, bridge_jax
from leepjax.models.bridges.libraries import library
from leepjax.models.source import Source
from leepjax.types import InputError

PREFIX = "keras:"
_NORMALISED = 16
"""Normalised pixels are smaller, even of dark or pale images."""

_NUMBERED = re.compile(r'_\d+"')
"""The end of a layer's name: Keras appends the number of layers of this kind made earlier in the process."""


def open_keras(name: str) -> Source:
    """Open a model that Keras 3 saved. ``model.json`` beside ``model.keras`` may state its preprocessing and classes.

    Raises:
        InputError: without Keras, for another file, or when its head isn't found.
    """
    path = file_of(name, PREFIX)
    os.environ.setdefault("KERAS_BACKEND", "jax")  # read once, when Keras is imported
    keras, stated = library(name, "keras", "keras"), read_stated(path)
    try:
        model = keras.saving.load_model(path, compile=False)
    except Exception as error:  # a file of any version
        first = str(error).partition("\n")[0].rstrip(".")
        raise InputError(
            f"{name}: expected a model that Keras can open, got {type(error).__name__}: {first}; save it again."
        ) from error
    sides = _sides(name, model)
    preprocessing = stated.preprocessing or assumed(path, *_assumption(keras, model, sides))
    return source_of_file(name, bridge_keras(model, preprocessing, IN_FILE), stated)


def _sides(caller: str, model: Any) -> tuple[int | None, int | None]:
    """Height and width of the images that a model takes; None for a side that may have any length.

    Raises:
        InputError: when the input isn't RGB images.
    """
    # A model of a user's subclass has no shape before it is called.
    shape = getattr(model, "input_shape", (None, None, None, 3))
    if not isinstance(shape, tuple) or len(shape) != 4 or shape[3] not in (3, None):
        raise InputError(
            f"{caller}: expected {model.name} to take one input of RGB images [n h w 3], got shape {shape}; choose "
            "another model, or put this one behind a layer that takes such images."
        )
    return shape[1], shape[2]


def _assumption(keras: Any, model: Any, sides: tuple[int | None, int | None]) -> tuple[Preprocessing, str]:
    """The assumed preprocessing: pixels in the range that a model which scales them takes, otherwise ImageNet's."""
    height, width = (side or sides[0] or sides[1] or 224 for side in sides)
    size = height if height == width else (height, width)
    for layer in _layers(model):
        if isinstance(layer, keras.layers.Rescaling | keras.layers.Normalization) and _is_of_images(layer):
            low, high = (np.asarray(layer(np.full((1, height, width, 3), value, np.float32))) for value in (0, 1))
            if np.any(low != 0) or np.any(high != 1):
                std = (1.0, 1.0, 1.0) if _takes_unit_range(low, high) else PIXELS
                return Preprocessing(image_size=size, crop=0.875, std=std), "scaling by the model itself"
    return Preprocessing(image_size=size, crop=0.875, mean=MEAN, std=STD), "ImageNet's"


def _is_of_images(layer: Any) -> bool:
    """Whether a layer has images for its input, as far as is known."""
    try:
        return layer.input.shape[-1] == 3
    except (AttributeError, ValueError):  # it is used several times, or in a model of a user's subclass
        return True


def _takes_unit_range(low: np.ndarray, high: np.ndarray) -> bool:
    """Whether a scaling layer with these outputs for 0 and 1 takes pixels in 0..1, rather than in 0..255.

    It takes the range for which its outputs are those of a normalisation. If they are for neither, it gives pixels in
    0..255 for the networks that take these, perhaps without their mean.
    """
    slope = high - low
    of_bytes, of_unit = (np.abs([low, low + top * slope]).max() <= _NORMALISED for top in (255, 1))
    return not of_bytes and (of_unit or np.abs(slope).max() > _NORMALISED)


def _layers(model: Any) -> list[Any]:
    """The layers of a model, and of the models that are layers of it."""
    return list(model._flatten_layers())


def bridge_keras(model: Any, preprocessing: Preprocessing | None, head: str | None) -> Bridged:
    """Describe a Keras model and find its head: the last dense layer, before its activation.

    Raises:
        InputError: for another backend, without preprocessing, or when its head isn't found.
    """
    keras = library("as_source", "keras", "keras")
    name = model.name or type(model).__name__
    if keras.backend.backend() != "jax":
        raise InputError(
            f"as_source: expected Keras with the JAX backend for {name}, got {keras.backend.backend()}; set "
            "KERAS_BACKEND=jax before Keras is imported."
        )
    preprocessing = required(preprocessing, name)
    _build(name, model, preprocessing.size)
    params = tuple([each.value for each in of] for of in (model.trainable_variables, model.non_trainable_variables))
    dense = [layer for layer in _layers(model) if isinstance(layer, keras.layers.Dense)]

    def record(params: Any, images: jax.Array) -> Recorded:
        calls = OrderedDict()
        for layer in dense:
            object.__setattr__(layer, "call", partial(_see, keras, layer, calls))
        try:
            output, _ = model.stateless_call(*params, images, training=False)
        finally:
            for layer in dense:
                object.__delattr__(layer, "call")
        return Recorded(output, calls)

    config = _NUMBERED.sub('"', model.to_json())
    code = f"{config} {code_of([type(model)])}"
    return bridge_jax(name, "a Keras model", record, params, code, preprocessing, head)


def _build(name: str, model: Any, size: tuple[int, int]) -> None:
    """Create the model's remaining variables by calling it.

    Raises:
        InputError: when it takes no images of this height and width.
    """
    sides = _sides("as_source", model)
    if any(side not in (None, wanted) for side, wanted in zip(sides, size, strict=True)):
        raise InputError(
            f"as_source: expected image_size {sides}, which {name} takes, got {size}; correct its preprocessing."
        )
    try:
        model(jax.numpy.zeros((1, *size, 3)))
    except Exception as error:  # layers raise any type, and Keras' messages have many coloured lines
        raise InputError(
            f"as_source: expected {name} to take images [n {size[0]} {size[1]} 3], got {type(error).__name__} from it; "
            "check its preprocessing and its layers."
        ) from error


def _see(keras: Any, layer: Any, calls: dict[str, tuple[Any, Any]], inputs: Any, training: Any = None) -> Any:
    """Call a dense layer, and record its input, and its output before the activation."""
    logits = keras.ops.matmul(inputs, layer.kernel)
    if layer.bias is not None:
        logits = keras.ops.add(logits, layer.bias)
    calls[layer.name] = inputs, logits
    return logits if layer.activation is None else layer.activation(logits)
