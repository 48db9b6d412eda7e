"""Plan a study: its tasks, and every transfer of a source to one of them."""

from collections.abc import Sequence
from dataclasses import replace
from typing import NamedTuple

from leepjax.meta.learner import MetaLearner
from leepjax.meta.learner_files import learner_for
from leepjax.models.source import Source
from leepjax.opening.sources import open_sources, twice
from leepjax.studies.config import Config
from leepjax.studies.datasets import Pair, at_size, open_pair
from leepjax.studies.outcome import Method
from leepjax.studies.tasks import Profile, Task, sample
from leepjax.studies.transfers import Transfer
from leepjax.types import InputError


class StudyPlan(NamedTuple):
    """The tasks of a study and its transfers."""

    tasks: list[Task]
    transfers: list[Transfer]
    """For each target, profile and source, task by task."""


def plan_study(config: Config) -> StudyPlan:
    """Open the sources and targets of a study, and draw its tasks.

    Raises:
        InputError: for sources, targets or numbers that don't fit.
    """
    sources = open_sources("study", config.sources)
    pairs = [open_pair(train, test) for train, test in config.targets]
    if name := twice([pair.name for pair in pairs]):
        raise InputError(f"study: expected targets of different names, got {name!r} twice; drop or rename one.")
    sampled = {(pair.name, profile): _sample(config, profile, pair) for pair in pairs for profile in config.profiles}
    # One object for all trainings of a source: an engine sends each object once.
    by_method = [_by_method(config, source) for source in sources]
    transfers = [
        transfer
        for pair in pairs
        for profile in config.profiles
        for methods in by_method
        for method, each in methods.items()
        for transfer in _transfers(config, profile, each, pair, sampled[pair.name, profile], method)
    ]
    return StudyPlan([task for tasks in sampled.values() for task in tasks], transfers)


def _sample(config: Config, profile: Profile, pair: Pair) -> list[Task]:
    """A profile's tasks in one set; if the set has few classes, tasks with a fixed number of classes have fewer."""
    least, most = profile.num_classes
    if len(pair.train.classes) <= 10:
        most = min(most, len(pair.train.classes) if least < most else config.few_classes)
    profile = replace(profile, num_classes=(min(least, most), most))
    draw = {"num_tasks": config.num_tasks, "tests_per_class": config.tests_per_class, "seed": config.seed}
    return sample(profile, pair.train, pair.test, **draw)


def _by_method(config: Config, source: Source) -> dict[Method, Source | MetaLearner]:
    """For each method, what is transferred: the source, the source with smaller images, or a meta-learner of it."""
    smaller = at_size(source, config.image_size)
    learner = learner_for(source, config.learners) if "meta" in config.methods else source
    of: dict[Method, Source | MetaLearner] = {"head": source, "meta": learner}
    return {method: of.get(method, smaller) for method in config.methods}


def _transfers(
    config: Config, profile: Profile, each: Source | MetaLearner, pair: Pair, tasks: Sequence[Task], method: Method
) -> list[Transfer]:
    """A source's transfers to a profile's tasks by one method."""
    if method not in ("head", "meta"):
        tasks = tasks[: config.num_trained * profile.trained]
    source, learner = (each.source, each) if isinstance(each, MetaLearner) else (each, None)
    return [Transfer(source, pair, task, method, learner) for task in tasks]
