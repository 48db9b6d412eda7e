"""The column of a table that names the split of each row: one rule for labels of embeddings, texts and images."""

import logging
from collections.abc import Collection, Iterable, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from leepjax.data.held_out import with_test
from leepjax.data.split import SPLITS, split_called
from leepjax.data.target import Target
from leepjax.types import InputError, SplitChoice

SPLIT = "split"
"""Name, in any case, of the column that names the split of each row."""


def split_column(columns: Iterable[str], taken: Collection[str | None] = ()) -> str | None:
    """The column that names the splits, unless it is among those `taken` for another purpose."""
    return next((name for name in columns if name.lower() == SPLIT and name not in taken), None)


@dataclass(frozen=True)
class RowSplits:
    """A column of splits, and the split that the caller asked for."""

    where: str
    """Begins messages."""
    column: str
    values: Sequence[Any] | np.ndarray
    """[n] one for each row"""
    asked: SplitChoice | None

    def part_of(self, target: Target, rows: np.ndarray | None = None) -> Target:
        """Choose the part of a target to use; for the training part, `test` is the part to verify on.

        A column that holds no name of a split isn't a column of splits: it is ignored unless a split is asked for.

        Args:
            target: the examples.
            rows: the row in the table of each example; by default, the examples are all rows in order.

        Raises:
            InputError: for a value that isn't the name of a split, and for a split that no row belongs to.
        """
        if self.asked == "all":
            return target
        splits = np.array([split_called(str(value).strip()) or "" for value in self.values])
        if self.asked is None and not splits.astype(bool).any():
            return target
        for row in np.flatnonzero(splits == "")[:1]:
            raise InputError(
                f"{self.where}: expected train, val or test in the column {self.column!r}, got another value in row "
                f"{row}; rename it, or the column."
            )
        of = splits if rows is None else splits[rows]
        found = [each for each in SPLITS if (of == each).any()]
        if self.asked is not None:
            if self.asked not in found:
                raise InputError(
                    f"{self.where}: expected rows of the split {self.asked!r}, got {', '.join(found)}; choose one."
                )
            return target.subset(np.flatnonzero(of == self.asked))
        if len(found) < 2:
            return target
        train, test = found[0], found[-1]
        logging.getLogger("leepjax").warning(
            "%s: %s is used for scores and training, %s for verification (choose another with --split).",
            self.where,
            train,
            test,
        )
        return with_test(self.where, *(target.subset(np.flatnonzero(of == each)) for each in (train, test)))
