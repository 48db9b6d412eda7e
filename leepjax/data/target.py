"""Targets: labelled examples to transfer to, read one at a time and prepared as a source takes them."""

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, replace
from itertools import chain
from typing import Any, Self

import numpy as np
from PIL import Image

from leepjax.data.answers import labels_of
from leepjax.data.guessed_task import guessed_task
from leepjax.data.label_forms import are_ragged, without_axis
from leepjax.data.labels import numbers_among
from leepjax.data.pixels import to_pixels, warn_if_nearly_black
from leepjax.data.preprocessing import Preprocessing
from leepjax.data.selection import DrawnFrom, Joined, Keyed, Selected, Whole, key_of
from leepjax.data.strata import strata_of_labels, strata_of_numbers
from leepjax.storage.files import digest, digest_stream
from leepjax.types import InputError, Kind, Task, unknown_name


@dataclass(frozen=True)
class Pixels:
    """Index → RGB image, from uint8 arrays [h w] or [h w 3]."""

    images: Sequence[np.ndarray] | np.ndarray

    def __call__(self, i: int) -> Image.Image:
        return Image.fromarray(self.images[i]).convert("RGB")


@dataclass(frozen=True)
class Target:
    """Labelled examples, read (images: decoded) when they are used.

    `fingerprint` is a digest of the content, under which results computed from the target can be cached.
    """

    name: str
    labels: np.ndarray
    """[n] int32 in [0, number of classes) for the task ``classes``; [n k] float32 for ``regression``; [n k] uint8, 1
    where a label holds, for ``multilabel``."""
    classes: tuple[str, ...]
    """Names of the classes, or of the k numbers, or of the k labels."""
    fingerprint: str
    read: Callable[[int], Any]
    """Index → example: an RGB image, or a text; raises InputError if it can't be decoded."""
    id: Callable[[int], str] = str
    """Index → id of the example: the image's path below the folder, or else a number."""
    kind: Kind = "images"
    task: Task = "classes"

    test: "Target | None" = None
    """The part to verify on, of a set that comes in splits: the same classes, and no common examples."""
    groups: np.ndarray | None = None
    """[n] integers, equal for examples that belong together: none are held out apart from the others of their group."""
    drawn_from: DrawnFrom | None = None
    """Where the examples were drawn from; None for a whole set."""
    contents: Callable[[int], str] | None = None
    """Index → digest of the encoded image, for a target whose `fingerprint` covers only names and labels so far."""
    wholes: tuple[Whole, ...] = ()
    """What it is a part of: features of a whole are those of its parts."""
    keys: np.ndarray | None = None
    """[n] 64 bits of the digest of each encoded image, equal for equal ones; None where they weren't digested."""

    def __len__(self) -> int:
        return len(self.labels)

    @property
    def ids(self) -> tuple[str, ...]:
        """The id of each image."""
        return tuple(self.id(i) for i in range(len(self)))

    @property
    def strata(self) -> np.ndarray:
        """[n] int32 groups by which limits and splits are stratified.

        The classes; for numbers tenths of the first one's order; for several labels the rarest one that an example has.
        """
        if self.task == "classes":
            return self.labels
        return strata_of_numbers(self.labels) if self.task == "regression" else strata_of_labels(self.labels)

    @property
    def always_readable(self) -> bool:
        """Whether no example has to be decoded: texts, embeddings, and pixels in memory."""
        if self.kind != "images":
            return True
        read = self.read
        while isinstance(read, Selected):
            read = read.of
        return isinstance(read, Pixels)

    @property
    def origin(self) -> DrawnFrom:
        """The set that the examples were drawn from, which may be the target itself."""
        return self.drawn_from or DrawnFrom(self.fingerprint, len(self), np.arange(len(self)))

    @property
    def has_ids(self) -> bool:
        """Whether its examples have ids, rather than numbers alone."""
        functions = [self.id]
        while functions:
            function = functions.pop()
            if function is str:
                return False
            if isinstance(function, Selected):
                functions.append(function.of)
            elif isinstance(function, Joined):
                functions += [function.first, function.second]
        return True

    def with_contents(self) -> Self:
        """Return the target with a fingerprint (also of its test part) that covers the images' content."""
        test = self.test and self.test.with_contents()
        if self.contents is None:
            return self if test is self.test else replace(self, test=test)
        images = [self.contents(i) for i in range(len(self))]
        fingerprint = digest_stream(each.encode() for each in chain([self.fingerprint], images))
        keys = np.array([key_of(each) for each in images], np.int64)
        read = Keyed(self.read, keys)
        return replace(self, read=read, fingerprint=fingerprint, test=test, contents=None, wholes=(), keys=keys)

    def images(self, indices: Iterable[int], preprocessing: Preprocessing) -> np.ndarray:
        """Read the images of `indices`, resized and cropped for a source: uint8 [b h w 3]."""
        return preprocessing.in_memory([preprocessing.on_host(self.read(int(i))) for i in indices])

    def subset(self, indices: np.ndarray) -> Self:
        """Select examples by index, keeping the classes; the subset of all examples is the target itself."""
        if np.array_equal(indices, np.arange(len(self))):
            return self
        indices = np.asarray(indices)
        wholes = (Whole(self.fingerprint, indices), *(whole.subset(indices) for whole in self.wholes))
        return replace(
            self,
            labels=self.labels[indices],
            groups=None if self.groups is None else self.groups[indices],
            fingerprint=digest(self.fingerprint.encode(), indices.astype(np.int64).tobytes()),
            drawn_from=self.origin.subset(indices),
            read=Selected(self.read, indices),
            id=Selected(self.id, indices),
            contents=self.contents and Selected(self.contents, indices),
            wholes=wholes,
            keys=None if self.keys is None else self.keys[indices],
        )

    def of_classes(self, names: Sequence[str]) -> Self:
        """Select the examples of these classes, relabelled in the order of `names`; the task is ``classes``."""
        for name in names:
            if name not in self.classes:
                raise unknown_name("classes", name, self.classes)
        if not names or len(set(names)) < len(names):
            raise InputError(f"classes: expected distinct names, got {list(names)}; name each class once.")
        new_label = np.full(len(self.classes), -1, np.int32)
        new_label[[self.classes.index(name) for name in names]] = np.arange(len(names))
        kept = self.subset(np.flatnonzero(new_label[self.labels] >= 0))
        return replace(
            kept,
            labels=new_label[kept.labels],
            classes=tuple(names),
            fingerprint=digest(kept.fingerprint.encode(), "\0".join(names).encode()),
            wholes=(),
            test=self.test and self.test.of_classes(names),
        )

    def with_test(self, test: "Target | None") -> Self:
        """Replace the part to verify on."""
        return replace(self, test=test)

    def within(self, whole: "Target", start: int) -> Self:
        """The same target, known to be the examples of `whole` from `start` on."""
        rows = np.arange(start, start + len(self))
        return replace(self, wholes=(*self.wholes, Whole(whole.fingerprint, rows)))

    def joined(self, other: Self) -> Self:
        """Append the examples of another target with the same classes."""
        first, second = self.with_contents(), other.with_contents()
        return replace(
            self,
            labels=np.concatenate([self.labels, other.labels]),
            fingerprint=digest(b"joined", first.fingerprint.encode(), second.fingerprint.encode()),
            contents=None,
            wholes=(),
            drawn_from=self.origin.joined(other.origin),
            groups=_both(self.groups, other.groups),
            keys=_both(first.keys, second.keys),
            read=Joined(first.read, second.read, len(self)),
            id=Joined(self.id, other.id, len(self)),
            test=None,
        )


