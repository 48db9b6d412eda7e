"""timm's ``model_args``: the arguments that a ``config.json`` passes to the constructor of its network."""

from collections.abc import Mapping
from typing import Any

from leepjax.models.architectures import abstract, arguments_of, as_tuple, pools_of, with_arguments
from leepjax.models.layers.convolution import POOLS
from leepjax.printable import printable
from leepjax.types import InputError

_TRAINING_ONLY = {
    "attn_drop_rate",
    "bn_momentum",
    "drop_block_rate",
    "drop_connect_rate",
    "drop_path_rate",
    "drop_rate",
    "head_init_scale",
    "patch_drop_rate",
    "pos_drop_rate",
    "proj_drop_rate",
    "weight_init",
    "zero_init_last",
}
"""Arguments that have no effect at inference."""
_WITHOUT_EFFECT: dict[str, tuple[Any, ...]] = {
    "aa_layer": ("",),
    "block_args": ({},),
    "exportable": (False,),
    "features_only": (False,),
    "output_stride": (32,),
    "scriptable": (False,),
}
"""Argument → the accepted values, with which a network that doesn't take the argument is built anyway."""
_SIZES = ("img_size", "patch_size")
"""Arguments that may be a number or a pair of numbers, whichever of the two their default is."""
_FAST_POOLS = {"fast": "avg"} | {f"fast{pool}": pool for pool in POOLS}
"""timm's other names of pools"""


_LAYERS = ("act_layer", "aa_layer", "block_args", "norm_layer")


def check_no_layers(architecture: str, arguments: Mapping[str, Any], origin: str) -> None:
    """Refuse a ``config.json`` that exchanges the kind of layers, which most tensors fit whatever the kind is.

    timm has an architecture of its own for each network that was trained so.

    Raises:
        InputError: for the first such argument.
    """
    known = arguments_of(architecture)
    for name in _LAYERS:
        if (value := arguments.get(name)) is not None and value not in ("", {}, known.get(name)):
            raise _refused(origin, name, repr(value))


def apply_model_args(
    architecture: str,
    arguments: Mapping[str, Any],
    num_classes: int,
    global_pool: str | None,
    origin: str,
    image_size: int | tuple[int, int] | None = None,
    channels: int = 3,
) -> str:
    """The name, in the table of architectures, of the network that timm would build.

    ``null`` is timm's default for every argument. Arguments that the architecture takes are applied, and its
    ``img_size`` is that of the images unless it is given; arguments that matter only in training are ignored; any other
    must have its default value.

    Args:
        architecture: timm's name.
        arguments: ``model_args``.
        num_classes: number of classes of the classifier.
        global_pool: ``global_pool`` of ``config.json`` outside ``model_args``.
        origin: name of the source in messages.
        image_size: side of the images, or height and width, for architectures with a fixed one.
        channels: of the images.

    Raises:
        InputError: for the first argument that isn't supported.
    """
    given = {name: value for name, value in arguments.items() if value is not None}
    pool = given.pop("global_pool", global_pool)
    if global_pool is not None and pool != global_pool:
        raise _refused(origin, "global_pool", f"{pool!r} in model_args and {global_pool!r} beside them")
    known, accepted = arguments_of(architecture), _WITHOUT_EFFECT | {"num_classes": (num_classes,)}
    if "img_size" in known:
        given = {"img_size": image_size or known["img_size"]} | given
    if channels != given.setdefault("in_chans", channels):
        raise _refused(origin, "in_chans", f"{given['in_chans']!r} in model_args and {channels} in input_size")
    if given["in_chans"] == 3:
        del given["in_chans"]
    applied = {}
    for name, value in given.items():
        if name in known and (_fits(value, known[name]) or (name in _SIZES and _is_size(value))):
            applied[name] = _as_default(value, known[name])
        elif name not in _TRAINING_ONLY and not any(_same(value, each) for each in accepted.get(name, ())):
            raise _refused(origin, name, repr(value))
    default = known.get("pool", "token")
    if pool is not None and pool != default:
        pool = _FAST_POOLS.get(pool, pool) if isinstance(pool, str) else pool
        if "pool" not in known or pool not in pools_of(architecture):
            raise _refused(origin, "global_pool", repr(pool))
        applied["pool"] = pool
    model = with_arguments(architecture, {name: value for name, value in applied.items() if value != known[name]})
    if model != architecture:
        _check_buildable(model, num_classes, applied, origin)
    return model


def _check_buildable(model: str, num_classes: int, applied: Mapping[str, Any], origin: str) -> None:
    try:
        abstract(model, num_classes)
    except InputError as error:
        raise InputError(f"{origin}: {error}") from None
    except Exception as error:  # any sizes that don't fit each other, which layers report in their own ways
        raise InputError(
            f"{origin}: expected model_args that fit each other, got {printable(str(applied))[:80]}: "
            f"{printable(str(error))[:80]}; save the network again."
        ) from error


def _fits(value: Any, default: Any) -> bool:
    """Whether a value in JSON has the type of a default; a number or a pair of equal numbers may stand for a size."""
    value = _as_default(value, default)
    if default is None or isinstance(default, float):
        return default is None or (isinstance(value, int | float) and not isinstance(value, bool))
    return isinstance(value, type(default)) and isinstance(value, bool) == isinstance(default, bool)


def _is_size(value: Any) -> bool:
    """Whether a value in JSON is a number of pixels, or one of rows and one of columns."""
    sides = value if isinstance(value, list | tuple) and len(value) == 2 else [value]
    return all(type(side) is int for side in sides)


def _as_default(value: Any, default: Any) -> Any:
    value = as_tuple(value)
    is_square = isinstance(default, int) and isinstance(value, tuple) and len(set(value)) == 1
    return value[0] if is_square else value


def _same(value: Any, known: Any) -> bool:
    return type(value) is type(known) and value == known


def _refused(origin: str, name: str, got: str) -> InputError:
    return InputError(
        f"{origin}: expected model_args that leepjax's networks support, got {printable(name)[:80]} = "
        f"{printable(got)[:80]}, which changes what the network computes; choose another model."
    )
