"""Extract the tables of several sources for a target into a folder."""

import os
import time
from collections.abc import Sequence
from contextlib import closing
from pathlib import Path
from typing import NamedTuple, get_args

from leepjax.callbacks import OVERALL, OnProgress, counted
from leepjax.extraction.extract import table_path
from leepjax.extraction.shared_pass import SharedPass, by_network
from leepjax.extraction.table import Evidence, Storage, Table
from leepjax.models.tapped import read_layers
from leepjax.opening.sources import NOT_OF_A_SOURCE, AnySource, Failed, open_each, raise_for_all, reason_of
from leepjax.opening.target import AnyTarget, open_examples
from leepjax.storage.files import check_writable
from leepjax.storage.records import Failure
from leepjax.types import NOUNS, DType, InputError, Pooling, SplitChoice, TaskReading, unknown_name


class Extracted(NamedTuple):
    """A table, the path of its file, and the seconds that it took."""

    table: Table
    path: Path
    seconds: float


class Extractions(dict[str, Extracted]):
    """Name of a source → its extracted table."""

    failures: tuple[Failure, ...] = ()
    """The sources that failed."""


def extract(
    target: AnyTarget,
    sources: Sequence[AnySource] | AnySource | None = None,
    *,
    out: str | os.PathLike,
    features: str | Sequence[str] | None = None,
    pooling: Pooling | Sequence[Pooling] | None = None,
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
    text_column: str | None = None,
    text_pair_column: str | None = None,
    on_progress: OnProgress = lambda what, done, total: None,
) -> Extractions:
    """Run sources over a target and store their outputs: one `Table` per source, ``<out>/<content key>.safetensors``.

    Tables already in `out` aren't computed again, and a killed run resumes, losing at most 20 seconds of work.
    `leepjax.Batches.of_table` reads the files. `leepjax.rank` reads them too if `out` is its `cache` and they hold
    float32 logits.

    Args:
        target: as in `leepjax.rank`.
        sources: as in `leepjax.rank`.
        out: folder for the tables.
        features: as in `leepjax.rank`: one table for each layer of a source.
        pooling: as in `leepjax.rank`.
        evidence: ``logits`` or ``probs``.
        storage: dtype of features and evidence in the files, ``float32`` or ``float16``.
        dtype: dtype of the computation, ``float32`` or ``bfloat16``; by default that of each source, which is float32
            unless set.
        batch_size: largest number of images per batch; halved if a batch doesn't fit in the device's memory.
        limit: use at most this many examples, stratified by class.
        seed: seed of the limit.
        strict: whether an image that can't be decoded, or an unused file of a folder, is an error; otherwise a warning
            counts them.
        split: the split to use of a target that comes in splits (``train``, ``val`` or ``test``), or ``all`` as one
            set; by default the training part.
        image_column: image column of a ``.parquet``, ``hf:`` or ``tfds:`` target; by default the only one, or the one
            called ``image``.
        label_column: label column; by default the one declared as label, or called ``label`` or similar.
        text_column: column of texts, or of lists of labelled words; by default the only one, or the one called ``text``
            or similar.
        text_pair_column: column of second texts, where labels are of pairs.
        on_progress: called with the current work, the number done and the total.

    Returns:
        Name of each source → its table, file, and seconds; ``.failures`` lists the sources that couldn't be opened or
        run, with the reason.

    Raises:
        ValueError: for a missing target, arguments out of range, or when every source fails; for a single source, its
            own error.
        OSError: when `out` can't be written to.
        MemoryError: when a single image doesn't fit in the device's memory.
    """
    for name, value, known in (("evidence", evidence, Evidence), ("storage", storage, Storage)):
        if value not in get_args(known):
            raise unknown_name(f"extract: {name}", value, get_args(known))
    if batch_size < 1:
        raise InputError(f"extract: batch_size must be at least 1, got {batch_size}; pass 1 or more.")
    layers = read_layers("extract", features, pooling)
    folder = check_writable(Path(out))
    reading = TaskReading(strict, split, image_column, label_column, text_column, text_pair_column)
    examples = open_examples("extract", target, reading, limit=limit, seed=seed)
    opened = open_each("extract", sources, dtype, layers)
    extracted, failed, done = Extractions(), list(opened.failed), 0
    for network in by_network(opened.sources):
        on_batch = counted(f"{network.name}: {NOUNS[examples.kind].many}", len(examples), on_progress)
        kept = {"cache": folder, "evidence": evidence, "storage": storage, "required": True}
        passing = SharedPass(network, examples, batch_size=batch_size, on_batch=on_batch, **kept)
        with closing(network), passing as shared:
            for source in network:
                started = time.monotonic()
                try:
                    table = shared.table(source)
                except NOT_OF_A_SOURCE:
                    raise
                except Exception as error:
                    failed.append(Failed(source.name, error))
                else:
                    path = table_path(Path(out), table.key, evidence, storage)
                    extracted[source.name] = Extracted(table, path, time.monotonic() - started)
                done += 1
                on_progress(f"{OVERALL}: {source.name}", done, len(opened.sources))
    if not extracted:
        raise_for_all("extract", failed)
    extracted.failures = tuple(Failure(name, examples.name, reason_of(error)) for name, error in failed)
    return extracted
