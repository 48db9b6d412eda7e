"""A ranking's plan: the examples of the target, their split, the measures, and how accuracy is verified."""

import functools
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Literal, get_args

import numpy as np

from leepjax.data.split import train_test_split
from leepjax.data.target import Target
from leepjax.measures import MEASURES, num_parameters, source_accuracy
from leepjax.measures.table import chosen
from leepjax.models.card import Card
from leepjax.opening.sources import several
from leepjax.opening.target import AnyTarget, open_target
from leepjax.storage.files import digest
from leepjax.types import InputError, SplitChoice, unknown_name

Verify = Literal["head", "ridge", "finetune", "none"]

CARD_MEASURES: Mapping[str, Callable[[Card], float]] = {
    "source_accuracy": source_accuracy,
    "num_parameters": num_parameters,
}
"""Baselines that depend on the source's card alone, not on the target; NaN where the card lacks the value."""


@dataclass(frozen=True)
class Plan:
    """What is measured on a target, the same for every source."""

    target: Target
    train: np.ndarray
    test: np.ndarray
    measures: tuple[str, ...]
    verify: Verify
    seed: int
    resamples: int
    confidence: float

    @property
    def name(self) -> str:
        """The target's name, by which messages call the plan."""
        return self.target.name

    @functools.cached_property
    def split(self) -> str:
        """Digest of the split into examples for scoring and for verification."""
        return digest(self.train.astype(np.int64).tobytes(), self.test.astype(np.int64).tobytes())


def make_plan(
    caller: str,
    target: AnyTarget,
    measures: Sequence[str] | None,
    *,
    verify: Verify,
    limit: int | None,
    seed: int,
    resamples: int,
    confidence: float,
    test_fraction: float,
    strict: bool,
    split: SplitChoice | None = None,
    image_column: str | None = None,
    label_column: str | None = None,
) -> Plan:
    """Open a target, choose its examples and split them; a target that has splits of its own keeps them.

    Raises:
        InputError: for an unknown name, a single class, or arguments out of range; it begins with `caller`.
    """
    target = open_target(
        caller,
        target,
        limit,
        seed,
        strict,
        split,
        image_column=image_column,
        label_column=label_column,
        with_test=verify != "none",
    )
    names = _check_measures(caller, measures)
    if verify not in get_args(Verify):
        raise unknown_name("verify", verify, get_args(Verify))
    if resamples < 0:
        raise InputError(f"{caller}: resamples must be >= 0, got {resamples}; 0 leaves intervals out.")
    for name, value in (("confidence", confidence), ("test_fraction", test_fraction)):
        if not 0 < value < 1:
            raise InputError(f"{caller}: {name} must lie between 0 and 1, got {value}; pass a fraction.")
    if verify == "none":
        train, test = np.arange(len(target)), np.arange(0)
    elif target.test is not None:
        train, test = np.arange(len(target)), len(target) + np.arange(len(target.test))
        target = target.joined(target.test)
    else:
        train, test = train_test_split(target.labels, test_fraction, seed)
        if not len(train) or not len(test):
            raise InputError(
                f"{caller}: expected examples in both parts of the split, got {len(train)} and {len(test)}; "
                "add images or verify none."
            )
    return Plan(target, train, test, names, verify, seed, resamples, confidence)


def _check_measures(caller: str, measures: Sequence[str] | None) -> tuple[str, ...]:
    names = chosen(None if measures is None else several(measures))
    known = (*MEASURES, *CARD_MEASURES)
    for name in names:
        if name not in known:
            raise unknown_name("measures", name, known)
    if not names or len(set(names)) < len(names):
        raise InputError(f"{caller}: expected distinct measures, got {list(names)}; name each once.")
    return names
