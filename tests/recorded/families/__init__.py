"""Small members of each family, by timm's architecture and arguments, and what timm's networks compute."""

from typing import Any, NamedTuple

NUM_CLASSES = 5


class Case(NamedTuple):
    """A small network: timm's architecture with `model_args`, on two images [2 h w 3] of `size`.

    If `saved` is given, its weights are those of a network with these further arguments, such as another ``img_size``.
    """

    architecture: str
    size: tuple[int, int]
    model_args: dict[str, Any]
    saved: dict[str, Any] | None = None
