"""Modules of JAX libraries as pure functions: the input and output of the head are recorded while JAX traces them."""

from collections import OrderedDict
from collections.abc import Callable
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np

from leepjax.data.preprocessing import Preprocessing
from leepjax.models.bridges.bridged import Bridged, digest_of_tree
from leepjax.models.bridges.heads import HeadCall, find_head, find_head_of_pair, probe_images
from leepjax.models.source import UserFunction
from leepjax.types import InputError, Outputs


class Recorded(NamedTuple):
    """What a module returned, and the inputs and outputs of its linear layers, in the order of computation."""

    output: Any
    calls: OrderedDict[str, tuple[Any, Any]]
    """Paths, inputs and outputs; not a `dict`, whose keys JAX would sort."""


Record = Callable[[Any, jax.Array], Recorded]
"""``record(params, images)``: pure, for normalised images [n s s 3]."""


def bridge_jax(
    name: str, kind: str, record: Record, params: Any, code: str, preprocessing: Preprocessing, head: str | None
) -> Bridged:
    """Describe a module of a JAX library and find its head.

    Args:
        name: the module's name in messages.
        kind: what messages call a module of its library, such as "an NNX module".
        record: the module as a pure function.
        params: its parameters, any pytree of arrays.
        code: text that changes with the module's code and settings.
        preprocessing: preprocessing of its images.
        head: as in `as_source`.

    Raises:
        InputError: when the module takes no images, or its head isn't found.
    """
    output, recorded = _probed(name, record, params, preprocessing.size)
    calls = [HeadCall(path, *around) for path, around in recorded.items()]
    if is_pair(output):
        call = find_head_of_pair(name, calls, output, head)
        paths, num_classes = ((call.path,), call.logits.shape[1]) if call else ((), output[1].shape[1])
    else:
        paths = find_head(name, calls, output, head)
        num_classes = output.shape[1] if paths else 0

    def apply(params: Any, images: jax.Array) -> Outputs:
        output, calls = record(params, images)
        if not paths:
            return Outputs(*output) if is_pair(output) else Outputs(output, output[:, :0])
        features, logits = zip(*(calls[path] for path in paths), strict=True)
        return Outputs(jnp.concatenate(features, 1), jnp.stack(logits).mean(0))

    num_parameters = sum(leaf.size for leaf in jax.tree.leaves(params) if jnp.issubdtype(leaf.dtype, jnp.inexact))
    weights_hash = digest_of_tree(f"{code} {paths}", params)
    return Bridged(name, UserFunction(apply, params, kind), num_classes, num_parameters, weights_hash, preprocessing)


def is_pair(output: Any) -> bool:
    """Whether a module returned features and logits."""
    return isinstance(output, tuple | list) and len(output) == 2


def _probed(name: str, record: Record, params: Any, size: tuple[int, int]) -> Recorded:
    try:
        found = jax.tree.map(np.asarray, jax.jit(record)(params, probe_images(size)))
        arrays = found.output if is_pair(found.output) else [found.output]
        if not all(isinstance(each, np.ndarray) for each in arrays):
            raise TypeError(f"it returned a {type(found.output).__name__} instead of an array or two")
    except Exception as error:  # a module may raise any type
        raise InputError(
            f"as_source: expected {name} to take images [n {size[0]} {size[1]} 3], or one image [3 {size[0]} "
            f"{size[1]}] for Equinox, got {type(error).__name__}: {str(error).partition(chr(10))[0].rstrip('.')}; "
            "check its preprocessing and arguments."
        ) from error
    return found
