"""The table of a source's outputs for every example of a target, in memory and as a safetensors file."""

import contextlib
import json
import logging
import os
from dataclasses import dataclass, field
from pathlib import Path
from typing import Literal

import jax
import numpy as np
import safetensors

from leepjax.storage.sealed import check_seal, write_sealed
from leepjax.types import InputError

Evidence = Literal["logits", "probs"]
Storage = Literal["float32", "float16"]


@dataclass(frozen=True)
class Table:
    """A source's outputs for every example of a target, with the labels: the only input of measures and heads."""

    features: np.ndarray
    """[n d] float32"""
    logits: np.ndarray
    """[n z] float32"""
    labels: np.ndarray
    """[n] int32 classes, or [n k] of other tasks (see `leepjax.data.target.Target`)"""
    key: str
    """The content key: equal for equal weights, preprocessing and examples."""
    ids: tuple[str, ...] = ()
    """[n] ids of the examples: paths for a folder, otherwise numbers"""
    provenance: dict[str, str] = field(default_factory=dict)
    """Source, target, class names (JSON), weights, preprocessing, batch size and versions."""

    @property
    def probs(self) -> np.ndarray:
        """[n z] the softmax of the logits: θ(x) of the LEEP paper."""
        return np.asarray(_softmax(self.logits))

    @property
    def classes(self) -> tuple[str, ...]:
        """The names of the target's classes."""
        return tuple(json.loads(self.provenance.get("classes", "[]")))


def write_table(path: Path, table: Table, evidence: Evidence = "logits", storage: Storage = "float32") -> None:
    """Write a table with a digest of its content, atomically.

    Raises:
        InputError: when a feature or logit is too large for float16.
        WriteError: when the file can't be written.
    """
    arrays = {"features": table.features, evidence: getattr(table, evidence)}
    with np.errstate(over="ignore"):
        tensors = {name: array.astype(storage) for name, array in arrays.items()}
    for name, array in arrays.items():
        if np.isinf(tensors[name]).any() and not np.isinf(array).any():
            raise InputError(f"extract: expected {name} below 65504, got {np.abs(array).max():.0f}; store float32.")
    tensors |= {"labels": table.labels, "ids": _to_bytes(table.ids)}
    write_sealed(path, tensors, table.provenance | {"key": table.key})


def read_table(path: Path) -> Table:
    """Read a table from a file written by `write_table`; stored probabilities are returned as their logarithms.

    The file is checked against its digest, once per process unless it changes.

    Raises:
        InputError: when the file is missing, unreadable or damaged.
    """
    try:
        check_seal(path)
        with safetensors.safe_open(path, framework="numpy") as file:
            tensors = {name: file.get_tensor(name) for name in file.keys()}  # noqa: SIM118
            provenance = dict(file.metadata() or {})
        del provenance["digest"]
        if "probs" in tensors:
            with np.errstate(divide="ignore"):
                tensors["logits"] = np.log(tensors["probs"].astype(np.float32))
        return Table(
            features=tensors["features"].astype(np.float32, copy=False),
            logits=tensors["logits"].astype(np.float32, copy=False),
            labels=tensors["labels"],
            key=provenance.pop("key"),
            ids=_from_bytes(tensors["ids"]),
            provenance=provenance,
        )
    except FileNotFoundError:
        raise InputError(f"table: expected a table at {path}, got no file; extract it first.") from None
    except (safetensors.SafetensorError, OSError, KeyError, ValueError) as error:
        raise InputError(f"table: expected a table in {path}, got {error}; extract it again.") from None


def cached_table(path: Path) -> Table | None:
    """Read the table at `path`; None if it is missing or unreadable. A damaged file is removed, with a warning."""
    if not os.path.exists(path):
        return None
    try:
        return read_table(path)
    except InputError as error:
        if os.path.exists(path):  # another process may have just removed it
            logging.getLogger("leepjax").warning("%s", error)
        if os.access(path, os.R_OK):  # a file of another user may be unreadable without being damaged
            with contextlib.suppress(OSError):
                path.unlink()
    return None


@jax.jit
def _softmax(logits):
    return jax.nn.softmax(logits, axis=-1)


def _to_bytes(ids: tuple[str, ...]) -> np.ndarray:
    """Encode texts for safetensors: UTF-8, with NUL after each."""
    return np.frombuffer("".join(f"{name}\0" for name in ids).encode(), np.uint8)


def _from_bytes(array: np.ndarray) -> tuple[str, ...]:
    return tuple(array.tobytes().decode().split("\0")[:-1])
