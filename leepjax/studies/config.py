"""The configuration of a study, at several scales."""

from dataclasses import dataclass, field
from typing import Literal, get_args

from leepjax.data.target import Target
from leepjax.measures import DEFAULT_MEASURES
from leepjax.measures.by_task import chosen_for
from leepjax.opening.sources import AnySource
from leepjax.studies.outcome import BASELINES, Method
from leepjax.studies.tasks import Profile
from leepjax.transfer.recipe import FineTuning
from leepjax.types import InputError, unknown_name

Scale = Literal["paper", "desk", "smoke"]
"""The paper's size, for GPUs and TPUs; what two cores do in hours; a check in a minute."""

SHORT_RECIPE = FineTuning(epochs=10, batch_size=32, learning_rate=0.05, flip=True)
"""The recipe for small tasks, from a source or from scratch. It is ours: the paper's isn't known."""


@dataclass(frozen=True)
class Config:
    """Which sources a study transfers to which targets, and how. Details that the paper doesn't state are our choices.

    Raises:
        InputError: without a target, method or measure, for those that don't exist, and numbers that are too small.
    """

    study: str
    sources: tuple[AnySource, ...]
    """Arguments of `load_source`, names of sets, or opened sources."""
    targets: tuple[tuple[str | Target, str | Target], ...]
    """Training and test set of each target, opened or as for `read_target`. If both are the same, it is halved."""
    profiles: tuple[Profile, ...]
    few_classes: int = 4
    """The most classes of a task with a fixed number of classes, in a set of ten classes or fewer."""
    num_tasks: int = 200
    """Number of tasks for each profile, target and source"""
    num_trained: int = 200
    """How many tasks are also fine-tuned: the first ones."""
    methods: tuple[Method, ...] = ("head", "finetune")
    measures: tuple[str, ...] = DEFAULT_MEASURES
    """Measures besides the trivial baselines; ``("all",)`` for all that rank sources by classes.

    A baseline may also be named; it is computed in any case. The baseline ``knn`` also stands for the measure ``knn``.
    """
    learners: tuple[str, ...] = ()
    """Meta-learners for the method ``meta``, one per source: the ``.safetensors`` that ``leepjax metatrain`` wrote."""
    tests_per_class: int | None = None
    """Test images of each class; all by default."""
    l2: float | None = None
    """L2 of re-trained heads; when None, it is chosen for each task by folds of its training examples."""
    recipe: FineTuning = field(default=SHORT_RECIPE)
    """Recipe of fine-tuning and of training from scratch. Its seed is replaced by the task's."""
    image_size: int | None = None
    """Side in pixels of the images for fine-tuning, if a source expects larger ones; scores are of these images too."""
    seed: int = 0

    def __post_init__(self) -> None:
        for name, given in (("target", self.targets), ("method", self.methods)):
            if not given:
                raise InputError(f"study: expected at least one {name}, got none; name one or leave the choice out.")
        for method in self.methods:
            if method not in get_args(Method):
                raise unknown_name("study: methods", method, get_args(Method))
        object.__setattr__(self, "measures", chosen_for("study", "classes", self.measures, BASELINES))
        if ("meta" in self.methods) != bool(self.learners):
            raise InputError(
                f"study: expected meta-learners exactly for the method meta, got methods {', '.join(self.methods)} and "
                f"{len(self.learners)} learners; pass both or neither."
            )
        for name, least in (
            ("num_tasks", 1),
            ("num_trained", 0),
            ("tests_per_class", 1),
            ("image_size", 1),
            ("seed", 0),
        ):
            value = getattr(self, name)
            if value is not None and value < least:
                raise InputError(f"study: expected {name} >= {least}, got {value}; raise it.")


CIFAR100 = ("tfds:cifar100:train", "tfds:cifar100:test")
FASHION_MNIST = ("tfds:fashion_mnist:train", "tfds:fashion_mnist:test")
DIGITS = ("digits", "digits")