def _both(first: np.ndarray | None, second: np.ndarray | None) -> np.ndarray | None:
    return None if first is None or second is None else np.concatenate([first, second])


def with_classes_of(caller: str, train_set: Target, test_set: Target) -> Target:
    """The test set with the classes, or the several labels, of the training set, found by name.

    Its own may be in another order, or lack some: a small set doesn't have every class.

    Raises:
        InputError: for examples of a class or label that the training set doesn't have, and for numbers of other names.
    """
    known, own = train_set.classes, test_set.classes
    if own == known or train_set.task == "regression" or train_set.task != test_set.task:
        check_same_classes(caller, train_set, test_set)
        return test_set
    if train_set.task == "classes":
        labels = numbers_among(caller, test_set.labels, own, known)
    else:
        present = np.flatnonzero(test_set.labels.any(axis=0))
        labels = np.zeros((len(test_set), len(known)), np.uint8)
        labels[:, numbers_among(caller, present, own, known)] = test_set.labels[:, present]
    fingerprint = digest(test_set.fingerprint.encode(), np.ascontiguousarray(labels).tobytes())
    return replace(test_set, labels=labels, classes=known, fingerprint=fingerprint, wholes=())


def check_same_classes(caller: str, train_set: Target, test_set: Target) -> None:
    """Check that two sets have the same classes in the same order, so that their labels mean the same.

    Raises:
        InputError: when they don't.
    """
    if train_set.classes != test_set.classes:
        raise InputError(
            f"{caller}: expected the same classes in both sets, got {train_set.classes} and {test_set.classes}; "
            "give both the same class names, in the same order."
        )


