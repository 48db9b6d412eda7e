"""Read timm's strings of blocks, such as ``ir_r2_k3_s2_e6_c24_se0.25``, and scale the stages that they describe."""

import math
import re
from collections.abc import Callable, Sequence
from typing import NamedTuple

from leepjax.models.layers.widths import divisible

Stages = Sequence[str]
"""The strings of the blocks of every stage, separated by spaces."""


class Block(NamedTuple):
    """One block; the letters are the keys of its string. `resolve` makes the widths and strides final."""

    kind: str
    """First part of the string: ``ir`` inverted, ``ds`` separable (``dsa`` with a second activation), ``er`` edge,
    ``cn`` convolution, ``uir`` universal inverted, ``mqa`` multi-query attention."""
    outputs: int
    """c"""
    stride: int
    """s, of the first block of a stage"""
    kernels: tuple[int, ...] = ()
    """k: sizes of the kernels of equal parts of the channels; 0 for no such convolution"""
    first: tuple[int, ...] = ()
    """a: kernels of the expansion, or of the first depthwise convolution of ``uir``"""
    last: tuple[int, ...] = ()
    """p: kernels of the projection, or of the last depthwise convolution of ``uir``"""
    expansion: float = 1.0
    """e"""
    squeeze: float = 0.0
    """se: reduction of squeeze-and-excitation relative to the hidden channels, 0 for none"""
    act: str = ""
    """n: activation, by default that of the network"""
    shortcut: bool = True
    """Whether input and output are added where their shapes are equal."""
    group_size: int | None = None
    """gs: channels per group of the main convolution, 0 for all; by default 1 where it is depthwise, else 0."""
    experts: int = 0
    """cc: number of kernels that are mixed for every image"""
    forced: int = 0
    """fc: the number of input channels from which the hidden ones are computed"""
    heads: int = 0
    """h"""
    head_size: int = 0
    """d, of ``mqa``"""
    kv_stride: int = 1
    """v"""
    to_depth: int = 0
    """d, of ``ds`` and ``ir``: 1 for a block that folds 2 × 2 pixels into channels, 2 for those on folded pixels"""
    inputs: int = 0
    hidden: int = 0


_ACTIVATIONS = {"re": "relu", "r6": "relu6", "hs": "hard_swish", "sw": "swish", "mi": "mish"}


def read(text: str) -> tuple[Block, int]:
    """A block and the number of its repetitions.

    >>> block, repeats = read("ir_r2_k3.5_s2_e6_c24_se0.25_nre")
    >>> block.kind, repeats, block.kernels, block.outputs, block.squeeze, block.act
    ('ir', 2, (3, 5), 24, 0.25, 'relu')
    """
    kind, *parts = text.split("_")
    matches = (re.fullmatch(r"([a-z]+)(\d[\d.]*)", part) for part in parts)
    values = {match[1]: match[2] for match in matches if match}
    named = {part[1:] for part in parts} & _ACTIVATIONS.keys()

    def number(key: str) -> int:
        return int(values.get(key, 0))

    def sizes(key: str) -> tuple[int, ...]:
        return tuple(map(int, values.get(key, "0" if kind == "uir" else "1").split(".")))

    block = Block(
        kind,
        outputs=int(values["c"]),
        stride=int(values["s"]),
        kernels=sizes("k"),
        first=sizes("a"),
        last=sizes("p"),
        expansion=1.0 if kind in ("ds", "dsa") else float(values.get("e", 1)),
        squeeze=float(values.get("se", 0)),
        act=_ACTIVATIONS[named.pop()] if named else "",
        shortcut="skip" in parts if kind == "cn" else kind != "dsa" and "noskip" not in parts,
        group_size=int(values["gs"]) if "gs" in values else None,
        experts=number("cc"),
        forced=number("fc"),
        heads=number("h"),
        head_size=number("d") if kind == "mqa" else 0,
        kv_stride=int(values.get("v", 1)),
        to_depth=number("d") if kind in ("ds", "ir") else 0,
    )
    return block, int(values["r"])


def scaled(
    stages: Stages, depth: float | Sequence[float], *, rounding: str = "ceil", fixed_ends: bool = False
) -> list[list[Block]]:
    """The blocks of every stage, their numbers scaled by `depth`, which may have one factor per stage.

    With `fixed_ends` the first and the last stage keep their numbers. Within a stage, the scaled number is divided in
    proportion among the strings, from the last to the first.
    """
    depths = [depth] * len(stages) if isinstance(depth, int | float) else list(depth)
    if fixed_ends:
        depths[0] = depths[-1] = 1
    scaled_stages = []
    for strings, factor in zip(stages, depths, strict=True):
        blocks, repeats = zip(*map(read, strings.split()), strict=True)
        before = sum(repeats)
        after = max(1, round(before * factor)) if rounding == "round" else math.ceil(before * factor)
        numbers = []
        for number in reversed(repeats):
            numbers.append(max(1, round(number / before * after)))
            before, after = before - number, after - numbers[-1]
        pairs = zip(blocks, reversed(numbers), strict=True)
        scaled_stages.append([block for block, number in pairs for _ in range(number)])
    return scaled_stages


def resolve(
    stages: Sequence[Sequence[Block]],
    inputs: int,
    rounded: Callable[[float], int],
    act: str,
    *,
    squeeze_hidden: bool = False,
    group_size: int | None = None,
    experts: int = 1,
) -> list[list[Block]]:
    """The blocks with their final widths, strides and activations.

    Args:
        stages: blocks, by stage.
        inputs: channels of the stem.
        rounded: scales and rounds a number of channels.
        act: activation of blocks that state none.
        squeeze_hidden: whether squeeze-and-excitation reduces the hidden channels by the stated ratio, rather than
            the block's input channels.
        group_size: of blocks that state none.
        experts: factor of the number of experts.
    """
    resolved, folded = [], 0
    for stage in stages:
        blocks = []
        for index, block in enumerate(stage):
            stride, expansion = block.stride if index == 0 else 1, block.expansion
            if folded and stride == 2:  # the folded pixels, four times the channels, stand for the stride
                stride, expansion, to_depth, folded = 1, expansion / 4, 0, 0
            else:
                to_depth = 2 if folded else block.to_depth
                folded = folded or to_depth
            width = 4 * inputs if to_depth == 1 else inputs
            hidden = divisible((rounded(block.forced) if block.forced else width) * expansion)
            reduced = block.squeeze if squeeze_hidden else block.squeeze / expansion
            blocks.append(
                block._replace(
                    inputs=inputs,
                    hidden=width if block.kind in ("ds", "dsa") else hidden,
                    outputs=rounded(block.outputs) * (4 if to_depth else 1),
                    stride=stride,
                    squeeze=reduced / 4 if to_depth == 1 else reduced,
                    act=block.act or act,
                    group_size=_group_size(block, group_size),
                    experts=block.experts * experts,
                    to_depth=to_depth,
                )
            )
            inputs = blocks[-1].outputs
        resolved.append(blocks)
    return resolved


def _group_size(block: Block, default: int | None) -> int:
    depthwise = block.kind not in ("er", "cn")
    return next(size for size in (block.group_size, default, int(depthwise)) if size is not None)
