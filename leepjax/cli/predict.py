"""``leepjax predict``: the classes of images, texts or embeddings without labels."""

from pathlib import Path
from typing import Annotated

from cyclopts import Parameter

from leepjax.storage.files import WriteError, write_atomically
from leepjax.storage.outputs import check_file
from leepjax.tables import Format


def predict(
    examples: list[Path],
    /,
    *,
    model: str,
    top: int = 1,
    batch_size: int = 256,
    strict: Annotated[bool, Parameter(negative=())] = False,
    text_column: str | None = None,
    text_pair_column: str | None = None,
    out: Path | None = None,
    format: Format | None = None,
) -> None:
    """Predict the classes of images, texts or embeddings with what choose, retrain or finetune wrote.

    Parameters
    ----------
    examples
        A folder of images, at any depth, or image files; a .csv, .tsv, .jsonl, .parquet or .txt of texts, or a folder
        of these; or a file of embeddings: what the source reads.
    model
        The folder that choose wrote, or the path of a .safetensors with its card, or any other source.
    top
        How many classes to show for each example, the most probable first.
    batch_size
        Largest number of examples per batch.
    strict
        Stop at an image or a text that can't be read, an empty text, or another file in a folder; by default they are
        left out and counted.
    text_column
        Column of texts; by default the only one, or the one called text or similar.
    text_pair_column
        Column of second texts, of a source that was trained on pairs.
    out
        File to write instead of printing; its suffix (.csv, .json, .md) is the format unless --format is given.
    format
        Output format; table if nothing else is given.
    """
    from leepjax.cli.options import cache_compilations
    from leepjax.cli.progress import progress
    from leepjax.extraction.predict import predict as run_predict
    from leepjax.storage.files import cache_folder
    from leepjax.tables import FORMATS, render
    from leepjax.types import InputError

    if out is not None and format is None:
        suffix = out.suffix.removeprefix(".").lower()
        if suffix not in FORMATS:
            raise InputError(f"predict: expected --out with .csv, .json or .md, got {out.name!r}; or pass --format.")
        format = suffix  # type: ignore[assignment]
    if top < 1:
        raise InputError(f"predict: expected top >= 1, got {top}; pass how many classes to show for each example.")
    if out is not None:
        check_file(out)
    cache_compilations(cache_folder())
    with progress() as on_progress:
        predictions = run_predict(
            examples,
            model,
            batch_size=batch_size,
            strict=strict,
            text_column=text_column,
            text_pair_column=text_pair_column,
            on_progress=on_progress,
        )
    text = render(predictions.rows(top), format or "table")
    if out is None:
        print(text)  # noqa: T201
        return
    try:
        write_atomically(out, f"{text}\n".encode())
    except WriteError:
        print(text)  # noqa: T201
        raise
