"""``onnx:model.onnx``: a network in an ONNX file, computed by ONNX Runtime."""

from dataclasses import dataclass, replace
from functools import cached_property
from pathlib import Path
from typing import Any

import jax
import numpy as np

from leepjax.data.preprocessing import Preprocessing
from leepjax.models.bridges.bridged import Bridged
from leepjax.models.bridges.files import MEAN, PIXELS, STD, assumed, file_of, read_stated, source_of_file
from leepjax.models.bridges.heads import IN_FILE, HeadCall, check_repeated, find_head, is_head, probe_images, same
from leepjax.models.bridges.libraries import library
from leepjax.models.bridges.onnx_graph import OnnxHead, OnnxInput, image_input, last_linear, vectors, with_outputs
from leepjax.models.source import HostNetwork, Source
from leepjax.storage.files import digest
from leepjax.types import DType, InputError, Outputs

PREFIX = "onnx:"


@dataclass(frozen=True, eq=False)
class OnnxNetwork(HostNetwork):
    """A serialised graph, and the names of its features and logits."""

    name: str
    content: bytes
    images: OnnxInput
    outputs: tuple[str, ...]
    """Features and logits, or features alone"""
    num_bytes: int
    """Digest of the weights"""
    kind: str = "an ONNX file"

    def __reduce__(self):
        return OnnxNetwork, (self.name, self.content, self.images, self.outputs, self.num_bytes)

    @property
    def weight_bytes(self) -> int:
        return self.num_bytes

    @cached_property
    def _session(self) -> Any:
        runtime = library(self.name, "onnxruntime", "onnx")
        options = runtime.SessionOptions()
        options.log_severity_level = 3  # errors
        return runtime.InferenceSession(self.content, options, providers=runtime.get_available_providers())

    def compute(self, images: jax.Array, dtype: DType) -> Outputs:
        if dtype != "float32":
            raise InputError(f"{self.name}: expected dtype float32 for an ONNX file, got {dtype}; leave dtype out.")
        arrays = [array.astype(np.float32) for array in self.run(np.asarray(images), self.outputs)]
        features = arrays[0]
        return Outputs(features, arrays[1] if len(arrays) > 1 else features[:, :0])

    def run(self, images: np.ndarray, outputs: tuple[str, ...]) -> list[np.ndarray]:
        """Values of the graph for images [n s s 3] float32, in batches of the graph's size if it is fixed."""
        given = np.ascontiguousarray(images.transpose(0, 3, 1, 2)) if self.images.channels_first else images
        given = (np.rint(given).clip(0, 255) if self.images.takes_pixels else given).astype(self.images.dtype)
        size = self.images.shape[0] or len(given)
        parts = []
        for start in range(0, len(given), size):
            part = given[start : start + size]
            padded = np.pad(part, ((0, size - len(part)), (0, 0), (0, 0), (0, 0)))
            parts.append([array[: len(part)] for array in self._session.run(outputs, {self.images.name: padded})])
        return [np.concatenate(arrays) for arrays in zip(*parts, strict=True)]


def open_onnx(name: str) -> Source:
    """Open a network of images in an ONNX file. ``model.json`` beside it may state its preprocessing and classes.

    Raises:
        InputError: without the libraries, for another file, or when the output isn't that of the last linear layer.
    """
    path = file_of(name, PREFIX)
    stated = read_stated(path)
    return source_of_file(name, _bridged(name, path, stated.preprocessing), stated)


def _bridged(name: str, path: Path, preprocessing: Preprocessing | None) -> Bridged:
    onnx = library(name, "onnx", "onnx")
    try:
        model = onnx.load(path)  # with the weights that it keeps in files of their own
    except Exception as error:  # protobuf's exceptions
        raise InputError(f"{name}: expected an ONNX file, got {type(error).__name__}; export it again.") from error
    images, head, outputs = image_input(onnx, name, model.graph), last_linear(model.graph), vectors(onnx, model.graph)
    tensors = model.graph.initializer
    weights_hash = digest(model.SerializeToString())
    network = OnnxNetwork(
        name,
        with_outputs(onnx, model, tuple(head) if head else ()),
        images,
        tuple(head) if head else (outputs[0],),
        sum(onnx.numpy_helper.to_array(tensor).nbytes for tensor in tensors),
    )
    size = images.image_size or 224
    if preprocessing is None:
        preprocessing = assumed(path, *_assumption(images, size))
    elif images.takes_pixels and not (preprocessing.mean == (0,) * 3 and np.allclose(preprocessing.std, PIXELS, 1e-3)):
        raise InputError(
            f"{name}: expected mean 0 and std {PIXELS[0]:.8f} of each channel for a graph that takes uint8, got "
            f"{preprocessing.mean} and {preprocessing.std}; correct the preprocessing in the JSON file beside it."
        )
    if images.image_size not in (None, preprocessing.image_size):
        raise InputError(
            f"{name}: expected image_size {size}, which the graph takes, got {preprocessing.image_size}; correct the "
            "preprocessing in the JSON file beside it."
        )
    read, num_classes = _checked(network, head, outputs, preprocessing.size)
    network = replace(network, outputs=read)
    num_parameters = sum(int(np.prod(tensor.dims)) for tensor in tensors)
    return Bridged(name, network, num_classes, num_parameters, weights_hash, preprocessing)


def _assumption(images: OnnxInput, size: int) -> tuple[Preprocessing, str]:
    """The assumed preprocessing: pixels in 0..255 for a graph that takes uint8, otherwise ImageNet's."""
    if images.takes_pixels:
        return Preprocessing(image_size=size, crop=0.875, std=PIXELS), "the range of its uint8"
    return Preprocessing(image_size=size, crop=0.875, mean=MEAN, std=STD), "ImageNet's"


def _checked(
    network: OnnxNetwork, head: OnnxHead | None, outputs: list[str], size: tuple[int, int]
) -> tuple[tuple[str, ...], int]:
    """Probe the network; return the names of features and logits, and the number of classes (0 without a head)."""
    probe = probe_images(size)
    names = (*outputs, *(head or ()))
    try:
        values, again = network.run(probe, names), network.run(probe, names)
    except InputError:
        raise
    except Exception as error:  # ONNX Runtime's exceptions
        first = str(error).partition("\n")[0]
        raise InputError(
            f"{network.name}: expected a graph that ONNX Runtime computes, got {first}; export it again."
        ) from None
    for first, second in zip(values, again, strict=True):
        check_repeated(network.name, first, second)
    calls = [HeadCall(head.logits, *values[len(outputs) :])] if head else []
    values = dict(zip(outputs, values, strict=False))
    flat = {name: value for name, value in values.items() if value.ndim == 2} or values
    output = _only(network.name, calls, flat) if len(flat) > 1 else next(iter(flat))
    if find_head(network.name, calls, values[output], IN_FILE) and head:
        return tuple(head), values[output].shape[1]
    return (output,), 0


def _only(name: str, calls: list[HeadCall], found: dict[str, np.ndarray]) -> str:
    """The output with the logits, if all other outputs are their softmax or the features before them.

    Raises:
        InputError: for any other output, such as that of a second head.
    """
    logits = [output for output, value in found.items() if any(is_head(call, value) for call in calls)]
    if not logits or not all(is_head(calls[0], each) or same(each, calls[0].features) for each in found.values()):
        raise InputError(
            f"{name}: expected one output of logits or features, or the input of the last linear layer beside its "
            f"output, got {', '.join(found)}; save the network with its logits, or its features, as the only output."
        )
    return logits[0]
