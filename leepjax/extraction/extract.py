"""Compute a `Table`: one forward pass of a source over a target, cached by content and resumable."""

import json
from collections.abc import Callable, Iterable, Sequence
from dataclasses import replace
from importlib.metadata import version
from pathlib import Path

import jax
import msgspec
import numpy as np

from leepjax.data.target import Target
from leepjax.extraction.cost import cost_text, measure_cost
from leepjax.extraction.forward import forward_batches
from leepjax.extraction.shards import Shards
from leepjax.extraction.table import Evidence, Storage, Table, cached_table, read_table, write_table
from leepjax.models.ready import ReadyTable, ready
from leepjax.models.source import Source
from leepjax.opening.kinds import check_reads
from leepjax.storage.files import digest, unkept_if
from leepjax.storage.locks import locked
from leepjax.storage.records import Cost
from leepjax.types import Outputs

REVISION = b"4"
"""Raise this when decoding, resizing or a forward pass changes the content of tables: old caches are then ignored."""


def extract(
    source: Source,
    target: Target,
    *,
    batch_size: int = 256,
    cache: Path | None = None,
    evidence: Evidence = "logits",
    storage: Storage = "float32",
    required: bool = False,
    on_batch: Callable[[int], None] = lambda examples: None,
    cost: Callable[[Source, int], Cost] = measure_cost,
) -> Table:
    """Compute the outputs of `source` for all images of `target`, or read them from `cache`.

    Images are decoded by threads while the device computes; batches are split over this process's devices, and halved
    if they don't fit in memory. With a cache, a killed pass resumes and loses at most 20 seconds of work. If another
    process is extracting the same table into the cache, this one waits for that table and reads it.

    Args:
        source: the network to run.
        target: n labelled images.
        batch_size: largest number of images per batch; on a CPU at most 64 per device, which is faster there.
        cache: folder for the table, ``<key>.safetensors``; by default nothing is stored.
        evidence: what the file stores for the source's classes; the returned table always has logits.
        storage: dtype of features and evidence in the file; ``float16`` halves the size, with a relative error of 1e-3,
            and probabilities below 6e-8 become 0.
        required: whether a table that can't be written is an error; by default it is a warning.
        on_batch: called after each batch with the number of examples in it.
        cost: measures what the source costs, from the source and the batch size.

    Raises:
        InputError: when the source doesn't read the target's kind, an image can't be decoded, or a number is too large
            for float16.
        WriteError: when a `required` table can't be written.
        FloatingPointError: when features or logits aren't finite.
        MemoryError: when a single image doesn't fit in the device's memory.
    """
    check_reads(source, target)
    key = table_key(source, target)
    if table := ready(source):
        return _ready_table(source, table, target, key, on_batch)
    if cache is None:
        return _compute(source, target, key, batch_size, None, on_batch, cost)
    path = table_path(cache, key, evidence, storage)
    shards = Shards(path.with_suffix(".parts"), optional=not required)
    # A required file is written for this target, even if it is part of another target whose table exists.
    table = cached_table(path) if required else kept_table(cache, source, target, evidence, storage)
    if table is None:
        with locked(path, "is extracting it"):
            table = cached_table(path)  # another process may have written it while this one waited
            if table is None:
                table = _compute(source, target, key, batch_size, shards, on_batch, cost)
                with unkept_if(not required, cache):
                    write_table(path, table, evidence, storage)
                    table = read_table(path)  # with the rounding of its storage, as in every later run
                shards.clear()
                return table
    shards.clear()  # left by a process that was killed after writing the table
    on_batch(len(target))
    # The cached arrays are found by content; names and card are those of this call.
    names = {"source": source.name, "target": target.name, "card": msgspec.json.encode(source.card).decode()}
    return replace(table, provenance=table.provenance | names)


