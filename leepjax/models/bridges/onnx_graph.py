"""Find the image input and the head in a graph of ONNX, and make the head's input and output outputs of the graph."""

from typing import Any, NamedTuple

import numpy as np

from leepjax.types import InputError


class OnnxInput(NamedTuple):
    """The graph's input for images."""

    name: str
    shape: tuple[int | None, ...]
    """None where a dimension isn't fixed"""
    dtype: np.dtype
    """A float of any precision, or uint8 for pixels in 0..255"""

    @property
    def takes_pixels(self) -> bool:
        return self.dtype == np.uint8

    @property
    def channels_first(self) -> bool:
        return self.shape[1] == 3

    @property
    def image_size(self) -> int | None:
        return self.shape[2]


class OnnxHead(NamedTuple):
    """Names of the values around the last linear layer."""

    features: str
    logits: str


_DTYPES = ("float32", "float16", "float64", "uint8")


def image_input(onnx: Any, name: str, graph: Any) -> OnnxInput:
    """Find the image input of a graph.

    Raises:
        InputError: unless the graph has one input, a batch of square RGB images of floats or of uint8.
    """
    held = {tensor.name for tensor in graph.initializer}
    inputs = [value for value in graph.input if value.name not in held]
    shapes = [
        tuple(dim.dim_value or None for dim in value.type.tensor_type.shape.dim)  # 0 where it has a name or none
        for value in inputs
    ]
    if len(inputs) == 1 and len(shapes[0]) == 4 and 3 in (shapes[0][1], shapes[0][3]):
        dtype = onnx.helper.tensor_dtype_to_np_dtype(inputs[0].type.tensor_type.elem_type)
        if dtype.name not in _DTYPES:
            raise InputError(
                f"{name}: expected a graph that takes {', '.join(_DTYPES)}, got one that takes {dtype.name}; export "
                "it for images of float32."
            )
        found = OnnxInput(inputs[0].name, shapes[0], dtype)
        sides = found.shape[2:] if found.channels_first else found.shape[1:3]
        if sides[0] == sides[1]:
            return found
    raise InputError(
        f"{name}: expected one input of square RGB images [n 3 s s] or [n s s 3], got shapes {shapes}; export the "
        "network alone."
    )


def last_linear(graph: Any) -> OnnxHead | None:
    """The last Gemm or MatMul with constant weights, and the addition of its bias; None if there is none."""
    constant = _constants(graph)
    linear = [
        node
        for node in graph.node
        if node.op_type in ("Gemm", "MatMul") and node.input[1] in constant and node.input[0] not in constant
    ]
    if not linear:
        return None
    features, logits = linear[-1].input[0], linear[-1].output[0]
    for node in graph.node:
        if node.op_type == "Add" and logits in node.input and {*node.input} - {logits} <= constant:
            logits = node.output[0]
    return OnnxHead(features, logits)


def vectors(onnx: Any, graph: Any) -> list[str]:
    """The outputs that may be features or logits: real numbers with two axes; if there are none, the first output."""
    real = (onnx.TensorProto.FLOAT, onnx.TensorProto.FLOAT16, onnx.TensorProto.DOUBLE)
    found = []
    for value in graph.output:
        tensor = value.type.tensor_type
        if tensor.elem_type in real and (len(tensor.shape.dim) == 2 or not tensor.HasField("shape")):
            found.append(value.name)
    return found or [graph.output[0].name]


def _constants(graph: Any) -> set[str]:
    """Names of the values that don't depend on the input."""
    constant = {tensor.name for tensor in graph.initializer}
    for node in graph.node:
        if {*node.input} <= constant | {""}:
            constant |= set(node.output)
    return constant


def with_outputs(onnx: Any, model: Any, names: tuple[str, ...]) -> bytes:
    """Serialise the model with these values as additional outputs."""
    known = {value.name for value in model.graph.output}
    model.graph.output.extend(onnx.ValueInfoProto(name=name) for name in names if name not in known)
    return model.SerializeToString()
