"""Meta-test: accuracy on many small tasks, beside the same classifier and nearest means without adaptation."""

import os
from collections.abc import Iterator, Sequence
from pathlib import Path

import numpy as np

from leepjax.agreement import mean_interval
from leepjax.callbacks import OnProgress
from leepjax.meta.class_sets import open_classes
from leepjax.meta.episodes import Episode, check_members, draw_episode, members_of
from leepjax.meta.learner import accuracies
from leepjax.meta.learner_files import load_learner
from leepjax.meta.sizes import EpisodeSizes, TaskSizes
from leepjax.models.opening import load_source
from leepjax.models.source import Source
from leepjax.opening.target import AnyTarget
from leepjax.tables import Row
from leepjax.transfer.loop import in_memory
from leepjax.types import InputError

CLASSIFIERS = {
    "adapted": "Simple CNAPs",
    "unadapted": "its classifier, unadapted",
    "nearest_mean": "nearest class mean",
}
"""Each classifier that is measured, and its name in tables."""


def metatest(
    learner: str | os.PathLike,
    data: AnyTarget,
    *,
    classes: Sequence[str] | None = None,
    sizes: EpisodeSizes = TaskSizes(),
    episodes: int = 600,
    seed: int = 0,
    source: str | os.PathLike | Source | None = None,
    on_progress: OnProgress = lambda what, done, total: None,
) -> list[Row]:
    """Test a meta-learner on random tasks of a set, beside the same source without adaptation.

    Args:
        learner: the ``.safetensors`` that ``leepjax metatrain`` wrote.
        data: labelled images, as for ``leepjax.rank``.
        classes: those that tasks are made of; by default the ones that training held out for tests, if the set has all
            of these, or else all classes.
        sizes: of the tasks.
        episodes: how many tasks.
        seed: of the tasks.
        source: the source that the meta-learner was trained for; by default it is opened by the name on the card.
        on_progress: called after each task.

    Returns:
        A row for each classifier: the mean accuracy over the tasks and its 95 % t interval, and how much lower it is
        than that of the adapted source, with the interval of this difference over the same tasks.

    Raises:
        InputError: for files that don't belong together, too few classes or examples, or fewer than two episodes.
    """
    if episodes < 2:
        raise InputError(f"metatest: expected episodes >= 2, got {episodes}; raise it.")
    opened = source if isinstance(source, Source) or source is None else load_source(source)
    found, card = load_learner(Path(learner), opened)
    target = open_classes("metatest", data, found.source, seed)
    names = classes
    if classes is None:
        names = card.test_classes if card.test_classes and {*card.test_classes} <= {*target.classes} else target.classes
    examples = in_memory(target.of_classes(list(names or ())), found.program.preprocessing)
    members = members_of(examples.labels)
    check_members("metatest", members, sizes)

    def tasks() -> Iterator[Episode]:
        for number in range(episodes):
            yield draw_episode(members, sizes, np.random.default_rng((seed, number)))
            on_progress(f"{card.name}: {target.name}", number + 1, episodes)

    # The frozen source computes the features of each image once, for all tasks.
    features = found.own_features(examples.images)
    measured = accuracies(found, examples.images, tasks(), features)
    return [_row(name, measured, target.name, len(members)) for name in CLASSIFIERS]


def _row(name: str, measured: dict[str, np.ndarray], target: str, num_classes: int) -> Row:
    mean = mean_interval(measured[name])
    row: Row = {"classifier": CLASSIFIERS[name], "target": target, "classes": num_classes}
    row |= {"episodes": len(measured[name]), "accuracy": mean.value, "low": mean.low, "high": mean.high}
    lead = mean_interval(measured["adapted"] - measured[name])
    differs = name != "adapted"
    return row | {
        "behind": lead.value if differs else None,
        "behind low": lead.low if differs else None,
        "behind high": lead.high if differs else None,
    }
