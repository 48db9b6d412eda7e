"""Small members of each family, by timm's architecture and arguments, and what timm's networks compute."""

from typing import Any, NamedTuple

import numpy as np
from recorded.random_state import uniform

NUM_CLASSES = 5

TRAINING = {"steps": 5, "learning_rates": (0.01, 0.05), "momentum": 0.9, "weight_decay": 0.01}
"""How the cases are trained that a family's file lists as ``TRAINED``; the rates are those of the body and the head."""


class Case(NamedTuple):
    """A small network: timm's architecture with `model_args`, on two images [2 h w 3] of `size`.

    If `saved` is given, its weights are those of a network with these further arguments, such as another ``img_size``.
    """

    architecture: str
    size: tuple[int, int]
    model_args: dict[str, Any]
    saved: dict[str, Any] | None = None


def training_images(size: tuple[int, int]) -> np.ndarray:
    """One uint8 image per class [n h w 3]."""
    return np.uint8(127.5 + 73 * uniform("training images", (NUM_CLASSES, *size, 3)))
