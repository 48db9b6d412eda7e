"""Which commands filled a folder of rankings: a JSON line each, beside the records."""

import logging
from pathlib import Path

import msgspec

from leepjax.files import write_atomically
from leepjax.report.page import Origin
from leepjax.studies.outcome import Provenance

RUNS = "runs.jsonl"


def add_run(folder: Path, run: Provenance) -> list[Provenance]:
    """Record a run; the seconds of the same command's runs add up. Returns all runs."""
    runs = {known.command: known for known in read_runs(folder)}
    before = runs.pop(run.command).seconds if run.command in runs else 0.0
    runs[run.command] = msgspec.structs.replace(run, seconds=round(run.seconds + before, 1))
    write_atomically(folder / RUNS, b"".join(msgspec.json.encode(each) + b"\n" for each in runs.values()))
    return list(runs.values())


def read_runs(folder: Path) -> list[Provenance]:
    """The runs that a folder tells of, the last one last. Lines that tell of none are left out, and told."""
    path, runs = folder / RUNS, []
    for number, line in enumerate(path.read_bytes().splitlines() if path.exists() else (), start=1):
        try:
            runs.append(msgspec.json.decode(line, type=Provenance))
        except (msgspec.DecodeError, UnicodeDecodeError) as error:
            logging.getLogger("leepjax").warning("%s line %d isn't a run (%s); it is left out.", path, number, error)
    return runs


def origin_of(run: Provenance, what: str = "") -> Origin:
    """A run as the page tells it."""
    versions = ", ".join(f"{name} {version}" for name, version in run.versions.items())
    return Origin(run.command, run.commit, versions, run.hardware, run.date, run.seconds, what)
