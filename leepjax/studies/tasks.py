"""The target tasks of a study: random classes of a labelled set and a number of examples of each, kept as indices."""

import contextlib
import gzip
import logging
import re
import zlib
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from itertools import pairwise
from pathlib import Path

import msgspec
import numpy as np

from leepjax.data.target import Target
from leepjax.storage.files import set_aside, write_atomically
from leepjax.storage.locks import locked
from leepjax.types import InputError

log = logging.getLogger("leepjax")

ClassSizes = Callable[[int, np.random.Generator], np.ndarray | None]
"""Number of classes, chance → [c] training examples of each; None for all that there are."""


@dataclass(frozen=True)
class All:
    """Every training example of a task's classes."""

    def __call__(self, num_classes: int, rng: np.random.Generator) -> None:
        return None


@dataclass(frozen=True)
class Each:
    """Equally many of each class."""

    count: int

    def __call__(self, num_classes: int, rng: np.random.Generator) -> np.ndarray:
        return np.full(num_classes, self.count)


@dataclass(frozen=True)
class Between:
    """A number for each class, any between `least` and `most` being equally likely."""

    least: int
    most: int

    def __call__(self, num_classes: int, rng: np.random.Generator) -> np.ndarray:
        return rng.integers(self.least, self.most + 1, num_classes)


@dataclass(frozen=True)
class LongTail:
    """Exponentially fewer from class to class, from `most` down to `least`, in random order of the classes."""

    least: int
    most: int

    def __call__(self, num_classes: int, rng: np.random.Generator) -> np.ndarray:
        return rng.permutation(np.round(np.geomspace(self.most, self.least, num_classes)).astype(int))


@dataclass(frozen=True)
class Profile:
    """A kind of task: how many classes it has, and how many examples of each."""

    name: str = ""
    """Distinguishes it from the study's other kinds of tasks."""
    num_classes: tuple[int, int] = (5, 5)
    """At least and at most; any number in between is equally likely."""
    sizes: ClassSizes = Each(50)
    trained: bool = True
    """Whether its first tasks are trained on, where the study asks for that, or heads re-trained only."""


class Task(msgspec.Struct, frozen=True, kw_only=True):
    """Some classes of a labelled set with some of its examples; the same lines make the same task anywhere."""

    name: str
    profile: str = ""
    target: str
    train_hash: str
    """Fingerprints of the sets that the indices count in."""
    test_hash: str
    classes: tuple[int, ...]
    """In the numbers of the set; within the task they are numbered in this order, which rises."""
    train: str
    """Indices of the training examples: ``0-499,712`` is the first five hundred, and one more."""
    test: str
    seed: int
    """Of whatever the transfer to this task draws."""

    @property
    def train_rows(self) -> np.ndarray:
        return indices(self.train)

    @property
    def test_rows(self) -> np.ndarray:
        return indices(self.test)


def sample(
    profile: Profile, train_set: Target, test_set: Target, *, num_tasks: int, tests_per_class: int | None, seed: int
) -> list[Task]:
    """Draw tasks: their classes, their training examples, and test examples of the same classes.

    A task depends on the seed, the profile and its own number alone: asking for more tasks keeps the first ones. In
    profiles that differ in sizes only, tasks of the same number have the same classes: they aren't independent draws.

    Args:
        profile: the kind of the tasks.
        train_set: what the training examples are drawn from, without replacement within a task.
        test_set: the same classes' test examples.
        num_tasks: how many.
        tests_per_class: test examples of each class, at most; all that there are when None.
        seed: of the draws.

    Raises:
        InputError: when the set has too few classes, or a class too few examples.
    """
    least, most = profile.num_classes
    members = [np.flatnonzero(train_set.labels == label) for label in range(len(train_set.classes))]
    if not 2 <= least <= most <= len(members):
        raise InputError(
            f"study: expected tasks of 2 to {len(members)} of {train_set.name}'s classes, got {least} to {most}; "
            "choose a set with more classes."
        )
    tests = [np.flatnonzero(test_set.labels == label)[:tests_per_class] for label in range(len(members))]
    return [_draw(profile, train_set, test_set, members, tests, seed, number) for number in range(num_tasks)]


