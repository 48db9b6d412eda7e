"""Open targets, draw examples, and read each image at most once."""

import os
from collections.abc import Iterable
from dataclasses import replace
from typing import Any

import numpy as np
from PIL import Image

from leepjax.data.columns import is_table
from leepjax.data.embeddings.labels import labels_of_array
from leepjax.data.iterable import from_iterable
from leepjax.data.labels import plain_scalar
from leepjax.data.readable import readable
from leepjax.data.readers import list_target
from leepjax.data.target import Target, from_arrays, recast
from leepjax.data.text.in_memory import are_texts, from_texts
from leepjax.inputs.containers import python_values
from leepjax.opening.tables import LabelsFile, LabelsOfTables
from leepjax.tasks import WORDS
from leepjax.types import NOUNS, InputError, Reading, SplitChoice, Task, TaskReading, check_whole

AnyTarget = str | os.PathLike | Target | tuple[Any, Any] | Iterable[tuple[Any, Any]]
"""An argument of `leepjax.read_target`, an opened target, images or texts and their labels, or an iterable of pairs of
an image or a text and its label."""


def open_target(
    caller: str,
    target: AnyTarget,
    limit: int | None,
    seed: int,
    strict: bool,
    split: SplitChoice | None = None,
    *,
    image_column: str | None = None,
    label_column: str | None = None,
    text_column: str | None = None,
    text_pair_column: str | None = None,
    task: Task | None = "classes",
    with_test: bool = False,
    groups: str | None = None,
) -> Target:
    """Open a target as `open_examples` does, with the fields of a `TaskReading` one by one."""
    columns = (image_column, label_column, text_column, text_pair_column)
    reading = TaskReading(strict, split, *columns, task=task)
    return open_examples(caller, target, reading, limit=limit, seed=seed, with_test=with_test, groups=groups)


def open_examples(
    caller: str,
    target: AnyTarget,
    reading: Reading,
    *,
    limit: int | None = None,
    seed: int = 0,
    with_test: bool = False,
    groups: str | None = None,
) -> Target:
    """Open a target, draw at most `limit` of its examples, and replace or leave out those that can't be decoded.

    The fingerprint covers the names of all examples and the contents of the drawn ones; no other file is read. With
    `with_test`, the test split of the target is kept; the two splits then have `limit` examples together, in
    proportion to their sizes. Labels are classes unless `reading` is a `TaskReading`.

    Raises:
        InputError: when the target doesn't exist, has only one class or lacks the split, or, if strict, an image can't
            be decoded or a file of the folder isn't used.
    """
    check_whole(caller, "seed", seed, 0)
    if limit is not None:
        check_whole(caller, "limit", limit, 2)
    if not isinstance(reading, TaskReading):
        reading = TaskReading(**vars(reading), task="classes")
    task, strict = reading.task, reading.strict
    opened = _opened(caller, target, reading, groups)
    if task == "classes" and opened.task != "classes":
        raise InputError(
            f"{caller}: expected classes in {opened.name}, got {WORDS[opened.task]}; "
            "rank and choose take these, with the task left out."
        )
    test = opened.test if with_test else None
    for_test = 0
    if test is not None and limit is not None:
        for_test = max(1, round(limit * len(test) / (len(opened) + len(test))))
        limit -= for_test
    found, _ = readable(opened, limit=limit, seed=seed, strict=strict)
    if test is not None:
        test, _ = readable(test, limit=for_test or None, seed=seed, strict=strict)
    _check_varied(caller, found)
    return replace(found, test=test).with_contents()


def _check_varied(caller: str, target: Target) -> None:
    """Raise if all labels are equal, since nothing can be learned from them."""
    if (target.labels != target.labels[0]).any():
        return
    if target.task == "classes":
        raise InputError(
            f"{caller}: expected at least two classes in {target.name}, got only "
            f"{target.classes[int(target.labels[0])]!r}; add {NOUNS[target.kind].many} of another class."
        )
    raise InputError(
        f"{caller}: expected labels that differ in {target.name}, got the same for all {len(target):,} "
        f"{NOUNS[target.kind].many}; check the column of labels."
    )


