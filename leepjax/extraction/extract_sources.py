"""Tables for keeps: what sources say of a target, in a folder, for measures to come."""

import os
import time
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import NamedTuple, get_args

from leepjax.callbacks import OVERALL, OnProgress, counted
from leepjax.extraction.extract import extract as extract_one
from leepjax.extraction.extract import table_path
from leepjax.extraction.table import Evidence, Storage, Table
from leepjax.models.source import DType
from leepjax.opening.sources import NOT_OF_A_SOURCE, AnySource, Failed, open_each, raise_for_all, reason_of
from leepjax.opening.target import AnyTarget, open_target
from leepjax.storage.files import check_writable
from leepjax.storage.records import Failure
from leepjax.types import InputError, SplitChoice, unknown_name


class Extracted(NamedTuple):
    """A table, where it lies, and what it took."""

    table: Table
    path: Path
    seconds: float


class Extractions(dict[str, Extracted]):
    """Source's name → what was extracted."""

    failures: tuple[Failure, ...] = ()
    """The sources that failed."""


def extract(
    target: AnyTarget,
    sources: Sequence[AnySource] | AnySource | None = None,
    *,
    out: str | os.PathLike,
    evidence: Evidence = "logits",
    storage: Storage = "float32",
    dtype: DType | None = None,
    batch_size: int = 256,
    limit: int | None = None,
    seed: int = 0,
    strict: bool = False,
    split: SplitChoice | None = None,
    image_column: str | None = None,
    label_column: str | None = None,
    on_progress: OnProgress = lambda what, done, total: None,
) -> Extractions:
    """Run sources over a target and keep what they say: one `Table` a source, ``<out>/<content key>.safetensors``.

    What `out` already holds isn't computed again, and a killed run goes on from where it was, less 20 seconds.
    `leepjax.Batches.of_table` reads the files; `leepjax.rank` does too where `out` is its `cache` and they hold float32
    logits.

    Args:
        target: as in `leepjax.rank`.
        sources: as in `leepjax.rank`.
        out: folder for the tables.
        evidence: ``logits`` or ``probs``.
        storage: of features and evidence in the files, ``float32`` or ``float16``.
        dtype: what the networks compute in, ``float32`` or ``bfloat16``; each source's own, float32 unless it says
            otherwise, when left out.
        batch_size: images at a time, at most; halved where they don't fit in the device's memory.
        limit: use at most this many examples, stratified by class.
        seed: of the limit.
        strict: whether an image that can't be decoded, or a file of a folder that isn't used, is an error; they are
            left out and counted in a warning otherwise.
        split: of a target that comes in splits, the part to use (``train``, ``val`` or ``test``), or ``all`` as one
            set. By default the training part.
        image_column: of a ``.parquet``, ``hf:`` or ``tfds:`` target, the column of images; by default the only one, or
            the one called ``image``.
        label_column: likewise of labels; by default the one declared as such, or called ``label`` or the like.
        on_progress: called with what is under way, the number done and the total.

    Returns:
        Source's name → its table, the file, and the seconds it took; ``.failures`` holds the sources that couldn't be
        opened or run, with the reason.

    Raises:
        ValueError: for a target that isn't there, arguments out of range, or when every source fails; of a single
            source, its own error.
        OSError: when `out` can't be written to.
        MemoryError: when a single image doesn't fit in the device's memory.
    """
    for name, value, known in (("evidence", evidence, Evidence), ("storage", storage, Storage)):
        if value not in get_args(known):
            raise unknown_name(f"extract: {name}", value, get_args(known))
    if batch_size < 1:
        raise InputError(f"extract: batch_size must be at least 1, got {batch_size}; raise it.")
    check_writable(Path(out))
    examples = open_target(
        "extract", target, limit, seed, strict, split, image_column=image_column, label_column=label_column
    )
    opened = open_each("extract", sources)
    extracted, failed = Extractions(), list(opened.failed)
    for number, source in enumerate(opened.sources, start=1):
        source, started = replace(source, dtype=dtype or source.dtype), time.monotonic()
        try:
            table = extract_one(
                source,
                examples,
                batch_size=batch_size,
                cache=Path(out),
                evidence=evidence,
                storage=storage,
                required=True,
                on_batch=counted(f"{source.name}: images", len(examples), on_progress),
            )
        except NOT_OF_A_SOURCE:
            raise
        except Exception as error:
            failed.append(Failed(source.name, error))
        else:
            path = table_path(Path(out), table.key, evidence, storage)
            extracted[source.name] = Extracted(table, path, time.monotonic() - started)
        on_progress(f"{OVERALL}: {source.name}", number, len(opened.sources))
    if not extracted:
        raise_for_all("extract", failed)
    extracted.failures = tuple(Failure(name, examples.name, reason_of(error)) for name, error in failed)
    return extracted
