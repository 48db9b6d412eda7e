"""The table of architectures: name → a function that builds a freshly initialised network."""

import inspect
import json
from collections.abc import Callable, Mapping
from functools import cache, lru_cache, partial
from typing import Any

from flax import nnx

from leepjax.models import linear
from leepjax.models.families import (
    beit,
    byobnet_table,
    cait,
    cifar_resnet,
    convnext,
    darknet,
    densenet,
    efficientnet_table,
    efficientvit_mit,
    eva,
    focalnet,
    hgnet,
    hiera,
    inception_next,
    levit,
    mambaout,
    maxxvit_table,
    metaformer,
    mlp_mixer,
    mobilenet_table,
    mobilenetv3_table,
    mobilevit,
    nextvit,
    nfnet_table,
    pit,
    pvt_v2,
    regnet,
    repghost,
    repvit,
    resnet_table,
    resnetv2,
    rexnet,
    senet,
    swin_transformer,
    swin_transformer_v2,
    swin_transformer_v2_cr,
    tiny_vit,
    twins,
    vgg,
    vit_relpos,
    vit_table,
    volo,
    xcit,
)
from leepjax.models.grey import grey
from leepjax.models.layers.convolution import POOLS
from leepjax.models.tap_names import Tap, split_tap
from leepjax.models.taps import TappedNetwork
from leepjax.models.text.table import TEXT_ARCHITECTURES
from leepjax.types import unknown_name

ARCHITECTURES: Mapping[str, partial[Any]] = {
    **cifar_resnet.ARCHITECTURES,
    **resnet_table.ARCHITECTURES,
    **senet.ARCHITECTURES,
    **efficientnet_table.ARCHITECTURES,
    **mobilenet_table.ARCHITECTURES,
    **mobilenetv3_table.ARCHITECTURES,
    **efficientvit_mit.ARCHITECTURES,
    **hgnet.ARCHITECTURES,
    **regnet.ARCHITECTURES,
    **resnetv2.ARCHITECTURES,
    **vgg.ARCHITECTURES,
    **densenet.ARCHITECTURES,
    **repvit.ARCHITECTURES,
    **rexnet.ARCHITECTURES,
    **repghost.ARCHITECTURES,
    **mobilevit.ARCHITECTURES,
    **nfnet_table.ARCHITECTURES,
    **byobnet_table.ARCHITECTURES,
    **darknet.ARCHITECTURES,
    **vit_table.ARCHITECTURES,
    **vit_relpos.ARCHITECTURES,
    **beit.ARCHITECTURES,
    **convnext.ARCHITECTURES,
    **metaformer.ARCHITECTURES,
    **swin_transformer_v2_cr.ARCHITECTURES,
    **focalnet.ARCHITECTURES,
    **pvt_v2.ARCHITECTURES,
    **tiny_vit.ARCHITECTURES,
    **mambaout.ARCHITECTURES,
    **inception_next.ARCHITECTURES,
    **nextvit.ARCHITECTURES,
    **maxxvit_table.ARCHITECTURES,
    **swin_transformer.ARCHITECTURES,
    **swin_transformer_v2.ARCHITECTURES,
    **eva.ARCHITECTURES,
    **cait.ARCHITECTURES,
    **xcit.ARCHITECTURES,
    **volo.ARCHITECTURES,
    **hiera.ARCHITECTURES,
    **levit.ARCHITECTURES,
    **mlp_mixer.ARCHITECTURES,
    **pit.ARCHITECTURES,
    **twins.ARCHITECTURES,
}
"""Name → the class of a network with arguments; a call with ``num_classes`` and ``rngs`` builds the network.

Keyword-only arguments of a class have the names of timm's ``model_args``, and ``pool`` is ``global_pool``.
"""


