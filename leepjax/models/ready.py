"""Tables of embeddings as sources: their outputs are read from the table, and nothing is computed from examples."""

import os
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, Literal, NoReturn

import msgspec
import numpy as np

from leepjax.data.embeddings.embeddings import Embeddings, of_features, open_embeddings
from leepjax.data.target import Target
from leepjax.models.card import Card
from leepjax.models.source import Foreign, Source
from leepjax.printable import printable
from leepjax.types import InputError, Outputs

MODEL = "embeddings"
"""The model of a card of embeddings."""
_BLOCK = 1 << 28
"""Bytes of features that are read at a time to compare rows."""


@dataclass(frozen=True, eq=False)
class ReadyTable(Foreign):
    """Takes the place of a network; its outputs are the rows of a table."""

    embeddings: Embeddings
    matched: Literal["id", "order"] | None = None
    """How its rows are matched with the examples of the target; None until that is decided."""
    kind = "embeddings"

    @property
    def path(self) -> str:
        """The file, or the name of arrays, by which equal tables are distinguished."""
        return self.embeddings.where

    def rows(self, target: Target) -> Outputs:
        """The rows of the target's examples, read from the table.

        Raises:
            InputError: for an example without a row, and for numbers that aren't finite.
        """
        return Outputs(*self.embeddings.read(self._places(target)))

    def keys(self, target: Target) -> np.ndarray:
        """[n] 64 bits of the features of each of the target's examples, equal for equal ones; read block by block.

        Raises:
            InputError: for an example without a row.
        """
        places, features = self._places(target), self.embeddings.features
        order, step = np.argsort(places, kind="stable"), max(_BLOCK // (4 * features.shape[1]), 1)
        found = np.empty(len(places), np.int64)
        for start in range(0, len(order), step):
            block = order[start : start + step]
            found[block] = [hash(row.tobytes()) for row in features.read(places[block])]
        return found

    def _places(self, target: Target) -> np.ndarray:
        table = self.embeddings
        if self.matched == "id":
            ids = table.ids() or ()
            places = {name: place for place, name in enumerate(ids)}
            found = np.array([places.get(name, -1) for name in target.ids], np.int64)
        else:
            found = target.origin.places
        if len(missing := np.flatnonzero((found < 0) | (found >= len(table)))):
            raise InputError(
                f"{table.where}: expected a row for each example of {target.name}, got none for {len(missing):,} of "
                f"{len(target):,}, the first with the id {printable(target.id(int(missing[0])))!r}; add the rows, or "
                "take their labels out."
            )
        return found

    def open(self) -> NoReturn:
        raise InputError(
            f"{self.embeddings.where}: expected a source that computes, got embeddings; name a source of images or "
            "texts."
        )

    def model(self) -> NoReturn:
        raise InputError(
            f"{self.embeddings.where}: expected a network that can be trained, got embeddings; train a head on them, "
            "by verify head or ridge, and no fine-tuning."
        )


def as_table(
    features: Any,
    logits: Any = None,
    *,
    probs: Any = None,
    name: str | None = None,
    ids: Sequence[Any] | None = None,
) -> Source:
    """Make a source of existing embeddings.

    Args:
        features: [n d] real numbers, an array of any library, which is copied; a NumPy memory map in mode "r", of which
            only the rows that are needed are read; or the path of a file as ``leepjax rank --tables`` takes it.
        logits: [n z] of the source's own classifier, which LEEP and NCE need.
        probs: [n z] the probabilities of the classifier, in place of its logits.
        name: name in tables; by default that of the file.
        ids: [n] ids of the rows, by which they are matched with those of the target; by default, and where the target
            has no ids, rows are in the order of the target.

    Returns:
        A `Source` for `leepjax.rank` and `leepjax.choose`, whose target may be of any kind, or labels alone.

    Raises:
        InputError: for arrays of other axes, integers or strings, no name, logits beside probs, or ids that aren't
            distinct.

    >>> from leepjax import as_table
    >>> as_table([[0.5, 1.0], [2.0, 0.1]], name="clip").name
    'clip'
    """
    if isinstance(features, (str, os.PathLike)):
        if logits is not None or probs is not None or ids is not None:
            raise InputError("as_table: expected logits, probs and ids in the file, got arrays; pass arrays alone.")
        tables = open_embeddings("as_table", Path(features))
        if len(tables) > 1:
            raise InputError(
                f"as_table: expected a file of one table, got a folder of {len(tables)}; pass one of its files."
            )
        return source_of_embeddings(tables[0], name)
    if name is None:
        raise InputError("as_table: expected a name for arrays, got none; pass name=.")
    found = of_features(features, logits, probs=probs, name=name, ids=ids, caller="as_table")
    return source_of_embeddings(found, None)


def source_of_embeddings(embeddings: Embeddings, name: str | None = None) -> Source:
    """The source of a table; a table that `leepjax extract` wrote keeps the card of the source that computed it."""
    try:
        card = msgspec.json.decode(embeddings.provenance.get("card", ""), type=Card)
    except (msgspec.DecodeError, InputError):
        card = None
    return Source(
        Card(
            name=name or (card.name if card else embeddings.name),
            model=MODEL,
            reads="embeddings",
            num_classes=embeddings.num_source_classes,
            num_parameters=card.num_parameters if card else 0,
            weights_hash=embeddings.digest(),
            classes=card.classes if card else (),
            data=card.data if card else "",
            licence=card.licence if card else "",
            accuracy=card.accuracy if card else None,
            origin=card.origin if card else "",
        ),
        ReadyTable(embeddings),
    )


def ready(source: Source) -> ReadyTable | None:
    """The table of a source of embeddings; None for any other."""
    return source.network if isinstance(source.network, ReadyTable) else None


def matched(source: Source, how: Literal["id", "order"]) -> Source:
    """A source of embeddings whose rows are found by id, or by their order."""
    table = ready(source)
    assert table is not None
    return replace(source, network=replace(table, matched=how))
