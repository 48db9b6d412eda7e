"""Read transformers' and model2vec's ``config.json``: the architecture of a network of texts, and its classes."""

import contextlib
from collections.abc import Callable, Mapping
from typing import Annotated, Any, NamedTuple

import msgspec

from leepjax.models.architectures import arguments_of, with_arguments
from leepjax.models.card import MOST_CLASSES
from leepjax.models.files.json_files import JsonError, convert, read_json
from leepjax.models.text.modernbert_fields import modernbert_fields
from leepjax.types import InputError, Pooling

_CLASSIFIER = "ForSequenceClassification"
_Size = Annotated[int, msgspec.Meta(ge=1, le=1 << 24)]
_ACTIVATIONS = {
    "gelu": "gelu",
    "gelu_python": "gelu",
    "gelu_new": "gelu_tanh",
    "gelu_fast": "gelu_tanh",
    "gelu_pytorch_tanh": "gelu_tanh",
    "relu": "relu",
    "silu": "silu",
    "swish": "silu",
    "mish": "mish",
    "quick_gelu": "quick_gelu",
    "tanh": "tanh",
}
"""transformers' names of activations → timm's"""


class _Family(NamedTuple):
    """How the configuration of a ``model_type`` becomes an architecture."""

    architecture: str
    width: str
    heads: str
    activations: tuple[str, ...]
    defaults: Mapping[str, Any] = {}
    """Of transformers, where they aren't those of the architecture's class."""
    read: Callable[[Mapping[str, Any], str], Mapping[str, Any]] = lambda fields, origin: fields
    """The fields by the names of the architecture's arguments; the second argument begins messages."""


_BERT = _Family("bert", "hidden_size", "num_attention_heads", ("hidden_act",))
_ROBERTA = _BERT._replace(architecture="roberta", defaults={"pad_token_id": 1})
FAMILIES: Mapping[str, _Family] = {
    "bert": _BERT,
    "roberta": _ROBERTA,
    "xlm-roberta": _ROBERTA,
    "camembert": _ROBERTA,
    "distilbert": _Family("distilbert", "dim", "n_heads", ("activation",)),
    "modernbert": _Family(
        "modernbert",
        "hidden_size",
        "num_attention_heads",
        ("hidden_activation", "classifier_activation"),
        read=modernbert_fields,
    ),
}
"""transformers' ``model_type`` → how it is read."""
STATIC = ("model2vec", "static-embeddings")
"""Values of ``model_type`` of static embeddings."""


class TextConfig(NamedTuple):
    """What a configuration states."""

    model: str
    """A name in the table of architectures, with arguments."""
    num_classes: int
    classes: tuple[str, ...]
    """Empty if they have no names."""
    positions: int | None
    """Most tokens that have a position; None if there are no positions."""


class _Fields(msgspec.Struct, frozen=True):
    """The fields that all families have."""

    model_type: str
    architectures: tuple[str, ...] | None = None
    id2label: dict[str, str] | None = None
    num_labels: Annotated[int, msgspec.Meta(ge=1, le=MOST_CLASSES)] | None = None
    position_embedding_type: str | None = None
    is_decoder: bool | None = None


def text_fields(content: bytes) -> dict[str, Any]:
    """The fields of a ``config.json`` in the form of transformers and model2vec; none of one in any other form."""
    with contextlib.suppress(JsonError):
        fields = read_json(content, dict[str, Any])
        return fields if isinstance(fields.get("model_type"), str) and "architecture" not in fields else {}
    return {}


def read_text_config(fields: Mapping[str, Any], pool: Pooling, origin: str) -> TextConfig:
    """Read the configuration of an encoder or of a classifier of texts.

    Args:
        fields: of ``config.json``.
        pool: the pooling of an encoder; a classifier has its own.
        origin: name of the source in messages.

    Raises:
        InputError: for a model type or an option that leepjax doesn't have, or fields of a wrong type.
    """
    try:
        common = convert(dict(fields), _Fields)
    except JsonError as error:
        raise InputError(f"{origin}: expected transformers' config.json, got {error}; save it again.") from None
    family = FAMILIES.get(common.model_type)
    if family is None:
        raise InputError(
            f"{origin}: expected model_type {', '.join(FAMILIES)} or {STATIC[0]} in config.json, got "
            f"{common.model_type[:80]!r}; choose another model, or open it as transformers:…."
        )
    if common.position_embedding_type not in (None, "absolute") or common.is_decoder:
        got = "a decoder" if common.is_decoder else f"position_embedding_type {common.position_embedding_type!r}"
        raise InputError(
            f"{origin}: expected an encoder with absolute positions, got {got}; open it as transformers:…."
        )
    arguments = _arguments(family, fields, origin)
    is_classifier = any(name.endswith(_CLASSIFIER) for name in common.architectures or ())
    num_classes = _num_classes(common) if is_classifier else 0
    positions = arguments["max_position_embeddings"] - (
        arguments["pad_token_id"] + 1 if family.architecture == "roberta" else 0
    )
    if positions < 1:
        raise InputError(f"{origin}: expected positions for one token or more, got {positions}; correct config.json.")
    arguments |= {"head": True} if is_classifier else {"pool": pool}
    defaults = arguments_of(family.architecture)
    stated = {name: value for name, value in arguments.items() if value != defaults[name]}
    return TextConfig(
        with_arguments(family.architecture, stated), num_classes, _classes(common, num_classes), positions
    )


def _arguments(family: _Family, fields: Mapping[str, Any], origin: str) -> dict[str, Any]:
    """The arguments of an architecture, of the types of their defaults."""
    defaults = {
        name: value for name, value in arguments_of(family.architecture).items() if name not in ("pool", "head")
    }
    found = {**defaults, **family.defaults}
    fields = family.read(fields, origin)
    for name, default in defaults.items():
        if fields.get(name) is None:
            continue
        kind: Any = _Size if type(default) is int and name != "pad_token_id" else type(default)
        try:
            found[name] = convert(fields[name], kind)
        except JsonError as error:
            raise InputError(f"{origin}: expected {name} as transformers has it, got {error}; save it again.") from None
    for name in family.activations:
        if (act := found[name]) not in _ACTIVATIONS:
            raise InputError(
                f"{origin}: expected {name} {', '.join(_ACTIVATIONS)}, got {act[:80]!r}; choose another model."
            )
        found[name] = _ACTIVATIONS[act]
    width, heads = found[family.width], found[family.heads]
    if width % heads:
        raise InputError(
            f"{origin}: expected {family.width} divisible by {family.heads}, got {width} and {heads}; correct "
            "config.json."
        )
    return found


def _num_classes(common: _Fields) -> int:
    """The classes of a classifier; 0 where its head has one output, which is a number."""
    count = len(common.id2label) if common.id2label else common.num_labels or 2
    return 0 if count == 1 else count


def _classes(common: _Fields, num_classes: int) -> tuple[str, ...]:
    """The names of classes in the order of the logits; none where transformers has made them up."""
    labels = common.id2label or {}
    names = tuple(labels.get(str(number), "") for number in range(num_classes))
    made_up = all(name == f"LABEL_{number}" for number, name in enumerate(names))
    return () if made_up or "" in names or len(set(names)) < num_classes else names
