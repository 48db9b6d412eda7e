"""The hyperparameters of meta-training."""

import math
from dataclasses import dataclass

from leepjax.meta.sizes import EpisodeSizes
from leepjax.types import InputError


@dataclass(frozen=True)
class MetaTraining(EpisodeSizes):
    """How a meta-learner is trained: the sizes of its episodes, and the optimizer, which is Adam.

    The learning rate falls to zero along a cosine.
    """

    episodes: int = 4000
    """Training episodes; 0 leaves the source unadapted."""
    episodes_per_step: int = 4
    """Episodes whose mean gradient makes a step."""
    learning_rate: float = 1e-3
    """Learning rate of the first step."""
    validate_every: int = 400
    """Training episodes between validations; the weights of the best validation are kept."""
    validation_episodes: int = 100
    """Episodes of a validation, the same ones each time."""
    seed: int = 0
    """Seed of the new weights, the split of the classes and the episodes."""

    def __post_init__(self) -> None:
        super().__post_init__()
        least = {"episodes": 0, "episodes_per_step": 1, "validate_every": 1, "validation_episodes": 1, "seed": 0}
        for name, low in least.items():
            if (value := getattr(self, name)) < low:
                raise InputError(f"metatrain: expected {name} >= {low}, got {value}; raise it.")
        if not 0 < self.learning_rate < math.inf:
            raise InputError(
                f"metatrain: expected learning_rate > 0, got {self.learning_rate}; pass a positive number."
            )
        for name in ("episodes", "validate_every"):
            if (value := getattr(self, name)) % self.episodes_per_step:
                raise InputError(
                    f"metatrain: expected {name} to be a multiple of episodes_per_step = {self.episodes_per_step}, got "
                    f"{value}; change one of them."
                )
