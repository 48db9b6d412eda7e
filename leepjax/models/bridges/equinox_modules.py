"""Equinox modules as sources. They take a single image [c h w], so they are mapped over the images of a batch."""

from collections import OrderedDict
from typing import Any

import equinox as eqx
import jax
import jax.numpy as jnp

from leepjax.data.preprocessing import Preprocessing
from leepjax.models.bridges.bridged import Bridged, code_of, required
from leepjax.models.bridges.jax_modules import Recorded, bridge_jax


def bridge_equinox(module: Any, state: Any, preprocessing: Preprocessing | None, head: str | None) -> Bridged:
    """Describe an Equinox module, with the state of its layers if it has one, and find its head.

    Raises:
        InputError: without preprocessing, or when its head isn't found.
    """
    name = type(module).__name__
    params, static = eqx.partition((eqx.nn.inference_mode(module), state), eqx.is_array)

    def record(params: Any, images: jax.Array) -> Recorded:
        module, state = eqx.combine(params, static)

        def of_one(image: jax.Array) -> Recorded:
            calls = OrderedDict()
            found = module if not _linear(module) else eqx.tree_at(_layers, module, _seen(module, calls))
            output = found(image) if state is None else found(image, state)[0]
            return Recorded(output, calls)

        return jax.vmap(of_one)(jnp.moveaxis(images, -1, 1))

    leaves = jax.tree.leaves(module, is_leaf=lambda each: isinstance(each, eqx.Module) and each is not module)
    code = f"{static} {code_of([type(module), *map(type, leaves)])}"
    return bridge_jax(name, "an Equinox module", record, params, code, required(preprocessing, name), head)


class _Seen(eqx.Module):
    """A linear layer that records its calls."""

    layer: Any
    path: str = eqx.field(static=True)
    calls: Any = eqx.field(static=True)

    def __call__(self, inputs: Any, *args: Any, **kwargs: Any) -> Any:
        output = self.layer(inputs, *args, **kwargs)
        self.calls[self.path] = inputs, output
        return output


def _linear(module: Any) -> list[tuple[str, Any]]:
    """Path and layer of each linear layer."""
    leaves = jax.tree_util.tree_leaves_with_path(module, is_leaf=lambda each: isinstance(each, eqx.nn.Linear))
    return [(jax.tree_util.keystr(path).lstrip("."), each) for path, each in leaves if isinstance(each, eqx.nn.Linear)]


def _layers(module: Any) -> list[Any]:
    return [layer for _, layer in _linear(module)]


def _seen(module: Any, calls: dict[str, tuple[Any, Any]]) -> list[_Seen]:
    return [_Seen(layer, path, calls) for path, layer in _linear(module)]