def _draw(profile, train_set, test_set, members, tests, seed, number) -> Task:
    rng = np.random.default_rng((seed, number))
    num_classes = int(rng.integers(profile.num_classes[0], profile.num_classes[1] + 1))
    classes = np.sort(rng.choice(len(members), num_classes, replace=False))
    sizes = profile.sizes(num_classes, rng)
    if sizes is None:
        rows = [members[label] for label in classes]
    else:
        for label, count in zip(classes, sizes, strict=True):
            if count > len(members[label]):
                raise InputError(
                    f"study: expected {count} training examples of {train_set.classes[label]!r} in {train_set.name}, "
                    f"got {len(members[label])}; choose a larger set."
                )
        rows = [rng.choice(members[label], count, replace=False) for label, count in zip(classes, sizes, strict=True)]
    return Task(
        name="-".join(filter(None, (train_set.name, profile.name, f"seed-{seed}" if seed else "", f"{number:03}"))),
        profile=profile.name,
        target=train_set.name,
        train_hash=train_set.fingerprint,
        test_hash=test_set.fingerprint,
        classes=tuple(classes.tolist()),
        train=runs(np.concatenate(rows)),
        test=runs(np.concatenate([tests[label] for label in classes])),
        seed=int(rng.integers(2**31)),
    )


def runs(numbers: np.ndarray) -> str:
    """Indices in rising order as text, neighbours as ranges: 3, 4, 5, 9 is ``3-5,9``."""
    numbers = np.sort(numbers)
    starts = np.flatnonzero(np.diff(numbers, prepend=-2) != 1)
    stretches = ((numbers[a], numbers[b - 1]) for a, b in pairwise([*starts, len(numbers)]))
    return ",".join(f"{first}-{last}" if last > first else f"{first}" for first, last in stretches)


def indices(text: str) -> np.ndarray:
    """[n] int64 the indices that `runs` wrote."""
    if not re.fullmatch(r"\d+(-\d+)?(,\d+(-\d+)?)*", text):
        raise InputError(f"study: expected indices such as 0-499,712, got {text[:40]!r}; sample the tasks again.")
    stretches = (part.partition("-") for part in text.split(","))
    return np.concatenate([np.arange(int(first), int(last or first) + 1) for first, _, last in stretches])


def keep_tasks(path: Path, tasks: Iterable[Task]) -> None:
    """Write tasks as compressed JSON lines, atomically, beside those of other names that the file holds.

    A damaged file is set aside; the tasks that can still be read from it are kept, which is a warning.
    """
    with locked(path):
        kept = {task.name: task for task in (*_read_before(path), *tasks)}
        lines = (msgspec.json.encode(kept[name]) + b"\n" for name in sorted(kept))
        write_atomically(path, gzip.compress(b"".join(lines), mtime=0))


def _read_before(path: Path) -> list[Task]:
    if not path.exists():
        return []
    try:
        return list(read_tasks(path))
    except InputError as error:
        sound = list(_sound_tasks(path.read_bytes()))
        aside = set_aside(path)
        log.warning("%s The file is kept as %s; %d of its tasks could be read.", error, aside, len(sound))
        return sound


def _sound_tasks(compressed: bytes) -> Iterator[Task]:
    """The tasks in what can still be decompressed of a damaged file."""
    stream, text = zlib.decompressobj(zlib.MAX_WBITS | 16), b""
    with contextlib.suppress(zlib.error):
        for start in range(0, len(compressed), 64):
            text += stream.decompress(compressed[start : start + 64])
    for line in text.splitlines():
        with contextlib.suppress(msgspec.DecodeError, UnicodeDecodeError):
            yield msgspec.json.decode(line, type=Task)


def read_tasks(path: Path) -> Iterator[Task]:
    """The tasks of a compressed JSON-lines file.

    Raises:
        InputError: when there is no such file, or a line isn't a task.
    """
    try:
        lines = gzip.decompress(path.read_bytes()).splitlines()
    except (OSError, EOFError, zlib.error) as error:
        raise InputError(f"study: expected tasks in {path}, got {error}; check the path, or run the study.") from None
    for number, line in enumerate(lines, start=1):
        try:
            yield msgspec.json.decode(line, type=Task)
        except (msgspec.DecodeError, UnicodeDecodeError) as error:
            raise InputError(f"study: expected a task in line {number} of {path}, got {error}; restore it.") from None
