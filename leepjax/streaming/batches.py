"""Read evidence in batches, as many times as a measure needs."""

import json
from collections.abc import Callable, Iterable, Iterator, Sized
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from itertools import islice
from os import PathLike
from pathlib import Path
from typing import Any, NamedTuple, Self

import jax
import jax.numpy as jnp
import numpy as np
from jax.core import Tracer
from jax.typing import ArrayLike

from leepjax.checks.single import on_host
from leepjax.inputs.containers import native, unmasked
from leepjax.storage.sealed import check_seal
from leepjax.streaming.file_rows import ReadableRows
from leepjax.types import InputError

BatchSource = Iterable[Any] | Callable[[], Iterable[Any]]
"""Batches that can be read several times: an iterable (not an iterator), or a function that returns an iterator."""


class Batch(NamedTuple):
    """A batch of examples: their evidence, labels and weights."""

    evidence: ArrayLike
    """[b z] probabilities or logits, or [b d] features"""
    labels: ArrayLike
    """[b] integer classes"""
    where: ArrayLike | None = None
    """[b] mask or weights"""


class Batches:
    """Arrays in memory or on disk as batches; memory-mapped arrays are read again in each pass, one batch at a time.

    >>> import numpy as np
    >>> from leepjax import Batches
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
                    f"Batches: expected {len(evidence)} {name}, one per example, got {len(array)}; "
                    "pass one per example."
                )
        self._evidence, self._labels = ReadableRows(evidence), ReadableRows(labels)
        self._where = None if where is None else ReadableRows(where)
        self._batch_size = batch_size

    @classmethod
    def of_table(cls, path: str | PathLike, evidence: str = "logits", *, batch_size: int = 4096) -> Self:
        """Batches of the table in a file written by `leepjax.extract`; `evidence` is "logits" or "features".

        The file is first checked against its digest, once per process unless it changes.

        Raises:
            InputError: for a file that isn't a safetensors table, is damaged, or lacks the tensor.
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
        """Batch size, and digests of evidence, labels and `where`; for a file, of some rows and its time of change."""
        arrays = self._evidence, self._labels, self._where
        return self._batch_size, *(None if array is None else array.fingerprint for array in arrays)

    def starting_at(self, batch: int) -> Iterator[Batch]:
        """Batches from number `batch` on; earlier ones aren't read."""
        for start in range(batch * self._batch_size, len(self._labels), self._batch_size):
            rows = slice(start, start + self._batch_size)
            where = None if self._where is None else self._where.read(rows)
            yield Batch(self._evidence.read(rows), self._labels.read(rows), where)

    def checked(self, batch: Batch) -> Batch:
        """A batch that was read ahead, if no file has become shorter since.

        A file that another program shortens while the batch is in use still ends the process.

        Raises:
            InputError: for such a file.
        """
        for array in (self._evidence, self._labels, self._where):
            if array is not None:
                array.check_whole()
        return batch


def fingerprint(source: BatchSource) -> tuple:
    """Identify batches without reading those of a loader, to recognise them when a checkpoint resumes."""
    if isinstance(source, Batches):
        return source.fingerprint
    return (len(source),) if isinstance(source, Sized) else ()


def starting_at(
    source: BatchSource, batch: int, on_skipped: Callable[[Batch], None] = lambda _: None
) -> Iterator[Batch]:
    """Batches from number `batch` on; a thread reads one batch ahead.

    A loader must be read from its beginning: `on_skipped` is called with each of its earlier batches.

    Raises:
        InputError: for an iterator, which would be empty in a second pass, or batches that aren't tuples or dicts.
    """
    if isinstance(source, Batches):
        return map(source.checked, _ahead(map(_on_device, source.starting_at(batch))))
    iterable = source() if callable(source) else source
    if not callable(source) and iter(iterable) is iterable:
        raise InputError(
            "batches: expected batches that can be read twice, got an iterator; pass a function that makes it."
        )
    batches = map(_as_batch, iterable)
    for skipped in islice(batches, batch):
        on_skipped(skipped)
    return _ahead(map(_on_device, batches))


