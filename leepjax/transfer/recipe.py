"""How to train: the choices that a training is repeated by."""

import math
from dataclasses import dataclass
from typing import Literal, get_args

from leepjax.types import InputError, unknown_name

Optimizer = Literal["sgd", "adamw"]
BatchNorm = Literal["train", "frozen"]


@dataclass(frozen=True)
class Recipe:
    """How to train; the defaults are those of He et al. (2016), section 4.2, with a cosine in place of the steps.

    The learning rate rises linearly for `warmup_epochs` (for half of the training, at most) and falls to zero along a
    cosine. Weight decay acts on kernels, and neither on norms nor on biases.
    """

    epochs: int = 20
    """Passes over the images; none leaves the weights as they are."""
    batch_size: int = 128
    """Images in a step, over all devices."""
    optimizer: Optimizer = "sgd"
    """SGD with Nesterov's momentum, or AdamW."""
    learning_rate: float = 0.1
    """At its highest."""
    head_learning_rate: float | None = None
    """That of the linear head, which is new when a source is fine-tuned; the same by default."""
    momentum: float = 0.9
    """Of SGD."""
    weight_decay: float = 5e-4
    """Of kernels."""
    warmup_epochs: float = 1.0
    """In which the learning rate rises."""
    crop: bool = True
    """Shift each image by up to an eighth of its size."""
    flip: bool = True
    """Mirror half of the images."""
    batch_norm: BatchNorm = "train"
    """Batches are normalised by their own statistics, which are averaged for inference, or by those they came with."""
    accumulate: int = 1
    """Work through a batch in so many pieces, which take less memory; norms, unless frozen, see a piece at a time."""
    patience: int | None = None
    """Stop after so many epochs without a better loss on a held-out part of the training set; off by default."""
    validation_fraction: float = 0.1
    """The share that patience holds out; the best weights by it are kept."""
    seed: int = 0
    """Of the new weights, the order of the examples and the augmentation."""

    def __post_init__(self) -> None:
        if self.optimizer not in get_args(Optimizer):
            raise unknown_name("recipe: optimizer", self.optimizer, get_args(Optimizer))
        if self.batch_norm not in get_args(BatchNorm):
            raise unknown_name("recipe: batch_norm", self.batch_norm, get_args(BatchNorm))
        least = {"epochs": 0, "batch_size": 1, "accumulate": 1, "patience": 1, "weight_decay": 0, "warmup_epochs": 0}
        least |= {"seed": 0}
        for name, low in least.items():
            value = getattr(self, name)
            if value is not None and not low <= value < math.inf:
                raise InputError(f"recipe: expected {name} >= {low}, got {value}; pass such a number.")
        for name in ("learning_rate", "head_learning_rate"):
            value = getattr(self, name)
            if value is not None and not 0 < value < math.inf:
                raise InputError(f"recipe: expected {name} > 0, got {value}; pass a positive number.")
        if not 0 <= self.momentum < 1:
            raise InputError(f"recipe: expected momentum in [0, 1), got {self.momentum}; pass a fraction.")
        if not 0 < self.validation_fraction < 1:
            raise InputError(
                f"recipe: expected validation_fraction in (0, 1), got {self.validation_fraction}; pass a fraction."
            )
        if self.batch_size % self.accumulate:
            raise InputError(
                f"recipe: expected a batch_size that is a multiple of accumulate = {self.accumulate}, got "
                f"{self.batch_size}; change either."
            )


@dataclass(frozen=True)
class FineTuning(Recipe):
    """What sources are fine-tuned by, unless somebody knows better."""

    epochs: int = 10
    """Passes over the images; none leaves the weights as they are."""
    batch_size: int = 64
    """Images in a step, over all devices."""
    learning_rate: float = 0.02
    """At its highest."""
    flip: bool = False
    """Mirror half of the images: off, because mirrored digits and letters are other classes."""
