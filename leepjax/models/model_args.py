"""timm's ``model_args``: the arguments that a ``config.json`` passes to the constructor of its network."""

from collections.abc import Mapping
from typing import Any

from leepjax.models.architectures import has_pool, with_pool
from leepjax.printable import printable
from leepjax.types import InputError

_TRAINING_ONLY = {
    "attn_drop_rate",
    "bn_momentum",
    "drop_block_rate",
    "drop_connect_rate",
    "drop_path_rate",
    "drop_rate",
    "patch_drop_rate",
    "pos_drop_rate",
    "proj_drop_rate",
    "weight_init",
    "zero_init_last",
}
"""Arguments that have no effect at inference."""
_DEFAULTS: dict[str, tuple[Any, ...]] = {
    "aa_layer": ("",),
    "block_args": ({},),
    "class_token": (True,),
    "dynamic_img_size": (False,),
    "exportable": (False,),
    "features_only": (False,),
    "in_chans": (3,),
    "no_embed_class": (False,),
    "output_stride": (32,),
    "pre_norm": (False,),
    "qkv_bias": (True,),
    "reg_tokens": (0,),
    "scriptable": (False,),
}
"""Argument → the accepted values, with which leepjax's networks are built anyway."""
_POOLS = {"avg": "avg", "max": "max", "avgmax": "avgmax"}
_POOLS |= {f"fast{name}": pool for name, pool in _POOLS.items()} | {"fast": "avg"}
"""timm's ``global_pool`` → the same pool in leepjax"""


def apply_model_args(
    architecture: str, arguments: Mapping[str, Any], num_classes: int, global_pool: str | None, origin: str
) -> str:
    """The name, in the table of architectures, of the network that timm would build.

    ``null`` is timm's default for every argument. ``global_pool`` is applied; arguments that matter only in training
    are ignored; any other must have its default value.

    Args:
        architecture: timm's name.
        arguments: ``model_args``.
        num_classes: number of classes of the classifier.
        global_pool: ``global_pool`` of ``config.json`` outside ``model_args``.
        origin: name of the source in messages.

    Raises:
        InputError: for the first argument that isn't supported.
    """
    given = {name: value for name, value in arguments.items() if value is not None}
    pool = given.pop("global_pool", global_pool)
    if global_pool is not None and pool != global_pool:
        raise _refused(origin, "global_pool", f"{pool!r} in model_args and {global_pool!r} beside them")
    accepted = _DEFAULTS | {"num_classes": (num_classes,)}
    if not has_pool(architecture):
        accepted |= {"img_size": (224, [224, 224]), "patch_size": (16, [16, 16])}
    for name, value in given.items():
        if name not in _TRAINING_ONLY and not any(_same(value, known) for known in accepted.get(name, ())):
            raise _refused(origin, name, repr(value))
    if pool is None or (pool == "token" and not has_pool(architecture)):
        return architecture
    if not isinstance(pool, str) or pool not in _POOLS or not has_pool(architecture):
        raise _refused(origin, "global_pool", repr(pool))
    return with_pool(architecture, _POOLS[pool])


def _same(value: Any, known: Any) -> bool:
    return type(value) is type(known) and value == known


def _refused(origin: str, name: str, got: str) -> InputError:
    return InputError(
        f"{origin}: expected model_args that leepjax's networks support, got {printable(name)[:80]} = "
        f"{printable(got)[:80]}, which changes what the network computes; choose another model."
    )
