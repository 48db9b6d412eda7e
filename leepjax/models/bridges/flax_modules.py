"""Flax modules as sources: Linen modules are functions of their variables, and NNX modules hold theirs."""

from collections import OrderedDict
from typing import Any

import jax
from flax import linen, nnx

from leepjax.data.preprocessing import Preprocessing
from leepjax.models.bridges.bridged import Bridged, code_of, inference_arguments, required
from leepjax.models.bridges.jax_modules import Recorded, bridge_jax
from leepjax.types import InputError


def bridge_linen(module: Any, variables: Any, preprocessing: Preprocessing | None, head: str | None) -> Bridged:
    """Describe a Linen module with its variables and find its head.

    Raises:
        InputError: without variables or preprocessing, or when its head isn't found.
    """
    name = type(module).__name__
    if variables is None:
        raise InputError(
            f"as_source: expected the variables of the Linen module {name}, got none; pass as_source(module, "
            "variables, …)."
        )
    arguments = inference_arguments(type(module).__call__)

    def record(variables: Any, images: jax.Array) -> Recorded:
        calls = OrderedDict()

        def see(function, args, kwargs, context):
            output = function(*args, **kwargs)
            if isinstance(context.module, linen.Dense) and context.method_name == "__call__":
                calls[".".join(context.module.path)] = args[0], output
            return output

        with linen.intercept_methods(see):
            return Recorded(module.apply(variables, images, **arguments), calls)

    code = f"{module!r} {code_of([type(module)])}"
    return bridge_jax(name, "a Linen module", record, variables, code, required(preprocessing, name), head)


def bridge_nnx(module: Any, preprocessing: Preprocessing | None, head: str | None) -> Bridged:
    """Describe an NNX module and find its head. Training the module further doesn't change the source.

    Raises:
        InputError: without preprocessing, or when its head isn't found.
    """
    name = type(module).__name__
    copy = nnx.clone(module)
    copy.eval()
    graphdef, state = nnx.split(copy)
    modules = dict(nnx.iter_modules(copy))
    arguments = inference_arguments(type(module).__call__)

    def record(state: Any, images: jax.Array) -> Recorded:
        merged, calls = nnx.merge(graphdef, state), OrderedDict()
        for path, layer in nnx.iter_modules(merged):
            if isinstance(layer, nnx.Linear):
                layer.__class__ = _seen(type(layer), ".".join(map(str, path)), calls)
        return Recorded(merged(images, **arguments), calls)

    code = f"{graphdef} {code_of(map(type, modules.values()))}"
    return bridge_jax(name, "an NNX module", record, state, code, required(preprocessing, name), head)


def _seen(kind: Any, path: str, calls: dict[str, tuple[Any, Any]]) -> Any:
    """A subclass of a layer's class that records calls, for a layer that `nnx.merge` made for this trace."""

    def call(self, inputs, *args, **kwargs):
        output = kind.__call__(self, inputs, *args, **kwargs)
        calls[path] = inputs, output
        return output

    return type(kind.__name__, (kind,), {"__call__": call})
