"""How many classes and examples tasks have. Command lines read these types, so nothing heavy is imported."""

from dataclasses import dataclass

from leepjax.types import InputError


@dataclass(frozen=True)
class EpisodeSizes:
    """How many classes and examples episodes have; variable ones are drawn as in Meta-Dataset, at a smaller scale.

    References:
        Triantafillou et al., *Meta-Dataset: A Dataset of Datasets for Learning to Learn from Few Examples*, ICLR 2020,
        section 3.2 and appendix.
    """

    min_ways: int = 5
    """Fewest classes of an episode."""
    max_ways: int = 10
    """Most classes of an episode; every number in between is equally likely."""
    shots: int | None = None
    """Examples of each class to adapt to; by default they vary, between episodes and between classes."""
    max_shots: int = 20
    """Most examples of a class to adapt to, where they vary."""
    max_support: int = 100
    """Most examples of all classes to adapt to, where they vary."""
    queries: int = 10
    """Further examples of each class, which are predicted; at most half of a class."""

    def __post_init__(self) -> None:
        least = {"min_ways": 2, "max_ways": self.min_ways, "shots": 1, "max_shots": 1, "queries": 1}
        if self.shots is None:
            least |= {"max_support": self.max_ways}
        else:
            self._check_fixed()
        for name, low in least.items():
            value = getattr(self, name)
            if value is not None and value < low:
                raise InputError(f"episodes: expected {name} >= {low}, got {value}; raise it.")

    def _check_fixed(self) -> None:
        """Check that nothing is said about how shots vary where they are fixed."""
        for name in ("max_shots", "max_support"):
            if (value := getattr(self, name)) != getattr(EpisodeSizes, name):
                raise InputError(
                    f"episodes: expected {name} where shots vary, got {value} with shots = {self.shots}; leave it out, "
                    "or set shots to none."
                )


@dataclass(frozen=True)
class TaskSizes(EpisodeSizes):
    """Sizes of episodes to test on: by default five classes with five examples each."""

    max_ways: int = 5
    """Most classes of an episode; every number in between is equally likely."""
    shots: int | None = 5
    """Examples of each class to adapt to; none lets them vary, between episodes and between classes."""
    queries: int = 15
    """Further examples of each class, which are predicted; at most half of a class if the shots vary."""
