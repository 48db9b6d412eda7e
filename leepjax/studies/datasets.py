"""The data of a study: labelled sets in two parts, and the outputs of a source for either part."""

import re
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import msgspec
import numpy as np

from leepjax.callbacks import OnProgress, counted
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
    """Open the training and the test part of a set.

    If both are the same set, the test part is the set's own test split; a set without one is divided into halves.

    Raises:
        InputError: when a part doesn't exist, or the classes of both differ.
    """
    learned = _opened(train)
    # The name of a set is the common part of its parts' names, such as cifar100-train or cifar100:train.
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
    """The source with its images reduced to `image_size` pixels on the longer side if it expects larger ones."""
    preprocessing = source.card.pixels
    longer = max(preprocessing.size)
    if image_size is None or longer <= image_size:
        return source
    height, width = (max(1, round(side * image_size / longer)) for side in preprocessing.size)
    smaller = msgspec.structs.replace(preprocessing, image_size=height if height == width else (height, width))
    return replace(source, card=msgspec.structs.replace(source.card, preprocessing=smaller))


@dataclass(frozen=True)
class SourceOutputs:
    """A source's outputs for some examples of a set."""

    rows: np.ndarray
    """[n] the examples' indices in the set, ascending."""
    features: np.ndarray
    """[n d]"""
    probs: np.ndarray
    """[n z] over the source's classes."""
    labels: np.ndarray
    """[n] in the numbers of the set."""

    def positions(self, rows: np.ndarray) -> np.ndarray:
        """[m] positions in these arrays of the examples with these indices in the set [m]."""
        return np.searchsorted(self.rows, rows)


def outputs_of(
    source: Source, target: Target, wanted: Sequence[np.ndarray], cache: Path | None, on_progress: OnProgress
) -> SourceOutputs:
    """The outputs of a source for the wanted examples.

    If more than half of all examples are wanted, or the cache holds all of them, all are passed through the source.

    Args:
        source: the source.
        target: the set.
        wanted: arrays of indices in the set, which may overlap.
        cache: folder of extracted outputs; None for no cache.
        on_progress: called after each batch.
    """
    rows = np.unique(np.concatenate(wanted))
    is_cached = cache is not None and table_path(cache, table_key(source, target)).exists()
    if is_cached or 2 * len(rows) > len(target):
        rows = np.arange(len(target))
    part = target.subset(rows)
    on_batch = counted(f"{source.name}: {len(part)} images of {target.name}", len(part), on_progress)
    table = extract(source, part, cache=cache, on_batch=on_batch)
    return SourceOutputs(rows, table.features, table.probs, table.labels)
