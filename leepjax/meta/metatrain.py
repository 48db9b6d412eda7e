"""Meta-train on a frozen source, and write the meta-learner."""

import importlib.metadata
import logging
import os
import platform
from collections.abc import Callable, Sequence
from dataclasses import asdict
from pathlib import Path
from typing import NamedTuple

import msgspec
import numpy as np

from leepjax.data.target import Target
from leepjax.meta.class_sets import open_classes
from leepjax.meta.episodes import check_members, members_of
from leepjax.meta.gaussians import RIDGE
from leepjax.meta.learner import MetaLearner, new_learner
from leepjax.meta.learner_files import LearnerCard, prepared_as, read_learner_card, save_learner
from leepjax.meta.recipe import MetaTraining
from leepjax.meta.training import EpisodeProgress, Validation, meta_train
from leepjax.models import weights
from leepjax.models.opening import load_source
from leepjax.models.source import Source
from leepjax.opening.target import AnyTarget
from leepjax.printable import shown_path
from leepjax.storage.files import check_writable, digest, remove_folder, shortened
from leepjax.storage.locks import locked
from leepjax.storage.records import write_lines
from leepjax.transfer.loop import in_memory
from leepjax.types import InputError, SplitChoice, unknown_name

log = logging.getLogger("leepjax")

VALIDATION_SHARE, TEST_SHARE = 0.2, 0.2
"""Shares of the classes that are held out for validation and for tests, unless classes are named."""


class ClassSplit(NamedTuple):
    """The classes of a set in three parts."""

    train: tuple[str, ...]
    validation: tuple[str, ...]
    test: tuple[str, ...]


def split_classes(
    classes: Sequence[str],
    train: Sequence[str] | None = None,
    validation: Sequence[str] | None = None,
    seed: int = 0,
) -> ClassSplit:
    """Divide classes into those to train on, to validate on, and to keep for tests.

    Args:
        classes: all of them.
        train: names of the training classes; drawn from those that aren't named elsewhere when None.
        validation: names of the validation classes; likewise.
        seed: of the draw.

    Raises:
        InputError: for an unknown name, or one that stands in both parts.
    """
    for name in (*(train or ()), *(validation or ())):
        if name not in classes:
            raise unknown_name("metatrain: classes", name, classes)
    if both := set(train or ()) & set(validation or ()):
        raise InputError(
            f"metatrain: expected training and validation classes that differ, got {min(both)!r} in both; drop it "
            "from one of them."
        )
    named = {*(train or ()), *(validation or ())}
    order = [classes[place] for place in np.random.default_rng(seed).permutation(len(classes))]
    free = [name for name in order if name not in named]
    validating, learned = set(validation or ()), set(train or ())
    if validation is None:
        count = round(VALIDATION_SHARE * len(classes))
        validating, free = set(free[:count]), free[count:]
    if train is None:
        count = round(TEST_SHARE * len(classes))
        learned, free = set(free[count:]), free[:count]
    return ClassSplit(*(tuple(name for name in classes if name in part) for part in (learned, validating, set(free))))


