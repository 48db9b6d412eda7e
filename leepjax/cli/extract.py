"""``leepjax extract``: write features and logits of sources to files."""

from pathlib import Path
from typing import Literal, cast

from leepjax.cli.options import Read, cache_compilations, names_of, sources_of
from leepjax.cli.output import exit_for_failures
from leepjax.storage.files import cache_folder
from leepjax.tables import Format
from leepjax.types import Pooling, Reading


def extract(
    target: str,
    /,
    *,
    sources: str | None = None,
    features: str | None = None,
    pooling: str | None = None,
    out: Path = Path("tables"),
    evidence: Literal["logits", "probs"] = "logits",
    storage: Literal["float32", "float16"] = "float32",
    dtype: Literal["float32", "bfloat16"] | None = None,
    batch_size: int = 256,
    limit: int | None = None,
    seed: int = 0,
    reading: Read = Reading(),
    format: Format = "table",
) -> None:
    """Run sources over a target and store their features and logits: one safetensors table per source.

    Parameters
    ----------
    target
        A target, as for rank (leepjax ls targets).
    sources
        Names, sets, paths or hub identifiers, separated by commas; all shipped sources by default.
    features
        Layers of each source, a table each: blocks or globs (leepjax ls blocks SOURCE), all-blocks, last; default last.
    pooling
        How layers become vectors: mean, max, gem, cls, layers, head, or several; by default mean, and head for last.
    out
        Folder for the tables; existing tables aren't computed again, and a killed run resumes.
    evidence
        What to store for the source's classes, logits or probabilities.
    storage
        Dtype of features and evidence in the files; float16 halves their size.
    dtype
        Dtype of the computation; float32 by default.
    batch_size
        Largest number of images per batch; halved if a batch doesn't fit in the device's memory.
    limit
        Use at most this many examples, stratified by class.
    seed
        Seed for drawing the examples of --limit.
    format
        Output format.
    """
    from leepjax.cli.progress import progress
    from leepjax.extraction.extract_sources import extract as run_extract
    from leepjax.tables import render

    cache_compilations(cache_folder())
    with progress() as on_progress:
        extracted = run_extract(
            target,
            sources_of(sources),
            out=out,
            features=names_of(features),
            pooling=cast("list[Pooling] | None", names_of(pooling)),
            evidence=evidence,
            storage=storage,
            dtype=dtype,
            batch_size=batch_size,
            limit=limit,
            seed=seed,
            **vars(reading),
            on_progress=on_progress,
        )
    rows = [
        {
            "source": name,
            "examples": len(table.labels),
            "features": table.features.shape[1],
            "classes": table.logits.shape[1],
            "batch size": int(table.provenance["batch_size"]),
            "seconds": round(seconds, 1),
            "table": str(path),
        }
        for name, (table, path, seconds) in extracted.items()
    ]
    print(render(rows, format))  # noqa: T201
    exit_for_failures("extract", extracted.failures)