def builder(model: str) -> Callable[..., Any]:
    """The function that builds a network, by its name in the table or by one that ``with_arguments`` made.

    With a tap at its end (``resnet18@layer3.1:mean``), it builds that network up to the tap, with a head there.

    Raises:
        InputError: for any other name.
    """
    bare, tap = split_tap(model)
    if tap is not None:
        return partial(_tapped, builder(bare), tap)
    name, separator, written = model.partition(":")
    arguments = _read_arguments(written) if separator else {}
    build = _in_a_table(name)
    if build is None or arguments is None or not arguments.keys() <= arguments_of(name).keys():
        raise unknown_name("model", model, ARCHITECTURES)
    channels = arguments.pop("in_chans", 3)
    build = partial(build, **arguments) if arguments else build
    return partial(grey, build) if channels == 1 else build


def _in_a_table(name: str) -> Callable[..., Any] | None:
    """The row of an architecture, of images, texts or embeddings; None for any other name."""
    return ARCHITECTURES.get(name) or TEXT_ARCHITECTURES.get(name) or linear.ARCHITECTURES.get(name)


def _tapped(build: Callable[..., Any], tap: Tap, num_classes: int, *, rngs: nnx.Rngs) -> TappedNetwork:
    return TappedNetwork(build(0, rngs=rngs), tap, num_classes, rngs=rngs)


@cache
def arguments_of(name: str) -> Mapping[str, Any]:
    """The keyword-only arguments of an architecture in the table, except the random state, and their defaults.

    Every network of images also has ``in_chans``, 3 or 1.
    """
    build: Any = _in_a_table(name)
    parameters = inspect.signature(build.func.__init__).parameters.values()
    defaults = {each.name: each.default for each in parameters if each.kind is each.KEYWORD_ONLY}
    del defaults["rngs"]
    channels = {"in_chans": 3} if name in ARCHITECTURES else {}
    return channels | defaults | {name: value for name, value in build.keywords.items() if name in defaults}


def pools_of(name: str) -> tuple[str, ...]:
    """The values of the argument ``pool`` of an architecture in the table."""
    network: Any = ARCHITECTURES[name].func
    return network.POOLS


def family_of(name: str) -> str:
    """The family of an architecture in the table: the file that has its class.

    >>> family_of("resnet18")
    'resnet'
    """
    return ARCHITECTURES[name].func.__module__.rpartition(".")[2]


def with_arguments(name: str, arguments: Mapping[str, Any]) -> str:
    """The name of an architecture that is built with these arguments, each of which must be a JSON value.

    >>> with_arguments("resnet18", {}), with_arguments("resnet18", {"pool": "max"})
    ('resnet18', 'resnet18:max')
    >>> with_arguments("vit_small_patch16_224", {"img_size": 384})
    'vit_small_patch16_224:{"img_size":384}'
    """
    if not arguments:
        return name
    if arguments.keys() == {"pool"} and arguments["pool"] in POOLS:
        return f"{name}:{arguments['pool']}"
    return f"{name}:{json.dumps(arguments, sort_keys=True, separators=(',', ':'))}"


def build(model: str, num_classes: int, seed: int = 0) -> Any:
    """Build a freshly initialised network, by the name of its architecture (``resnet18`` or ``resnet18:max``).

    Raises:
        InputError: for a name that isn't in the table.
    """
    return builder(model)(num_classes, rngs=nnx.Rngs(seed))


def abstract(model: str, num_classes: int) -> Any:
    """Build a network with shapes in place of arrays, to fill with weights without initialising it first.

    Raises:
        InputError: for a name that isn't in the table.
    """
    return nnx.clone(_abstract(model, num_classes))


# To trace a network takes a tenth of a second to a second, and it is needed several times: to check arguments, to open
# a source, to train it. A copy takes some milliseconds.
@lru_cache(maxsize=64)
def _abstract(model: str, num_classes: int) -> Any:
    return nnx.eval_shape(lambda: build(model, num_classes))


def _read_arguments(written: str) -> dict[str, Any] | None:
    """The arguments after the colon of a name; None if it isn't what ``with_arguments`` writes."""
    if written in POOLS:
        return {"pool": written}
    try:
        arguments = json.loads(written)
    except ValueError:
        return None
    return {name: as_tuple(value) for name, value in arguments.items()} if isinstance(arguments, dict) else None


def as_tuple(value: Any) -> Any:
    """Turn the lists of a JSON value into tuples."""
    return tuple(map(as_tuple, value)) if isinstance(value, list) else value
