"""Make a page, and for studies its figures, from a folder of records."""

import logging
import os
import shlex
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

from leepjax.choosing.choice import Choice
from leepjax.choosing.read_choice import read_choice
from leepjax.choosing.steps import STEPS
from leepjax.ranking import Ranking
from leepjax.ranking.examples import read_examples
from leepjax.report.page import Origin, Report, render_page
from leepjax.report.race_page import race_report
from leepjax.report.ranking_page import ranking_report, rankings_of
from leepjax.report.runs import RUNS, add_run, origin_of, read_runs
from leepjax.storage.files import write_atomically
from leepjax.storage.records import read_records
from leepjax.studies.outcome import PROVENANCE, Provenance, read_studies
from leepjax.types import InputError

PAGE, RESULTS, FIGURES = "report.html", "results.jsonl", "figures"
MOST_RUNS = 5
"""How many commands a page lists below each section."""
FORMATS = ("png", "svg", "pdf")


def make_report(folder: Path, out: Path | None = None, formats: Sequence[str] = FORMATS) -> Path:
    """Write the page, and for studies the figures, of the records in a folder.

    Args:
        folder: what ``leepjax study``, ``rank``, ``sweep`` or ``choose`` wrote, or a folder of studies' folders.
        out: folder of ``report.html`` and ``figures/``; `folder`/report by default.
        formats: of the figures' files; the page embeds its own copies.

    Returns:
        The page's path.

    Raises:
        InputError: for a folder that doesn't exist or holds no records, and an unknown format.
    """
    if unknown := sorted({*formats} - {*FORMATS}):
        raise InputError(f"report: expected formats among {', '.join(FORMATS)}, got {unknown[0]!r}; name some of them.")
    if not folder.is_dir():
        raise InputError(
            f"report: expected a folder that leepjax study, rank, sweep or choose wrote, got {folder}; pass one."
        )
    out = folder / "report" if out is None else out
    report = _studies(folder, out, formats) if _has_studies(folder) else _race(folder, out) or _rankings(folder, out)
    return write_page(out, report)


def write_page(out: Path, report: Report) -> Path:
    """Write a page atomically."""
    path = out / PAGE
    write_atomically(path, render_page(report).encode())
    return path


def write_rankings(out: Path, rankings: Sequence[Ranking], run: Provenance) -> Path:
    """Record the run that measured rankings, and write their page."""
    _warn_of_another(out, STEPS, "choose")
    origins = origins_of(add_run(out, run))
    return write_page(out, ranking_report(rankings, origins, records=RESULTS, examples=read_examples(out)))


def write_race(out: Path, choice: Choice, run: Provenance) -> Path:
    """Record the run that chose a source, and write its page."""
    _warn_of_another(out, RESULTS, "rank or sweep")
    return write_page(out, race_report(choice, origins_of(add_run(out, run)), examples=read_examples(out)))


def _warn_of_another(out: Path, records: str, command: str) -> None:
    """Warn that a page replaces that of another command, if the folder has records of that command too."""
    if (out / records).is_file():
        logging.getLogger("leepjax").warning(
            "%s also has %s of leepjax %s; its page is replaced, and leepjax report draws the newer one alone; pass "
            "another --out to keep both.",
            out,
            records,
            command,
        )


def _has_studies(folder: Path) -> bool:
    return any(True for pattern in (PROVENANCE, f"*/{PROVENANCE}") for _ in folder.glob(pattern))


def _studies(folder: Path, out: Path, formats: Sequence[str]) -> Report:
    from leepjax.report.figures import draw_all  # here, because pages of rankings don't need Matplotlib
    from leepjax.report.studies_page import studies_report
    from leepjax.studies.analysis.analyse import analyse

    studies = read_studies(folder)
    elsewhere = [] if out == folder / "report" else ["--out", str(out)]
    command = shlex.join(["leepjax", "report", str(folder), *elsewhere])
    analysis = analyse([outcome for study in studies for outcome in study.outcomes])
    return studies_report(studies, analysis, draw_all(analysis, out / FIGURES, formats), command, FIGURES)


def _race(folder: Path, out: Path) -> Report | None:
    """The page of the latest choice; None for a folder without steps of a choice, or with a later ranking.

    Raises:
        InputError: for steps without a look or of an earlier version, where there is no ranking either.
    """
    steps, results = folder / STEPS, folder / RESULTS
    if not steps.is_file() or (results.is_file() and results.stat().st_mtime > steps.stat().st_mtime):
        return None
    choice = read_choice(steps)
    if choice is None and not results.is_file():
        raise InputError(
            f"report: expected a race with at least one look in {steps}, got none, or one of an earlier leepjax; run "
            "the same leepjax choose again."
        )
    records = Path(os.path.relpath(steps, out)).as_posix()
    origins = origins_of(read_runs(folder)) or [Origin("leepjax choose")]
    return choice and race_report(choice, origins, records, read_examples(folder))


def _rankings(folder: Path, out: Path) -> Report:
    rankings, others = rankings_of(read_records(folder / RESULTS))
    if not rankings:
        raise InputError(
            f"report: expected records of studies or rankings in {folder}, got none; "
            "run leepjax study or leepjax rank with --out there."
        )
    records = Path(os.path.relpath(folder / RESULTS, out)).as_posix()
    return ranking_report(rankings, origins_of(read_runs(folder)), others, records, read_examples(folder))


def origins_of(runs: Sequence[Provenance]) -> list[Origin]:
    """The newest runs, which every section of the page lists."""
    origins = [origin_of(run) for run in runs[-MOST_RUNS:]]
    if len(runs) > MOST_RUNS:
        origins[-1] = replace(origins[-1], what=f"The last of {len(runs):,} runs; {RUNS} lists them all.")
    return origins