def _compute(source, target, key, batch_size, shards, on_batch, cost) -> Table:
    """Compute the table, continuing after the rows in `shards`."""
    kept = list(shards.read()) if shards else []
    new = _forward(source, target, batch_size, shards, kept, on_batch)
    features, logits = (np.concatenate(arrays) for arrays in zip(*kept, *new, strict=True))
    _check_finite(source, features, logits)
    # The last batch may be smaller, and the first ones larger if batches were halved since.
    used = max((len(outputs.features) for outputs in new[-2:]), default=batch_size)
    provenance = _provenance(source, target, used)
    if isinstance(source, Source):
        devices = jax.local_device_count()
        provenance["cost"] = cost_text(cost(source, -(-min(used, len(target)) // devices) * devices))
    return Table(features, logits, target.labels, key, target.ids, provenance)


def _check_finite(source: Source, features: np.ndarray, logits: np.ndarray) -> None:
    """Raise for numbers that aren't finite, except for logits of −∞, which mean an impossible class."""
    broken = ~np.isfinite(features).all(axis=1) | np.isnan(logits).any(axis=1) | np.isposinf(logits).any(axis=1)
    if broken.any():
        raise FloatingPointError(
            f"source {source.name}: expected finite features and logits, got NaN or infinity for {broken.sum():,} of "
            f"{len(broken):,} images; check its weights and preprocessing, or compute in float32."
        )


def kept_table(
    folder: Path, source: Source, target: Target, evidence: Evidence = "logits", storage: Storage = "float32"
) -> Table | None:
    """Read the table that `extract` computes, or its rows in the table of a larger target that `target` is a part of;
    None if `folder` has neither.
    """
    key = table_key(source, target)
    table = cached_table(table_path(folder, key, evidence, storage))
    for fingerprint, rows in target.wholes if table is None else ():
        whole = cached_table(table_path(folder, _key(source, fingerprint, target.classes), evidence, storage))
        if whole is not None:
            features, logits = whole.features[rows], whole.logits[rows]
            return replace(whole, features=features, logits=logits, labels=target.labels, key=key, ids=target.ids)
    return table


def table_files(folder: Path | None, sources: Iterable[Source], target: Target) -> tuple[Path, ...]:
    """The paths where `kept_table` looks for the tables of sources; none without a folder."""
    if folder is None:
        return ()
    fingerprints = (target.fingerprint, *(whole.fingerprint for whole in target.wholes))
    return tuple(table_path(folder, _key(source, each, target.classes)) for source in sources for each in fingerprints)


def is_kept(folder: Path, source: Source, target: Target) -> bool:
    """Whether `kept_table` finds a file."""
    return any(path.exists() for path in table_files(folder, [source], target))


def table_key(source: Source, target: Target) -> str:
    """The content key of the table that `extract` computes, known without decoding the images."""
    return _key(source, target.fingerprint, target.classes)


def _key(source: Source, fingerprint: str, classes: Sequence[str]) -> str:
    # Include the class names: the table holds them, and equal images and labels may have other class names.
    return digest(REVISION, source.identity.encode(), fingerprint.encode(), b"\0", json.dumps(classes).encode())


def table_path(folder: Path, key: str, evidence: Evidence = "logits", storage: Storage = "float32") -> Path:
    """The path in `folder` of the table with this key."""
    kept = "" if (evidence, storage) == ("logits", "float32") else f"-{evidence}-{storage}"
    return folder / f"{key}{kept}.safetensors"


def _forward(source, target, batch_size, shards, kept, on_batch) -> list[Outputs]:
    """The outputs after those in `kept`, batch by batch."""
    done = sum(len(outputs.features) for outputs in kept)
    if done:
        on_batch(done)
    passing = forward_batches(source, target, source.preparation, batch_size=batch_size, start=done)
    new = []
    for outputs in shards.keep(passing, done) if shards else passing:
        new.append(outputs)
        on_batch(len(outputs.features))
    return new


def _ready_table(source: Source, table: ReadyTable, target: Target, key: str, on_batch: Callable[[int], None]) -> Table:
    """The rows of existing embeddings; their cost is that of the pass that `leepjax extract` made."""
    features, logits = map(np.asarray, table.rows(target))
    on_batch(len(target))
    provenance = _provenance(source, target, len(target))
    if cost := table.embeddings.provenance.get("cost"):
        provenance["cost"] = cost
    return Table(features, logits, target.labels, key, target.ids, provenance)


def _provenance(source: Source, target: Target, batch_size: int) -> dict[str, str]:
    return {
        "source": source.name,
        "target": target.name,
        "target_hash": target.fingerprint,
        "classes": json.dumps(target.classes, ensure_ascii=False),
        "card": msgspec.json.encode(source.card).decode(),
        "dtype": source.dtype,
        "batch_size": str(batch_size),
        "versions": json.dumps({package: version(package) for package in ("leepjax", "jax", "pillow")}),
    }
