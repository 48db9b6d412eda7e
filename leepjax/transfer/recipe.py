"""Recipes: the hyperparameters of a training run."""

import math
from dataclasses import dataclass
from typing import Literal, get_args

from leepjax.types import InputError, unknown_name

Optimizer = Literal["sgd", "adamw"]
BatchNorm = Literal["train", "frozen"]


@dataclass(frozen=True)
class Recipe:
    """Hyperparameters of training; the defaults are those of He et al. (2016), section 4.2, with a cosine schedule.

    The learning rate rises linearly for `warmup_epochs` (at most half of the run) and falls to zero along a cosine.
    Weight decay acts on kernels only, not on norms or biases.
    """

    epochs: int = 20
    """Passes over the images; 0 leaves the weights as they are."""
    batch_size: int = 128
    """Images in a step, over all devices."""
    optimizer: Optimizer = "sgd"
    """SGD with Nesterov's momentum, or AdamW."""
    learning_rate: float = 0.1
    """Peak learning rate."""
    head_learning_rate: float | None = None
    """Peak learning rate of the linear head, which is new when a source is fine-tuned; the same by default."""
    momentum: float = 0.9
    """Momentum of SGD."""
    weight_decay: float = 5e-4
    """Weight decay of kernels."""
    warmup_epochs: float = 1.0
    """Epochs in which the learning rate rises."""
    crop: bool = True
    """Shift each image by up to an eighth of its size."""
    flip: bool = True
    """Mirror half of the images."""
    batch_norm: BatchNorm = "train"
    """train: normalise by each batch's statistics, which are averaged for inference; frozen: by the source's own."""
    accumulate: int = 1
    """Number of pieces in which to compute a batch, to save memory; norms, unless frozen, see one piece at a time."""
    patience: int | None = None
    """Stop after this many epochs without a better loss on a held-out part of the training set; off by default."""
    validation_fraction: float = 0.1
    """Fraction of the training set held out for patience; the best weights on it are kept."""
    seed: int = 0
    """Seed of the new weights, the order of the examples and the augmentation."""

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
                raise InputError(f"recipe: expected {name} >= {low}, got {value}; pass a finite number >= {low}.")
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
        if self.optimizer == "adamw" and self.momentum != Recipe.momentum:
            raise InputError(
                f"recipe: expected momentum for optimizer 'sgd' alone, got {self.momentum} for 'adamw'; leave it out."
            )
        if self.patience is None and self.validation_fraction != Recipe.validation_fraction:
            raise InputError(
                f"recipe: expected validation_fraction beside patience alone, got {self.validation_fraction} without "
                "it; set patience, or leave it out."
            )
        if self.batch_size % self.accumulate:
            raise InputError(
                f"recipe: expected a batch_size that is a multiple of accumulate = {self.accumulate}, got "
                f"{self.batch_size}; change one of them."
            )


@dataclass(frozen=True)
class FineTuning(Recipe):
    """The default recipe of fine-tuning."""

    epochs: int = 10
    """Passes over the images; 0 leaves the weights as they are."""
    batch_size: int = 64
    """Images in a step, over all devices."""
    learning_rate: float = 0.02
    """Peak learning rate."""
    flip: bool = False
    """Mirror half of the images; off, because mirrored digits and letters may be other classes."""


def check_fresh(caller: str, recipe: Recipe) -> None:
    """Check that a recipe suits fresh weights.

    Raises:
        InputError: for norms frozen at a source's statistics, which fresh weights don't have.
    """
    if recipe.batch_norm == "frozen":
        raise InputError(
            f"{caller}: expected batch_norm 'train' for fresh weights, which have no statistics of their own, got "
            "'frozen'; leave it out."
        )
