"""``leepjax rank`` and ``leepjax sweep``: score sources on targets, and verify by training."""

import sys
import time
from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Literal

from cyclopts import Parameter

from leepjax.cli.options import Read, cache_compilations, command_line, exit_for_failures, names_of
from leepjax.files import cache_folder
from leepjax.printable import printable
from leepjax.tables import Format
from leepjax.types import Reading

if TYPE_CHECKING:
    from leepjax.ranking import Ranking


def rank(
    target: str,
    /,
    *,
    sources: str | None = None,
    measures: str | None = None,
    verify: Literal["head", "ridge", "finetune", "none"] = "head",
    limit: int | None = None,
    seed: int = 0,
    resamples: int = 200,
    out: Path | None = None,
    cache: Annotated[bool, Parameter(negative="--no-cache")] = True,
    reading: Read = Reading(),
    dry_run: Annotated[bool, Parameter(negative=())] = False,
    format: Format = "table",
) -> None:
    """Rank source models for a target, and verify the ranking by training on it.

    Parameters
    ----------
    target
        digits, a folder class/image or split/class/image, an .npz with images and labels, a .parquet,
        tfds:NAME[:SPLIT], or hf:NAME_OR_PATH[:SPLIT] (leepjax ls targets).
    sources
        Names (leepjax ls sources), sets (shipped, paper9), timm/<id>, local-dir:PATH, or .safetensors paths,
        separated by commas; all shipped sources by default.
    measures
        Names separated by commas, the leading one first, or all; by default the paper's and their kin
        (leepjax ls measures). source_accuracy and num_parameters may stand among them.
    verify
        How accuracy is reached. head: a re-trained head. ridge: a closed-form ridge probe, the cheapest. finetune:
        everything fine-tuned. none: not at all.
    limit
        Use at most this many examples, stratified by class.
    seed
        Of the limit, the split, the bootstrap and the training.
    resamples
        Bootstrap resamples for the intervals; 0 for none.
    out
        Folder for results.jsonl and report.html; run again, and what is measured isn't measured again.
    cache
        Keep extracted features in the user's cache folder ($LEEPJAX_CACHE if set).
    dry_run
        Only tell what there is to fetch, and how long the images would take each source here.
    format
        What stdout gets.
    """
    from leepjax.experiments.rank import rank as run_rank
    from leepjax.progress import progress

    folder = cache_folder() if cache else None
    cache_compilations(folder)
    if dry_run:
        _estimate(target, sources, limit, reading, format)
        return
    started = time.monotonic()
    with _shown_at_interrupt(format), progress() as on_progress:
        ranking = run_rank(
            target,
            names_of(sources),
            names_of(measures),
            verify=verify,
            limit=limit,
            seed=seed,
            resamples=resamples,
            out=out,
            cache=folder,
            **vars(reading),
            on_progress=on_progress,
        )
    _show([ranking], format)
    if out:
        _write_page("rank", [ranking], out, time.monotonic() - started)
    exit_for_failures("rank", ranking.failures)


def _show(rankings: "Iterable[Ranking]", format: Format) -> None:
    from leepjax.tables import render

    known = [ranking for ranking in rankings if ranking.records or ranking.failures]
    if known and format in ("json", "csv"):
        print(render([row for ranking in known for row in ranking.to_records()], format))  # noqa: T201
    elif known:
        print("\n\n".join(ranking.render(format) for ranking in known))  # noqa: T201


@contextmanager
def _shown_at_interrupt(format: Format) -> Iterator[None]:
    """Print what is known so far when a ranking is interrupted."""
    from leepjax.experiments.sweep import Interrupt

    try:
        yield
    except Interrupt as interrupt:
        _show(interrupt.rankings, format)
        raise


def _write_page(study: str, rankings: "Sequence[Ranking]", out: Path, seconds: float) -> None:
    from leepjax.report.make import write_rankings
    from leepjax.studies.provenance import this_run

    page = write_rankings(out, rankings, this_run(study, "", {}, command_line(), seconds))
    print(f"leepjax: wrote {printable(str(page))}", file=sys.stderr)  # noqa: T201


def _estimate(target: str, sources: str | None, limit: int | None, reading: Reading, format: Format) -> None:
    from leepjax.experiments.estimate import estimate
    from leepjax.experiments.plan import open_target
    from leepjax.tables import render

    opened = open_target("rank", target, limit, 0, **vars(reading), with_test=True)
    num_examples = len(opened) + len(opened.test or ())
    rows = estimate(num_examples, names_of(sources))
    print(render(rows, format, f"What {num_examples} images would take"))  # noqa: T201


def sweep(
    targets: str,
    /,
    *,
    sources: str | None = None,
    measures: str | None = None,
    engine: Literal["serial", "ray"] = "serial",
    verify: Literal["head", "ridge", "finetune", "none"] = "head",
    limit: int | None = None,
    seed: int = 0,
    resamples: int = 200,
    out: Path | None = None,
    cache: Annotated[bool, Parameter(negative="--no-cache")] = True,
    reading: Read = Reading(),
    format: Format = "table",
) -> None:
    """Rank source models for each of several targets, in this process or by Ray.

    Parameters
    ----------
    targets
        What rank takes, separated by commas.
    sources
        Names (leepjax ls sources), sets (shipped, paper9), timm/<id>, local-dir:PATH, or .safetensors paths,
        separated by commas; all shipped sources by default.
    measures
        Names separated by commas, the leading one first, or all; by default the paper's and their kin
        (leepjax ls measures). source_accuracy and num_parameters may stand among them.
    engine
        serial: one source on one target after the other. ray: all at once, by Ray's workers on this machine or on the
        cluster at $RAY_ADDRESS; killed workers are retried, results are the same. Needs pip install 'leepjax[ray]'.
    verify
        How accuracy is reached. head: a re-trained head. ridge: a closed-form ridge probe, the cheapest. finetune:
        everything fine-tuned. none: not at all.
    limit
        Use at most this many examples of each target, stratified by class.
    seed
        Of the limit, the split, the bootstrap and the training.
    resamples
        Bootstrap resamples for the intervals; 0 for none.
    out
        Folder for results.jsonl and report.html; run again, and what is measured isn't measured again, whichever
        engine or rank it was.
    cache
        Keep extracted features in the user's cache folder ($LEEPJAX_CACHE if set).
    format
        What stdout gets: rankings one after the other, or the records of all in one JSON or CSV document.
    """
    from leepjax.experiments.sweep import sweep as run_sweep
    from leepjax.progress import progress

    folder = cache_folder() if cache else None
    cache_compilations(folder)
    started = time.monotonic()
    with _shown_at_interrupt(format), progress() as on_progress:
        rankings = run_sweep(
            names_of(targets) or [],
            names_of(sources),
            names_of(measures),
            engine=engine,
            verify=verify,
            limit=limit,
            seed=seed,
            resamples=resamples,
            out=out,
            cache=folder,
            **vars(reading),
            on_progress=on_progress,
        ).values()
    _show(rankings, format)
    if out:
        _write_page("sweep", list(rankings), out, time.monotonic() - started)
    exit_for_failures("sweep", [failure for ranking in rankings for failure in ranking.failures])
