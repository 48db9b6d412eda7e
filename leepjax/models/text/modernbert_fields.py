"""The configuration of ModernBERT, in which layers and angles are described in either of two ways."""

from collections.abc import Mapping
from typing import Any

from leepjax.types import InputError

_KINDS = {"full_attention": "global_rope_theta", "sliding_attention": "local_rope_theta"}
"""Kinds of layers → the field that files of before transformers 5 have for the base of their angles."""


def modernbert_fields(fields: Mapping[str, Any], origin: str) -> dict[str, Any]:
    """The fields of ``config.json`` with `global_attn_every_n_layers` and a base of the angles of each kind of layers.

    Files that transformers 5 writes have `layer_types` and `rope_parameters` instead.

    Args:
        fields: of ``config.json``.
        origin: name of the source in messages.

    Raises:
        InputError: for layers in another order, and for angles that are scaled.
    """
    found = dict(fields)
    if (kinds := fields.get("layer_types")) is not None:
        found["global_attn_every_n_layers"] = _every(kinds, origin)
    for kind, name in _KINDS.items():
        of_kind = (fields.get("rope_parameters") or {}).get(kind) if _is_mapping(fields, origin) else None
        if not of_kind:
            continue
        if not isinstance(of_kind, Mapping) or of_kind.get("rope_type", "default") != "default":
            raise InputError(
                f"{origin}: expected rope_parameters of the type default for {kind}, got {str(of_kind)[:80]}; open it "
                "as transformers:…."
            )
        found[name] = of_kind.get("rope_theta")
    if fields.get("rope_scaling"):
        raise InputError(f"{origin}: expected no rope_scaling, got one; open it as transformers:….")
    if fields.get("classifier_pooling") not in (None, "cls", "mean"):
        raise InputError(
            f"{origin}: expected classifier_pooling cls or mean, got {str(fields['classifier_pooling'])[:80]!r}; "
            "correct config.json."
        )
    return found


def _is_mapping(fields: Mapping[str, Any], origin: str) -> bool:
    if isinstance(rope := fields.get("rope_parameters") or {}, Mapping):
        return True
    raise InputError(
        f"{origin}: expected rope_parameters for each kind of layers, got {str(rope)[:80]}; save it again."
    )


def _every(kinds: Any, origin: str) -> int:
    """Every which layer attends to all tokens, from the first one on."""
    if isinstance(kinds, list) and kinds and set(map(str, kinds)) <= _KINDS.keys():
        following = [index for index, kind in enumerate(kinds) if kind == "full_attention" and index]
        every = following[0] if following else len(kinds)
        if all((kind == "full_attention") == (index % every == 0) for index, kind in enumerate(kinds)):
            return every
    raise InputError(
        f"{origin}: expected layer_types that repeat one full_attention and a number of sliding_attention, got "
        f"{str(kinds)[:80]}; open it as transformers:…."
    )