def _opened(caller: str, target: AnyTarget, reading: TaskReading, groups: str | None) -> Target:
    if isinstance(target, LabelsFile | LabelsOfTables):
        columns = (reading.image_column, reading.text_column, reading.text_pair_column)
        if column := next((name for name in columns if name), None):
            raise InputError(
                f"{caller}: expected tables of embeddings to have no column of images or texts, got {column!r}; leave "
                "it out."
            )
        return target.labelled(caller, reading, groups)
    if is_table(target):
        raise InputError(
            f"{caller}: expected a target, got a {type(target).__name__} of columns; pass two of them as "
            "(list(data['text']), list(data['label'])), or that of the labels alone beside tables."
        )
    if isinstance(target, (str, os.PathLike)):
        return list_target(os.fspath(target), **vars(reading), groups=groups)
    if groups is not None:
        raise InputError(
            f"{caller}: expected a target with names for the groups {groups!r}, got data; set the groups of a Target."
        )
    if reading.split is not None:
        raise InputError(
            f"{caller}: expected a target with splits for split {reading.split!r}, got data; leave split out."
        )
    columns = (reading.image_column, reading.label_column, reading.text_column, reading.text_pair_column)
    if column := next((name for name in columns if name), None):
        raise InputError(f"{caller}: expected a target with columns for column {column!r}, got data; leave it out.")
    if isinstance(target, tuple):
        return _of_tuple(caller, target, reading.strict, reading.task)
    if isinstance(target, Target):
        return recast(target, None if reading.task == "classes" else reading.task)
    if _is_labels(target):
        labels: Any = target
        return labels_of_array(caller, labels, reading.task)
    return from_iterable(target, task=reading.task)


def _is_labels(target: Any) -> bool:
    """Whether a target consists of labels alone: an array or a list of values, of which some may be missing."""
    if isinstance(target, list):
        kinds = (str, int, float, np.generic, type(None))
        return bool(target) and all(isinstance(plain_scalar(each), kinds) for each in target)
    return hasattr(target, "__array__") and np.ndim(target) in (1, 2)


def _are_pictures(images: Any) -> bool:
    """Whether some are PIL images, bytes or paths; in an array, images would lose their palettes and orientations."""
    if getattr(getattr(images, "dtype", None), "kind", "O") in "biuf" or not hasattr(images, "__len__"):
        return False
    return any(isinstance(each, (Image.Image, bytes, bytearray, str, os.PathLike)) for each in images)


def _of_tuple(caller: str, target: tuple[Any, ...], strict: bool, task: Task | None) -> Target:
    """The target of a tuple (images, labels) or (texts, labels); a tuple of (image, label) pairs is rejected."""
    if len(target) != 2 or all(isinstance(each, tuple) and len(each) == 2 for each in target):
        raise InputError(
            f"{caller}: expected the target as (images, labels), got a tuple of {len(target)}; "
            "pass pairs of image and label, or labels alone, in a list."
        )
    images, labels = map(python_values, target)
    if labels is None:
        raise InputError(f"{caller}: expected a label for each example, got None; pass them.")
    for what, each in (("examples", images), ("labels", labels)):
        if is_table(each):
            raise InputError(
                f"{caller}: expected a list or an array of {what}, got a {type(each).__name__} of columns; pass a "
                "column, such as list(data['label']), or data.to_numpy() of several."
            )
    if are_texts(images):
        return from_texts(images, labels, task=task, strict=strict)
    try:
        if _are_pictures(images):
            each = np.asanyarray(labels) if hasattr(labels, "__array__") else list(labels)
            if len(each) != len(images):
                raise InputError(
                    f"{caller}: expected {len(images)} labels, one per image, got {len(each)}; give each its label."
                )
            return from_iterable(zip(images, each, strict=True), name="arrays", task=task)
        return from_arrays(np.asanyarray(images), labels, task=task)
    except ValueError as error:
        if isinstance(error, InputError):
            raise
        raise InputError(
            f"{caller}: expected images of one shape and a label for each, got {error}; pass pairs in a list."
        ) from None
