"""The commands that filled a folder of rankings: one JSON line per command, beside the records."""

from pathlib import Path

import msgspec

from leepjax.report.page import Origin
from leepjax.storage.locks import locked
from leepjax.storage.records import read_lines, write_lines
from leepjax.studies.outcome import Provenance

RUNS = "runs.jsonl"


def add_run(folder: Path, run: Provenance) -> list[Provenance]:
    """Record a run, and return all runs, including those of other processes. Runs of one command share a line, whose
    seconds are their sum.
    """
    path = folder / RUNS
    read_lines(path, Provenance, "a run", mend=True)
    with locked(path):
        runs = {known.command: known for known in read_runs(folder)}
        before = runs.pop(run.command).seconds if run.command in runs else 0.0
        runs[run.command] = msgspec.structs.replace(run, seconds=round(run.seconds + before, 1))
        write_lines(path, runs.values())
    return list(runs.values())


def read_runs(folder: Path) -> list[Provenance]:
    """The runs recorded in a folder, the newest last. Lines that aren't runs are reported as warnings."""
    return read_lines(folder / RUNS, Provenance, "a run")


def origin_of(run: Provenance, what: str = "") -> Origin:
    """A run in the form that a page shows."""
    versions = ", ".join(f"{name} {version}" for name, version in run.versions.items())
    return Origin(run.command, run.commit, versions, run.hardware, run.date, run.seconds, what)
