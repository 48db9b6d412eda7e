"""How a layer of a source is named: the source, the block and the pooling, as in ``vit-s16@blocks.9:mean``."""

import re
from collections.abc import Iterable
from typing import NamedTuple, get_args

from leepjax.types import Pooling

_TAP = rf"(.+)@([^@/:]+):({'|'.join(get_args(Pooling))})"
_WRITTEN = re.compile(_TAP)
_SHOWN = re.compile(rf"{_TAP}(?: \(.*\))?")
"""In tables, a path or hash follows the name where several sources have it."""


class Tap(NamedTuple):
    """Where features leave a network, and how they are pooled; ``str`` gives ``blocks.9:mean``."""

    block: str
    """A name that the network's `trunk` yields."""
    pooling: Pooling

    def __str__(self) -> str:
        return f"{self.block}:{self.pooling}"


def split_tap(name: str) -> tuple[str, Tap | None]:
    """Split the name of an architecture or source from that of a tap, if it ends with one.

    >>> split_tap("resnet18@layer3.1:mean")
    ('resnet18', Tap(block='layer3.1', pooling='mean'))
    >>> split_tap("resnet18:max")
    ('resnet18:max', None)
    """
    written = _WRITTEN.fullmatch(name)
    return (written[1], Tap(written[2], written[3])) if written else (name, None)  # type: ignore[arg-type]


def selection(names: Iterable[str]) -> str:
    """How many candidates there are, in words, where some are layers of a source; empty where none is or there is one.

    >>> selection(["a", "a@layer1.0:mean", "b"])
    '3 candidates, among them layers of 1 source'
    >>> selection(["a@layer1.0:mean"])
    ''
    """
    names = list(names)
    sources = {shown[1] for name in names if (shown := _SHOWN.fullmatch(name))}
    if not sources or len(names) < 2:
        return ""
    of = f"{len(sources):,} {'source' if len(sources) == 1 else 'sources'}"
    return f"{len(names):,} candidates, among them layers of {of}"