def from_arrays(
    images: np.ndarray,
    labels: np.ndarray | Sequence[Any],
    classes: Sequence[str] | np.ndarray | None = None,
    name: str = "arrays",
    task: Task | None = "classes",
) -> Target:
    """Make a target of images [n h w], [n h w 1], [n h w 3] or [n h w 4] and labels [n] or [n 1], or of rows [n k].

    Pixels are uint8, uint16, booleans or floats in [0, 1]; a fourth channel is alpha, composited over white.

    Raises:
        InputError: for invalid shapes, dtypes, labels (see `leepjax.data.answers`) or numbers of class names.
    """
    images = to_pixels(np.asanyarray(images), name, one=False)
    shown, deep, one_hot = "lists", False, False
    if not are_ragged(labels):
        given = np.asanyarray(labels)
        labels = rows = np.asanyarray(given if task == "multilabel" else without_axis(given))
        shown = f"{rows.dtype} {list(rows.shape)}"
        deep = rows.ndim != 1 and (task == "classes" or rows.ndim != 2)
        one_hot = rows.ndim == 2 and task is None and guessed_task(rows) == "classes"
    if deep or one_hot or len(labels) != len(images):
        raise InputError(
            f"{name}: expected {len(images)} labels, one per image, got {shown}; "
            "pass class numbers (for one-hot rows, their argmax)."
        )
    answers = labels_of(name, labels, task, classes)
    warn_if_nearly_black(name, int(images.max()))
    return Target(
        name=name,
        labels=answers.labels,
        classes=answers.names,
        fingerprint=digest(str(images.shape).encode(), np.ascontiguousarray(images), answers.labels.tobytes()),
        read=Pixels(images),
        task=answers.task,
    )


def recast(target: Target, task: Task | None, known: Sequence[str] | None = None) -> Target:
    """The target with the labels of another task, read from the names of its classes; itself for its own task or None.

    `known` are the labels of the training part, of which a test part has no others.

    Raises:
        InputError: when the names of the classes aren't numbers, or the labels aren't classes.
    """
    if task in (None, target.task):
        return target
    if target.task != "classes":
        raise InputError(
            f"{target.name}: expected labels for the task {task}, got those of {target.task}; pass that task."
        )
    answers = labels_of(target.name, [target.classes[label] for label in target.labels], task, known=known)
    return replace(
        target,
        task=answers.task,
        labels=answers.labels,
        classes=answers.names,
        fingerprint=digest(target.fingerprint.encode(), answers.task.encode()),
        wholes=(),
        test=target.test and recast(target.test, task, answers.names),
    )
