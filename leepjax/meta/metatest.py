"""Meta-test: accuracy on many small tasks, beside the same classifier and nearest means without adaptation."""

import os
from collections.abc import Iterator, Sequence

import numpy as np

from leepjax.agreement import mean_interval
from leepjax.callbacks import OnProgress
from leepjax.meta.class_sets import open_classes, unseen_classes
from leepjax.meta.episodes import Episode, check_members, draw_episode, members_of
from leepjax.meta.learner import accuracies
from leepjax.meta.learner_files import load_learner
from leepjax.meta.sizes import EpisodeSizes, TaskSizes
from leepjax.models.opening import load_source
from leepjax.models.source import Source
from leepjax.opening.target import AnyTarget
from leepjax.tables import Row
from leepjax.transfer.loop import in_memory
from leepjax.types import InputError, SplitChoice

CLASSIFIERS = {
    "adapted": "Simple CNAPs",
    "unadapted": "its classifier, unadapted",
    "nearest_mean": "nearest class mean",
}
"""Each classifier that is measured, and its name in tables."""
_REMEDY = "name more by --classes"


def metatest(
    learner: str | os.PathLike,
    data: AnyTarget,
    *,
    classes: Sequence[str] | None = None,
    split: SplitChoice | None = None,
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
        classes: those that tasks are made of. By default all, if the set has none of the training and validation
            classes, or else those that training held out for tests.
        split: of a set that comes in splits, the one to use: ``train``, ``val``, ``test`` or ``all``; by default the
            first.
        sizes: of the tasks.
        episodes: how many tasks.
        seed: of the tasks.
        source: the source that the meta-learner was trained for; by default it is opened by the name on the card.
        on_progress: called after each task.

    Returns:
        A row for each classifier: the mean accuracy over the tasks and its 95 % t interval, and how much lower it is
        than that of the adapted source, with the interval of this difference over the same tasks.

    Raises:
        InputError: for files that don't belong together, too few classes or examples, fewer than two episodes, or a set
            with trained classes but none that was held out. Also, unless classes are named, for another set than the
            one trained on, if the classes that both have are called by numbers: they may be the same or not.
    """
    if episodes < 2:
        raise InputError(f"metatest: expected episodes >= 2, got {episodes}; raise it.")
    opened = source if isinstance(source, Source) or source is None else load_source(source)
    found, card = load_learner(learner, opened, caller="metatest")
    target = open_classes("metatest", data, found.source, seed, split)
    chosen = target.of_classes(unseen_classes(target, card) if classes is None else classes)
    members = members_of(chosen.labels)
    check_members(
        "metatest", members, sizes, f"to test on of the {len(target.classes)} classes of {target.name}", _REMEDY
    )
    examples = in_memory(chosen, found.program.preprocessing)

    def tasks() -> Iterator[Episode]:
        for number in range(episodes):
            yield draw_episode(members, sizes, np.random.default_rng((seed, number)))
            on_progress(f"{card.name}: {target.name}", number + 1, episodes)

    # The frozen source computes the features of each image once, for all tasks.
    features = found.own_features(examples.images)
    measured = accuracies(found, examples.images, tasks(), features)
    return [_row(name, measured, target.name, len(members)) for name in CLASSIFIERS]


def _row(name: str, measured: dict[str, np.ndarray], target: str, num_classes: int) -> Row:
    mean = mean_interval(measured[name]).within(0, 1)
    row: Row = {"classifier": CLASSIFIERS[name], "target": target, "classes": num_classes}
    row |= {"episodes": len(measured[name]), "accuracy": mean.value, "low": mean.low, "high": mean.high}
    behind = mean_interval(measured["adapted"] - measured[name]).within(-1, 1)
    differs = name != "adapted"
    return row | {
        "behind": behind.value if differs else None,
        "behind low": behind.low if differs else None,
        "behind high": behind.high if differs else None,
    }