def has_examples(batch: Batch) -> bool:
    """Whether a batch adds anything: False if it is empty, or if `where` hides all of it."""
    with suppress(TypeError, ValueError):  # raised for a value that isn't an array; a check refuses it later
        rows = np.shape(batch.labels)
        if len(rows) != 1 or np.shape(batch.evidence)[:1] != rows:
            return True  # a check refuses it later
        if rows == (0,):
            return False
        if batch.where is not None and not isinstance(batch.where, Tracer):
            weights = on_host(batch.where)
            return weights.shape != rows or bool(weights.any())
    return True


def first_with_examples(function: str, source: BatchSource) -> tuple[int, Batch]:
    """The number of the first batch that adds something, and the batch, for its shapes and dtypes.

    Raises:
        InputError: as `starting_at`, if there are no batches, and if none of them adds anything.
    """
    number = -1
    for number, batch in enumerate(starting_at(source, 0)):
        if has_examples(batch):
            return number, batch
    if number < 0:
        raise InputError("batches: expected at least one batch, got none; pass a loader with at least one example.")
    raise none_counts(function)


def none_counts(function: str) -> InputError:
    """The error if no batch has an example that counts."""
    return InputError(
        f"{function}: expected at least one example that counts, got none; give one a weight > 0 in where."
    )


def _as_batch(item: Any) -> Batch:
    try:
        batch = Batch(**item) if isinstance(item, dict) else Batch(*item)
    except TypeError:
        got = f"a dict of {sorted(item)}" if isinstance(item, dict) else type(item).__name__
        raise InputError(
            f"batches: expected (evidence, labels) or (evidence, labels, where), got {got}; convert the loader's items."
        ) from None
    return Batch(*map(_own, Batch._fields, batch))


def _own(name: str, array: Any) -> Any:
    """Copy an array, because a loader may overwrite it while the batch is in use; JAX arrays can't be overwritten.

    A value that can't be copied is returned as it is; a check refuses it later.
    """
    if array is None or isinstance(array, jax.Array):
        return array
    array = unmasked("batches", name, array)
    with suppress(TypeError, ValueError, RuntimeError):
        return native(np.array(array))
    with suppress(TypeError, ValueError, RuntimeError, BufferError, AttributeError):
        # NumPy can't hold it: PyTorch's bfloat16, or an array on an accelerator.
        return jax.block_until_ready(jnp.array(jnp.from_dlpack(array), copy=True))
    return array


def _on_device(batch: Batch) -> Batch:
    """Put the evidence on the device, if it needs no conversion; on a CPU, without a copy."""
    evidence = batch.evidence
    if isinstance(evidence, np.ndarray) and not isinstance(evidence, np.ma.MaskedArray) and evidence.dtype in _AS_IT_IS:
        return batch._replace(evidence=jax.device_put(evidence, may_alias=True))
    return batch


def _ahead(batches: Iterator[Batch]) -> Iterator[Batch]:
    with ThreadPoolExecutor(1, thread_name_prefix="leepjax-read-ahead") as reader:
        coming = reader.submit(next, batches, None)
        while (batch := coming.result()) is not None:
            coming = reader.submit(next, batches, None)
            yield batch


def _mapped_tensors(path: str | PathLike) -> dict[str, np.memmap]:
    """Memory-map the tensors of a safetensors file, whose header is a length, then JSON with dtypes and offsets."""
    try:
        check_seal(Path(path), required=False)
        with open(path, "rb") as file:
            length = int.from_bytes(file.read(8), "little")
            header = json.loads(file.read(length))
    except FileNotFoundError:
        raise InputError(f"Batches: expected a table at {path}, got no file; check the path.") from None
    except (ValueError, MemoryError, OverflowError) as error:
        raise InputError(f"Batches: expected a safetensors table in {path}, got {error}; extract it again.") from None
    header.pop("__metadata__", None)
    return {
        name: np.memmap(
            path, _DTYPES[entry["dtype"]], "r", 8 + length + entry["data_offsets"][0], tuple(entry["shape"])
        )
        for name, entry in header.items()
        if entry["dtype"] in _DTYPES
    }


_AS_IT_IS = {np.dtype(kind) for kind in (np.float32, np.float16, jnp.bfloat16)}
_DTYPES = {"F16": "<f2", "F32": "<f4", "F64": "<f8", "I32": "<i4", "I64": "<i8", "U8": "u1"}
