"""Evidence that is read batch by batch, as often as a measure needs to."""

import json
import mmap
from collections.abc import Callable, Iterable, Iterator, Sized
from concurrent.futures import ThreadPoolExecutor
from os import PathLike
from pathlib import Path
from typing import Any, NamedTuple, Self

import jax
import numpy as np
from jax.typing import ArrayLike

from leepjax.storage.files import digest
from leepjax.storage.sealed import check_seal
from leepjax.types import InputError

BatchSource = Iterable[Any] | Callable[[], Iterable[Any]]
"""What can be swept over again: an iterable that starts anew each time, or a function that makes an iterator."""


class Batch(NamedTuple):
    """Some examples: what a measure reads of them, their labels, and which of them count."""

    evidence: ArrayLike
    """[b z] probabilities or logits, or [b d] features"""
    labels: ArrayLike
    """[b] integer classes"""
    where: ArrayLike | None = None
    """[b] mask or weights"""


class Batches:
    """Arrays in memory or on disk as batches; memory-mapped ones are read anew in each sweep and never held.

    >>> batches = Batches(np.eye(3), np.arange(3), batch_size=2)
    >>> [batch.labels.tolist() for batch in batches], len(batches)
    ([[0, 1], [2]], 2)
    """

    def __init__(
        self, evidence: np.ndarray, labels: np.ndarray, where: np.ndarray | None = None, *, batch_size: int = 4096
    ):
        """Batches of evidence [n z] or [n d], labels [n] and `where` [n], which may be `numpy.memmap`.

        Raises:
            InputError: for arrays of different lengths, or a `batch_size` below 1.
        """
        if batch_size < 1:
            raise InputError(f"Batches: batch_size must be >= 1, got {batch_size}; pass a number of rows.")
        for name, array in (("labels", labels), ("where", where)):
            if array is not None and len(array) != len(evidence):
                raise InputError(
                    f"Batches: expected {len(evidence)} {name}, one an example, got {len(array)}; align the rows."
                )
        self._evidence, self._labels, self._where = evidence, labels, where
        self._batch_size = batch_size

    @classmethod
    def of_table(cls, path: str | PathLike, evidence: str = "logits", *, batch_size: int = 4096) -> Self:
        """The evidence and labels of a `Table` that `leepjax.extract` wrote: `evidence` is logits or features.

        The file's content is first compared with the digest that it carries, once per process and state of the file.

        Raises:
            InputError: for a file that isn't a safetensors table, is damaged, or has no such tensor.
        """
        arrays = _mapped_tensors(path)
        for name in (evidence, "labels"):
            if name not in arrays:
                raise InputError(
                    f"Batches: expected a tensor {name} in {path}, got {sorted(arrays)}; name one of these."
                )
        return cls(arrays[evidence], arrays["labels"], batch_size=batch_size)

    def __len__(self) -> int:
        return -(-len(self._labels) // self._batch_size)

    def __iter__(self) -> Iterator[Batch]:
        return self.starting_at(0)

    @property
    def fingerprint(self) -> tuple:
        """The shape of the evidence, the size of a batch, and a digest of the labels."""
        labels = digest(np.ascontiguousarray(self._labels))
        return self._evidence.shape, str(self._evidence.dtype), self._batch_size, labels

    def starting_at(self, batch: int) -> Iterator[Batch]:
        """The batches from some batch on; those before it aren't read."""
        for start in range(batch * self._batch_size, len(self._labels), self._batch_size):
            rows = slice(start, start + self._batch_size)
            where = None if self._where is None else _read(self._where, rows)
            yield Batch(_read(self._evidence, rows), _read(self._labels, rows), where)


def fingerprint(source: BatchSource) -> tuple:
    """What can be told of batches without reading them all, to know them again."""
    if isinstance(source, Batches):
        return source.fingerprint
    return (len(source),) if isinstance(source, Sized) else ()


def starting_at(source: BatchSource, batch: int) -> Iterator[Batch]:
    """The batches of any source from some batch on, read one ahead by a thread.

    Raises:
        InputError: for an iterator, which a second sweep would find empty, or batches that aren't tuples or dicts.
    """
    if isinstance(source, Batches):
        return _ahead(map(_on_device, source.starting_at(batch)))
    iterable = source() if callable(source) else source
    if not callable(source) and iter(iterable) is iterable:
        raise InputError("batches: expected what can be read again, got an iterator; pass a function that makes it.")
    iterator = iter(iterable)
    for _ in range(batch):
        next(iterator, None)
    return _ahead(map(_on_device, map(_as_batch, iterator)))


def first_batch(source: BatchSource) -> Batch:
    """The batch that shows what the others are like.

    Raises:
        InputError: as `starting_at`, and if there is none.
    """
    for batch in starting_at(source, 0):
        return batch
    raise InputError("batches: expected at least one batch, got none; check the loader.")


def _as_batch(item: Any) -> Batch:
    try:
        batch = Batch(**item) if isinstance(item, dict) else Batch(*item)
        # A loader may fill the same array again while this batch is at work.
        evidence = np.array(batch.evidence) if isinstance(batch.evidence, np.ndarray) else batch.evidence
        return batch._replace(evidence=evidence, labels=np.array(batch.labels))
    except TypeError:
        got = f"a dict of {sorted(item)}" if isinstance(item, dict) else type(item).__name__
        raise InputError(
            f"batches: expected (evidence, labels) or (evidence, labels, where), got {got}; map the loader's items."
        ) from None


def _on_device(batch: Batch) -> Batch:
    """Put the evidence where it is computed with; where that is the host, without a copy."""
    if isinstance(batch.evidence, np.ndarray):
        return batch._replace(evidence=jax.device_put(batch.evidence, may_alias=True))
    return batch


def _ahead(batches: Iterator[Batch]) -> Iterator[Batch]:
    with ThreadPoolExecutor(1, thread_name_prefix="leepjax-read-ahead") as reader:
        coming = reader.submit(next, batches, None)
        while (batch := coming.result()) is not None:
            coming = reader.submit(next, batches, None)
            yield batch


def _read(array: np.ndarray, rows: slice) -> np.ndarray:
    """Rows of an array. What is mapped is read from its file: mapped pages would stay in the process's memory."""
    if not (isinstance(array, np.memmap) and isinstance(array.base, mmap.mmap) and array.flags.c_contiguous):
        return array[rows]
    start, stop, _ = rows.indices(len(array))
    row = array.nbytes // len(array)
    out = _aligned((stop - start) * row)
    with open(str(array.filename), "rb", buffering=0) as file:
        file.seek(array.offset + start * row)
        view = memoryview(out)
        while len(view):
            got = file.readinto(view)
            if not got:
                raise InputError(f"batches: expected {len(array)} rows in {array.filename}, got fewer; write it anew.")
            view = view[got:]
    return out.view(array.dtype).reshape(stop - start, *array.shape[1:])


def _aligned(size: int, to: int = 64) -> np.ndarray:
    """Bytes at an address that JAX takes over without a copy."""
    raw = np.empty(size + to, np.uint8)
    start = -raw.ctypes.data % to
    return raw[start : start + size]


def _mapped_tensors(path: str | PathLike) -> dict[str, np.memmap]:
    """The tensors of a safetensors file, mapped: its header is a length, then JSON with dtypes, shapes and offsets."""
    try:
        check_seal(Path(path), required=False)
        with open(path, "rb") as file:
            length = int.from_bytes(file.read(8), "little")
            header = json.loads(file.read(length))
    except FileNotFoundError:
        raise InputError(f"Batches: expected a table at {path}, got no file; check the path.") from None
    except (ValueError, MemoryError, OverflowError) as error:
        raise InputError(f"Batches: expected a safetensors table in {path}, got {error}; extract it anew.") from None
    header.pop("__metadata__", None)
    return {
        name: np.memmap(
            path, _DTYPES[entry["dtype"]], "r", 8 + length + entry["data_offsets"][0], tuple(entry["shape"])
        )
        for name, entry in header.items()
        if entry["dtype"] in _DTYPES
    }


_DTYPES = {"F16": "<f2", "F32": "<f4", "F64": "<f8", "I32": "<i4", "I64": "<i8", "U8": "u1"}
