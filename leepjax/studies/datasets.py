"""What a study's names stand for: labelled sets in two parts, sources, and what a source says of either part."""

import re
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import msgspec
import numpy as np

from leepjax.callbacks import OnProgress
from leepjax.data.readers import read_target
from leepjax.data.split import train_test_split
from leepjax.data.target import Target, check_same_classes
from leepjax.extraction.extract import extract, table_key, table_path
from leepjax.models.source import Source


@dataclass(frozen=True)
class Pair:
    """A labelled set in two parts with the same classes."""

    name: str
    train: Target
    test: Target


def open_pair(train: str | Target, test: str | Target) -> Pair:
    """Open the two parts of a set; where both are one, its own parts if it comes in splits, and its halves if not.

    Raises:
        InputError: when one isn't there, or their classes differ.
    """
    learned = _opened(train)
    # A set's name is what its two parts share: cifar100-train, cifar100:train.
    name = re.sub(r"[-_:/. ]train\w*$", "", learned.name)
    same = train is test or (isinstance(train, str) and train == test)
    if same and learned.test is not None:
        tested = learned.test
    elif same:
        halves = train_test_split(learned.labels, 0.5, seed=0)
        learned, tested = (learned.subset(half) for half in halves)
    else:
        tested = _opened(test)
    check_same_classes("study", learned, tested)
    return Pair(name, replace(learned, name=name), replace(tested, name=name))


def _opened(target: str | Target) -> Target:
    return target if isinstance(target, Target) else read_target(target)


def at_size(source: Source, image_size: int | None) -> Source:
    """The source, seeing smaller images if it expects larger ones than `image_size`."""
    preprocessing = source.card.preprocessing
    if image_size is None or preprocessing.image_size <= image_size:
        return source
    smaller = msgspec.structs.replace(preprocessing, image_size=image_size)
    return replace(source, card=msgspec.structs.replace(source.card, preprocessing=smaller))


@dataclass(frozen=True)
class Said:
    """What a source says of some examples of a set: rows are looked up by the set's own indices."""

    rows: np.ndarray
    """[n] the set's indices, rising."""
    features: np.ndarray
    probs: np.ndarray
    labels: np.ndarray

    def at(self, rows: np.ndarray) -> np.ndarray:
        """Where the set's indices stand here."""
        return np.searchsorted(self.rows, rows)


def said(
    source: Source, target: Target, wanted: Sequence[np.ndarray], cache: Path | None, on_progress: OnProgress
) -> Said:
    """Pass the examples that are wanted through a source; all of them where they are many, or kept already."""
    rows = np.unique(np.concatenate(wanted))
    whole = cache is not None and table_path(cache, table_key(source, target)).exists()
    if whole or 2 * len(rows) > len(target):
        rows = np.arange(len(target))
    part, done = target.subset(rows), 0
    what = f"{source.name}: {len(part)} images of {target.name}"

    def on_batch(examples: int) -> None:
        nonlocal done
        done += examples
        on_progress(what, done, len(part))

    table = extract(source, part, cache=cache, on_batch=on_batch)
    return Said(rows, table.features, table.probs, table.labels)
