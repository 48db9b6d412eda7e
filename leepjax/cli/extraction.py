"""``leepjax extract``: what sources say of a target, as files."""

from pathlib import Path
from typing import Annotated, Literal

from cyclopts import Parameter

from leepjax.cli.options import cache_compilations, exit_for_failures, names_of
from leepjax.files import cache_folder
from leepjax.tables import Format
from leepjax.types import SplitChoice


def extract(
    target: str,
    /,
    *,
    sources: str | None = None,
    out: Path = Path("tables"),
    evidence: Literal["logits", "probs"] = "logits",
    storage: Literal["float32", "float16"] = "float32",
    dtype: Literal["float32", "bfloat16"] | None = None,
    batch_size: int = 256,
    limit: int | None = None,
    seed: int = 0,
    strict: Annotated[bool, Parameter(negative=())] = False,
    split: SplitChoice | None = None,
    format: Format = "table",
) -> None:
    """Run sources over a target and keep their features and logits: one safetensors table a source.

    Parameters
    ----------
    target
        What rank takes (leepjax ls targets).
    sources
        Names, sets, paths or hub identifiers, separated by commas; all shipped sources by default.
    out
        Folder for the tables; what it holds isn't computed again, and a killed run goes on from where it was.
    evidence
        What is kept of the source's classes.
    storage
        Of features and evidence in the files; float16 halves them.
    dtype
        What the networks compute in; float32 by default.
    batch_size
        Images at a time, at most; halved where they don't fit in the device's memory.
    limit
        Use at most this many examples, stratified by class.
    seed
        Of the limit.
    strict
        Stop at an image that can't be decoded, or a file of a folder that isn't used; they are left out and counted
        otherwise.
    split
        Of a folder that comes in splits (train, val, test): the part to use, or all as one set. By default the training
        part.
    format
        What stdout gets.
    """
    from leepjax.experiments.extract import extract as run_extract
    from leepjax.progress import progress
    from leepjax.tables import render

    cache_compilations(cache_folder())
    with progress() as on_progress:
        extracted = run_extract(
            target,
            names_of(sources),
            out=out,
            evidence=evidence,
            storage=storage,
            dtype=dtype,
            batch_size=batch_size,
            limit=limit,
            seed=seed,
            strict=strict,
            split=split,
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
