"""Networks of blocks in any order: RepVGG, MobileOne, GENet and further ResNets, with timm's parameter names."""

from collections.abc import Callable, Iterator, Mapping, Sequence
from functools import partial
from typing import Any, NamedTuple

import jax
from flax import nnx

from leepjax.models.families.byobnet_blocks import KINDS, MobileOne, RepVGG, Settings
from leepjax.models.families.regnet import Head
from leepjax.models.families.resnet import NO_ARGUMENTS
from leepjax.models.layers.convolution import conv, global_pool, max_pool
from leepjax.models.layers.squeeze import channel_attention
from leepjax.models.layers.widths import divisible
from leepjax.models.network import VisionNetwork
from leepjax.types import unknown_name


class Blocks(NamedTuple):
    """A number of blocks of a kind; the first has the stride where they begin a stage."""

    kind: str
    depth: int
    channels: float
    stride: int = 2
    group_size: int = 0
    ratio: float = 1.0
    options: Mapping[str, Any] = NO_ARGUMENTS
    groups_of_odd: int = 0
    """Number of groups of convolutions in every second block."""
    gated: bool = False
    """Whether the blocks have squeeze-and-excitation, whatever the network has."""


class Stem(nnx.Module):
    """Convolutions in a row, of which only the last `acts` have a norm and an activation, and a maximum of windows."""

    def __init__(self, widths: Sequence[int], acts: int, pools: bool, settings: Settings):
        channels = 3
        for number, width in enumerate(widths, start=1):
            stride = 2 if number == 1 or (number == len(widths) and not pools) else 1
            if number > len(widths) - acts:
                made = settings.conv(channels, width, 3, stride)
            else:
                made = conv(channels, width, 3, stride, rngs=settings.rngs)
            setattr(self, f"conv{number}", made)
            channels = width
        self.depth, self.pools = len(widths), pools

    def __call__(self, x: jax.Array) -> jax.Array:
        for number in range(1, self.depth + 1):
            x = getattr(self, f"conv{number}")(x)
        return max_pool(x) if self.pools else x


def _stem(width: int, kind: str, pool: str, settings: Settings) -> Any:
    """The layers before the first stage, by timm's name."""
    ungated = settings._replace(attention=_no_gate) if kind == "one" else settings
    halves = [round(width * 0.5**i) for i in range(3, -1, -1)]
    makers: dict[str, Callable[[], Any]] = {
        "3x3": lambda: Stem([width], 1, True, settings) if pool else settings.conv(3, width, 3, 2),
        "deep": lambda: Stem([width] * 3, 3, bool(pool), settings),
        "tiered": lambda: Stem([3 * width // 8, width // 2, width], 3, bool(pool), settings),
        "quad": lambda: Stem(halves, 4, bool(pool), settings),
        "quad2": lambda: Stem(halves, 2, bool(pool), settings),
        "rep": lambda: RepVGG(3, width, 2, 0, 1.0, settings),
        "one": lambda: MobileOne(3, width, 2, 0, 1.0, ungated),
    }
    if kind not in makers:
        raise unknown_name("stem_type", kind, makers)
    return makers[kind]()


def _no_gate(channels: int) -> None:
    del channels


class ByobNet(VisionNetwork):
    """Stages of the given `blocks`: normalised images [n h w 3] → ``Outputs``.

    `width_factor` scales all widths, and `block_kwargs` are further options of the blocks.
    """

    HEAD = "head.fc"

    def __init__(
        self,
        blocks: Sequence[Sequence[Blocks]],
        num_classes: int,
        *,
        downsample: str = "conv1x1",
        stem_type: str = "3x3",
        stem_pool: str = "maxpool",
        stem_chs: int = 32,
        width_factor: float = 1.0,
        num_features: int = 0,
        act_layer: str = "relu",
        attn_layer: str = "",
        attn_kwargs: Mapping[str, Any] = NO_ARGUMENTS,
        block_kwargs: Mapping[str, Any] = NO_ARGUMENTS,
        pool: str = "avg",
        rngs: nnx.Rngs,
    ):
        if stem_pool not in ("", "maxpool"):
            raise unknown_name("stem_pool", stem_pool, ["", "maxpool"])
        attention = partial(channel_attention, attn_layer, options=attn_kwargs, rngs=rngs)
        settings = Settings(downsample, act_layer, attention, rngs)
        gated = settings._replace(attention=partial(channel_attention, "se", options=attn_kwargs, rngs=rngs))
        width = round(stem_chs * width_factor)
        self.stem = _stem(width, stem_type, stem_pool, settings)
        self.stages = nnx.List()
        for rows in blocks:
            stage = nnx.List()
            for row in (each for each in rows for _ in range(each.depth)):
                outputs = divisible(row.channels * width_factor)
                group_size = row.group_size
                if row.groups_of_odd and len(stage) % 2:
                    group_size = outputs // row.groups_of_odd
                stride = 1 if stage else rows[0].stride
                options = dict(block_kwargs if row.options is NO_ARGUMENTS else row.options)
                chosen = gated if row.gated else settings
                stage.append(KINDS[row.kind](width, outputs, stride, group_size, row.ratio, chosen, **options))
                width = outputs
            self.stages.append(stage)
        last = round(num_features * width_factor)
        self.final_conv = settings.conv(width, last, 1) if num_features else None
        self.head = Head(last or width, num_classes, rngs=rngs)
        self.pool = pool

    def trunk(self, images: jax.Array) -> Iterator[tuple[str, jax.Array]]:
        x = self.stem(images)
        for number, stage in enumerate(self.stages):
            for index, block in enumerate(stage):
                x = block(x)
                yield f"stages.{number}.{index}", x

    def features(self, x: jax.Array) -> jax.Array:
        return global_pool(x if self.final_conv is None else self.final_conv(x), self.pool)
