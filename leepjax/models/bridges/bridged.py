"""The description of another library's model that a bridge returns, and the identity of its weights and code."""

import inspect
import re
import sys
from collections.abc import Iterable, Mapping
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np

from leepjax.data.preprocessing import Preprocessing
from leepjax.models.card import Card
from leepjax.models.source import Network, Source
from leepjax.models.text.tokenization import Tokenization
from leepjax.storage.files import digest_stream
from leepjax.types import InputError


class Bridged(NamedTuple):
    """What another library's model states about itself; in `as_source`, the user's arguments take precedence."""

    name: str
    network: Network
    num_classes: int
    """Number of classes; 0 for a model without a head"""
    num_parameters: int
    weights_hash: str
    preprocessing: Preprocessing | None
    classes: tuple[str, ...] = ()
    licence: str = ""
    origin: str = ""
    tokenization: Tokenization | None = None
    """The tokenization of a model of texts, which has no preprocessing"""


def source_of(bridged: Bridged, **stated: Any) -> Source:
    """The source of a bridged model; `stated` are fields of its card."""
    fields: dict[str, Any] = {
        "name": bridged.name,
        "num_classes": bridged.num_classes,
        "reads": "text" if bridged.tokenization else "images",
        "preprocessing": bridged.preprocessing,
        "tokenization": bridged.tokenization,
        "num_parameters": bridged.num_parameters,
        "weights_hash": bridged.weights_hash,
        "classes": bridged.classes,
        "licence": bridged.licence,
        "origin": bridged.origin,
    } | stated
    return Source(Card(model=fields["name"], **fields), bridged.network)


def required(preprocessing: Preprocessing | None, name: str) -> Preprocessing:
    """Return the preprocessing that the user stated, for a model that doesn't state its own.

    Raises:
        InputError: when the user stated none.
    """
    if preprocessing is None:
        raise InputError(
            f"as_source: expected the preprocessing that {name} was trained with, got none; pass "
            "preprocessing=leepjax.Preprocessing(image_size=…, mean=…, std=…)."
        )
    return preprocessing


LIBRARIES = ("torch", "torchvision", "timm", "transformers", "keras", "flax", "equinox")
"""Packages whose code is identified by their version."""

_ADDRESS = re.compile(r" at 0x[0-9a-f]+")


def digest_of(text: str, arrays: Iterable[np.ndarray]) -> str:
    """The digest of a model's description and weights. Addresses in memory, which differ by run, don't count."""

    def parts():
        yield _ADDRESS.sub("", text).encode()
        for array in arrays:
            yield f"{array.shape} {array.dtype}".encode()
            yield np.ascontiguousarray(array).reshape(-1).view(np.uint8)

    return digest_stream(parts())


def digest_of_tree(text: str, tree: Any) -> str:
    """The digest of a model's description and its weights, a pytree of arrays."""
    leaves, structure = jax.tree.flatten(tree)
    return digest_of(f"{text} {structure}", map(_array, leaves))


def _array(leaf: Any) -> np.ndarray:
    if jnp.issubdtype(leaf.dtype, jax.dtypes.prng_key):  # the random state of a layer such as dropout
        leaf = jax.random.key_data(leaf)
    return np.asarray(leaf)


def code_of(classes: Iterable[type]) -> str:
    """Text that identifies the code of classes: the version of a bridged library, or the class's source code."""
    return "\n".join(sorted({_code(each) for each in classes}))


def _code(kind: type) -> str:
    name = f"{kind.__module__}.{kind.__qualname__}"
    package = kind.__module__.partition(".")[0]
    if package in LIBRARIES:
        return f"{name} {getattr(sys.modules.get(package), '__version__', '')}"
    try:
        return f"{name} {inspect.getsource(kind)}"
    except (OSError, TypeError):  # defined in an interactive session
        return name


def settings_of(attributes: Mapping[str, Any]) -> str:
    """The plain values among an object's attributes: numbers, text, and functions by name."""
    return repr([(name, text) for name, value in sorted(attributes.items()) if (text := _setting(value)) is not None])


def _setting(value: Any) -> str | None:
    if value is None or isinstance(value, bool | int | float | str):
        return repr(value)
    if isinstance(value, tuple | list):
        return repr([_setting(each) for each in value])
    return getattr(value, "__qualname__", None)


def inference_arguments(call: Any) -> dict[str, bool]:
    """The arguments that switch a call of a network to inference, of those that the call accepts."""
    try:
        parameters = inspect.signature(call).parameters
    except (TypeError, ValueError):
        return {}
    wanted = {"train": False, "training": False, "is_training": False, "deterministic": True}
    return {name: value for name, value in wanted.items() if name in parameters}
