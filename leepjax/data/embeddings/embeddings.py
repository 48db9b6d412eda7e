"""Embeddings, in memory or in a file: a row of features per example, and logits if the source has a classifier."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np

from leepjax.data.embeddings.arrays import of_npy, of_npz, of_safetensors
from leepjax.data.embeddings.cells import Counts
from leepjax.data.embeddings.contents import FEATURES, IDS, LOGITS, Column, Contents, named
from leepjax.data.embeddings.distributions import are_distributions, sum_to_one
from leepjax.data.embeddings.feature_columns import check_no_other_type
from leepjax.data.embeddings.parquet import of_parquet
from leepjax.data.embeddings.rows import Rows, kept_rows_of
from leepjax.data.embeddings.sheets import of_sheet
from leepjax.data.labels import plain_scalar
from leepjax.inputs.containers import host_array, python_values, unmasked
from leepjax.inputs.rounding import check_rounding, few, is_wide, spread_little
from leepjax.printable import printable, valid_unicode
from leepjax.storage.files import digest
from leepjax.types import InputError, check_no_url

_SHEETS = (".csv", ".tsv", ".txt", ".jsonl", ".ndjson", ".json")
_FORMATS = ".npy, .npz, .parquet, .safetensors, .csv, .tsv or .jsonl"


@dataclass(frozen=True, eq=False)
class Embeddings:
    """The outputs of one source for n examples. Rows are read from their file when they are needed."""

    name: str
    where: str
    """The beginning of messages about these embeddings"""
    features: Rows
    logits: Rows | None = None
    """[n z] of the source's own classes, or the logarithms of their probabilities; None without a classifier."""
    are_probs: bool = False
    """Whether `logits` holds probabilities, of which `read` takes the logarithm."""
    read_ids: Column | None = None
    """Reads the ids [n] of the rows; None where they have none."""
    contents: Contents | None = None
    """The file, for the labels in it; None for arrays."""
    provenance: Mapping[str, str] = field(default_factory=dict)
    """What `leepjax extract` wrote about a table; empty for all others."""

    def __len__(self) -> int:
        return self.features.shape[0]

    @property
    def num_source_classes(self) -> int:
        """z, 0 without a classifier."""
        return 0 if self.logits is None else self.logits.shape[1]

    def digest(self) -> str:
        """A digest of the numbers and the ids. To compute it, all of them are read once, block by block."""
        logits = "" if self.logits is None else f"{self.are_probs} {self.logits.digest()}"
        ids = "" if (found := self.ids()) is None else digest("\0".join(found).encode())
        return digest(f"{self.features.digest()} {logits} {ids}".encode())

    def ids(self) -> tuple[str, ...] | None:
        """The ids [n] as text, read anew; None where the rows have none.

        Raises:
            InputError: for an id that is missing, or occurs twice.
        """
        return None if self.read_ids is None else ids_of(self.where, self.read_ids(), len(self))

    def read(self, places: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """Features [m d] and logits [m z] of the rows at these places, float32.

        Raises:
            InputError: for numbers that aren't finite (except logits of −∞), probabilities that are negative or
                don't sum to one, or logits that are probabilities.
        """
        features = self.features.read(places)
        if is_wide(self.features.dtype) and len(places) > 1:
            self._check_rounding(features, places)
        self._check("finite features", "NaN or infinity", ~np.isfinite(features).all(axis=1), places)
        if self.logits is None:
            return features, np.empty((len(places), 0), np.float32)
        logits = self.logits.read(places)
        if self.are_probs:
            wrong = ~(np.isfinite(logits) & (logits >= 0)).all(axis=1)
            self._check("finite probs", "a negative number, NaN or infinity", wrong, places)
            wrong = ~sum_to_one(logits, self.logits.dtype)
            self._check("probs that sum to one in each row", "another sum", wrong, places)
            with np.errstate(divide="ignore"):
                logits = np.log(logits)
        elif are_distributions(logits, self.logits.dtype):
            raise InputError(
                f"{self.where}: expected logits, got probabilities, which are >= 0 and sum to 1 in each row; call them "
                "probs, or take their logarithm."
            )
        wrong = np.isnan(logits).any(axis=1) | np.isposinf(logits).any(axis=1)
        self._check("finite logits", "NaN or infinity", wrong, places)
        return features, logits

    def _check_rounding(self, features: np.ndarray, places: np.ndarray) -> None:
        """Raise for a column that float32 rounds too much; float64 is read only for columns that may be such."""
        rows = few(np.arange(len(places)))
        doubtful = spread_little(features[rows]) | ~features[rows].any(axis=0)
        if doubtful.any() and spread_little(self.features.read(places[rows], np.float64)).any():
            check_rounding(self.where, "features", self.features.read(places, np.float64), also="")

    def _check(self, expected: str, got: str, wrong: np.ndarray, places: np.ndarray) -> None:
        if not wrong.any():
            return
        found = self.ids()
        first = int(places[wrong].min())
        row = f"row {first}" if found is None else f"row {first}, id {printable(found[first])}"
        raise InputError(
            f"{self.where}: expected {expected}, got {got} for {wrong.sum():,} of {len(wrong):,} examples, first in "
            f"{row}; compute these rows again, or remove their examples."
        )


def open_embeddings(caller: str, path: str | Path, asked: tuple[str | None, ...] = ()) -> list[Embeddings]:
    """Open a file of embeddings, or the tables in a folder that `leepjax extract` wrote.

    Args:
        caller: the beginning of messages.
        path: an ``.npy`` of features [n d]; an ``.npz`` or safetensors file of `features`, `logits` or `probs`, `ids`
            and `labels`; a ``.parquet`` with a column of lists, or of numbers, and one of ids; the same as ``.csv``,
            ``.tsv`` or ``.jsonl``; or a folder.
        asked: the columns that the caller named for labels and groups.

    Raises:
        InputError: for a file that is missing or of another format, and for integers, strings or other axes.
    """
    path = Path(path)
    if path.is_dir():
        return _of_folder(caller, path)
    return [of_contents(valid_unicode(path.stem), read_contents(caller, path, asked))]


def read_contents(
    caller: str, path: Path, asked: tuple[str | None, ...] = (), *, features: bool = True, counts: Counts = tuple
) -> Contents:
    """Read the columns of a file of embeddings or labels.

    If the first row of a CSV may be a header or a row, `counts` decides: the numbers of rows that the file may have.

    Raises:
        InputError: for a file that is missing, or of another format.
    """
    check_no_url(caller, path)
    path, suffix = Path(path).absolute(), Path(path).suffix.lower()
    readers = {
        ".npy": partial(of_npy, caller),
        ".npz": partial(of_npz, caller, asked=asked),
        ".safetensors": partial(of_safetensors, caller, asked=asked),
        ".parquet": partial(of_parquet, asked=asked),
    }
    readers |= dict.fromkeys(_SHEETS, partial(of_sheet, caller, asked=asked, features=features, counts=counts))
    shown = printable(str(path))
    if not path.exists():
        raise InputError(f"{caller}: expected a file at {shown}, got none; check the path.")
    if suffix not in readers or not path.is_file():
        raise InputError(f"{caller}: expected {_FORMATS}, got {shown}; write it in one of these formats.")
    return readers[suffix](path)


def of_contents(name: str, contents: Contents) -> Embeddings:
    """The embeddings among the columns of a file.

    Raises:
        InputError: without a column of vectors, or with several that may be the features.
    """
    logits = named(list(contents.vectors), LOGITS)
    own = contents.vectors[logits] if logits else None
    vectors = {each: rows for each, rows in contents.vectors.items() if each.lower() not in LOGITS}
    column = next(iter(vectors)) if len(vectors) == 1 else named(list(vectors), FEATURES)
    if column is None:
        if not vectors:
            check_no_other_type(contents.where, contents.scalars)
        got = ", ".join(map(printable, vectors)) or ", ".join(map(printable, contents.scalars)) or "none"
        raise InputError(
            f"{contents.where}: expected one array or column of features, got {got}; call it {FEATURES[0]}."
        )
    ids = named(list(contents.scalars), IDS)
    found = Embeddings(
        name=name,
        where=contents.where,
        features=vectors[column],
        logits=own,
        are_probs=logits is not None and logits.lower() == "probs",
        read_ids=contents.scalars[ids] if ids else None,
        contents=contents,
        provenance=contents.provenance,
    )
    _check_rows(found)
    return found


def of_features(
    features: Any,
    logits: Any = None,
    *,
    probs: Any = None,
    name: str,
    ids: Sequence[Any] | None = None,
    caller: str,
) -> Embeddings:
    """Make embeddings of arrays: features [n d], logits or probs [n z], and ids [n]. All but memory maps are copied.

    Raises:
        InputError: for arrays with other axes, integers, strings, or different lengths, and for logits beside probs.
    """
    where = f"{caller}: {printable(name)}"
    if logits is not None and probs is not None:
        raise InputError(f"{where}: expected logits or probs, got both; pass one of them.")
    outputs = logits if probs is None else probs
    rows = kept_rows_of(host_array(where, "features", features))
    what = "logits" if probs is None else "probs"
    own = None if outputs is None else kept_rows_of(host_array(where, what, outputs))
    read_ids = None if ids is None else partial(_itself, list(python_values(unmasked(where, "ids", ids))))
    found = Embeddings(name, where, rows, own, are_probs=probs is not None, read_ids=read_ids)
    _check_rows(found)
    found.ids()
    return found


def _itself(values: Sequence[Any]) -> Sequence[Any]:
    return values


def ids_of(where: str, values: Sequence[Any] | np.ndarray, count: int) -> tuple[str, ...]:
    """Convert ids to text; a whole float is written as an integer.

    Raises:
        InputError: for another number of ids, one that is missing, or one that occurs twice.
    """
    if len(values) != count:
        raise InputError(f"{where}: expected {count:,} ids, one per row, got {len(values):,}; write one for each row.")
    plain = values.tolist() if isinstance(values, np.ndarray) else list(values)
    for row, value in enumerate(plain):
        if plain_scalar(value) is None or value != value or value == "":
            raise InputError(f"{where}: expected an id for every row, got none in row {row}; fill it in.")
    found = tuple(valid_unicode(_text(value)) for value in plain)
    if len(set(found)) < len(found):
        seen: set[str] = set()
        again = next(name for name in found if name in seen or seen.add(name))
        raise InputError(
            f"{where}: expected ids that occur once, got {printable(again)!r} twice; remove one of its rows."
        )
    return found


def _text(value: Any) -> str:
    if isinstance(value, bytes):
        return value.decode("utf-8", "surrogateescape")
    return str(int(value)) if isinstance(value, float) and value.is_integer() else str(value)


def _of_folder(caller: str, folder: Path) -> list[Embeddings]:
    """Open the tables that `leepjax extract` wrote; each is named after its source or, if names collide, its file."""
    contents = {file: of_safetensors(caller, file.absolute()) for file in sorted(folder.glob("*.safetensors"))}
    tables = {file: each for file, each in contents.items() if each.provenance}
    if not tables:
        raise InputError(
            f"{caller}: expected tables that leepjax extract wrote in {printable(str(folder))}, got none; name files "
            "of embeddings."
        )
    return [of_contents(valid_unicode(each.provenance["source"]), each) for each in tables.values()]


def _check_rows(embeddings: Embeddings) -> None:
    where, count = embeddings.where, len(embeddings) if embeddings.features.shape else 0
    for what, rows in (("features", embeddings.features), ("logits", embeddings.logits)):
        if rows is None:
            continue
        if len(rows.shape) != 2:
            raise InputError(f"{where}: expected {what} of two axes, got shape {rows.shape}; write a row per example.")
        if 0 in rows.shape:
            raise InputError(f"{where}: expected rows of {what}, got shape {rows.shape}; write a row per example.")
        if not _is_real(rows.dtype):
            raise InputError(
                f"{where}: expected {what} that are real numbers, got {rows.dtype}; if they are embeddings, store them "
                "as float32."
            )
        if rows.shape[0] != count:
            raise InputError(
                f"{where}: expected as many rows of {what} as of features, got {rows.shape[0]:,} and {count:,}; write "
                "one for each example."
            )


def _is_real(dtype: np.dtype) -> bool:
    return dtype.kind == "f" or dtype.name == "bfloat16"
