"""The parameters of a race. Their defaults follow from the benchmark of decisions (`benchmarks/decisions`)."""

from dataclasses import dataclass

import numpy as np

from leepjax.types import InputError


@dataclass(frozen=True, kw_only=True)
class Rules:
    """The sizes of a race's looks, and the rules by which it drops sources."""

    confidence: float = 0.95
    """The probability that no source as good as the leader is dropped as beaten, over all looks."""
    first_per_class: int = 5
    """Examples per class of the first look, on average."""
    least_first: int = 50
    """The least number of examples of the first look, even with few classes."""
    growth: float = 2.0
    """Factor by which the number of examples grows from look to look."""
    inflation: float = 1.5
    """Factor of the variance of a paired difference, because the predictions share their training set."""
    spending: float = 1.0
    """How the error probability is divided: looks 1 to k get (k / looks) ** spending of it; above 1, later get more."""
    slack: float = 0.0
    """How much a source may still gain on the leader each time the examples double, in units of the loss."""

    def __post_init__(self) -> None:
        if not 0.5 <= self.confidence < 1:
            raise InputError(
                f"choose: expected a confidence from 0.5 to below 1, got {self.confidence}; pass one such as 0.95."
            )
        for name, least in (("first_per_class", 1), ("least_first", 1), ("growth", 1.01), ("spending", 1e-3)):
            if not getattr(self, name) >= least:
                raise InputError(f"choose: {name} must be at least {least}, got {getattr(self, name)}; raise it.")
        for name, value in (("inflation", self.inflation), ("slack", self.slack)):
            if not value >= 0:
                raise InputError(f"choose: {name} must be 0 or more, got {value}; raise it.")

    def sizes(self, num_examples: int, num_classes: int) -> list[int]:
        """The numbers of examples of all looks; the last look has all of them."""
        size = max(self.first_per_class * num_classes, self.least_first)
        sizes = []
        # A last look with only a few more examples isn't worth a test, or a program for another batch size.
        while size * (1 + self.growth) / 2 <= num_examples:
            sizes.append(size)
            size = max(round(size * self.growth), size + 1)
        return [*sizes, num_examples]

    def error_of_look(self, number: int, looks: int) -> float:
        """The error probability that may be spent at look `number` (from 1) of `looks`."""
        shares = (np.array([number - 1, number]) / looks) ** self.spending
        return float((1 - self.confidence) * (shares[1] - shares[0]))