def metatrain(
    source: str | os.PathLike | Source,
    data: AnyTarget,
    *,
    out: Path,
    name: str | None = None,
    classes: Sequence[str] | None = None,
    validation_classes: Sequence[str] | None = None,
    split: SplitChoice | None = None,
    image_size: int | None = None,
    ridge: float = RIDGE,
    recipe: MetaTraining = MetaTraining(),
    command: str = "",
    on_step: Callable[[EpisodeProgress], None] = lambda progress: None,
) -> tuple[MetaLearner, LearnerCard]:
    """Meta-train an adaptation network for a frozen source, and write it to ``out/name.safetensors``.

    Tasks are drawn from some of the classes of a set; others are kept for validation, and the rest for tests. Beside
    the weights are the card (``name.json``), the curve (``name.curve.jsonl``) and, until training is finished,
    checkpoints (``name.checkpoints``), from which the same call resumes after a kill or Ctrl-C. A meta-learner that was
    already written by the same run is read, not trained again.

    Args:
        source: one of leepjax's networks whose blocks have BatchNorm, such as a ResNet.
        data: labelled images, as for ``leepjax.rank``.
        out: folder for the files.
        name: of the meta-learner; by default SOURCE-DATA-meta.
        classes: the training classes; by default a random three fifths of all.
        validation_classes: the validation classes; by default a random fifth of all.
        split: of a set that comes in splits, the one to use: ``train``, ``val``, ``test`` or ``all``; by default the
            first.
        image_size: side in pixels of the images, if the source expects larger ones.
        ridge: β, the multiple of the identity that is added to every covariance.
        recipe: how to train.
        command: the command that repeats this run, for the card.
        on_step: called after every step.

    Raises:
        InputError: for a network without BatchNorm, classes that don't fit the episodes, or another run's files.
        WriteError: when `out` isn't writable.
        FloatingPointError: when the loss is no longer finite.
    """
    if not 0 < ridge < float("inf"):
        raise InputError(f"metatrain: expected ridge > 0, got {ridge}; pass a positive number.")
    opened = source if isinstance(source, Source) else load_source(source)
    text = opened.name if isinstance(source, Source) else os.fspath(source)
    opened = smaller(opened, image_size)
    target = open_classes("metatrain", data, opened, 0, split)
    of_classes = split_classes(target.classes, classes, validation_classes, recipe.seed)
    _check_parts(target, of_classes, recipe)
    parts = [target.of_classes(names) for names in (of_classes.train, of_classes.validation)]
    path = check_writable(out) / f"{name or shortened(f'{opened.name}-{target.name}-meta')}.safetensors"
    identity = digest(repr((opened.identity, target.fingerprint, of_classes, ridge, recipe, _versions())).encode())
    with locked(path, "is training it"):
        start = new_learner(opened, recipe.seed, ridge)
        if found := _finished(path, identity, start):
            return found
        learner, curve = meta_train(
            start,
            in_memory(parts[0], opened.card.pixels),
            in_memory(parts[1], opened.card.pixels),
            recipe,
            checkpoints=path.with_suffix(".checkpoints"),
            identity=identity,
            on_step=on_step,
        )
        write_lines(path.with_suffix(".curve.jsonl"), curve)
        _warn_of_no_gain(path.stem, curve)
        card = LearnerCard(
            name=path.stem,
            source=text,
            source_hash=opened.card.weights_hash,
            preprocessing=opened.card.pixels,
            ridge=ridge,
            seed=recipe.seed,
            weights_hash="",
            data=target.name,
            train_classes=of_classes.train,
            validation_classes=of_classes.validation,
            test_classes=of_classes.test,
            recipe=asdict(recipe),
            validation_accuracy=max(each.validation_accuracy for each in curve),
            command=command,
            versions=_versions() | {"python": platform.python_version()},
            identity=identity,
        )
        card = save_learner(learner, path, card)
        remove_folder(path.with_suffix(".checkpoints"))
    return learner, card


def _warn_of_no_gain(name: str, curve: Sequence[Validation]) -> None:
    unadapted, *trained = (each.validation_accuracy for each in curve)
    if trained and max(trained) < unadapted:
        log.warning(
            "%s: expected a validation better than %.3f, that of the source without adaptation, got at most %.3f; the "
            "meta-learner leaves the source as it is. Lower the learning rate.",
            name,
            unadapted,
            max(trained),
        )


def smaller(source: Source, image_size: int | None) -> Source:
    """The source with its images reduced to `image_size` pixels a side if it expects larger ones."""
    preprocessing = source.card.pixels
    if image_size is None or max(preprocessing.size) <= image_size:
        return source
    return prepared_as(source, msgspec.structs.replace(preprocessing, image_size=image_size))


def _check_parts(target: Target, split: ClassSplit, recipe: MetaTraining) -> None:
    """Check that episodes can be drawn from both parts, first from the one with fewer classes."""
    if not (split.train and split.validation):
        raise InputError("metatrain: expected training and validation classes, got none of one; name some.")
    of = f"of the {len(target.classes)} classes of {target.name}"
    for names, use in sorted(((split.train, "to train on"), (split.validation, "to validate on")), key=_num_classes):
        members = members_of(target.of_classes(names).labels)
        remedy = "name more by --classes and --validation-classes"
        check_members("metatrain", members, recipe, f"{use} {of}", remedy)


def _num_classes(part: tuple[tuple[str, ...], str]) -> int:
    return len(part[0])


def _finished(path: Path, identity: str, start: MetaLearner) -> tuple[MetaLearner, LearnerCard] | None:
    """The meta-learner written to `path` by the same run; None if there is none.

    Raises:
        InputError: when another run's is there.
    """
    if not path.with_suffix(".json").exists():
        return None
    card = read_learner_card("metatrain", path)
    if card.identity != identity:
        raise InputError(
            f"metatrain: expected no other meta-learner at {shown_path(path)}, got one made by "
            f"{card.command!r}; pass another name."
        )
    content = path.read_bytes() if path.exists() else b""
    if digest(content) != card.weights_hash:
        return None
    log.warning("%s was already trained by the same command; it is read, not trained again.", shown_path(path))
    network = start.network()
    weights.load(network, path, content)
    return start.with_network(network), card


def _versions() -> dict[str, str]:
    return {package: importlib.metadata.version(package) for package in ("jax", "flax", "optax", "leepjax")}
