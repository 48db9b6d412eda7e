"""The outcomes of a study: flat records, one JSON line per transfer of a source to a task, and their provenance."""

from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Annotated, Any, Literal

import msgspec
from msgspec import Meta

from leepjax.storage.records import read_lines, write_lines
from leepjax.types import InputError

Method = Literal["head", "finetune", "meta", "scratch"]
"""How the source was transferred: its head re-trained, everything fine-tuned, adapted by a meta-learner, or, as the
reference, not at all."""

BASELINES = ("neg_log_classes", "neg_entropy", "source_accuracy", "neg_num_parameters", "knn")
"""Scores that aren't measures: they don't read a source or the target, or only look at neighbours."""

OUTCOMES, TASKS, PROVENANCE = "outcomes.jsonl", "tasks.jsonl.gz", "study.json"
"""The files of a study's folder."""


class Outcome(msgspec.Struct, frozen=True, kw_only=True):
    """One source transferred to one task, and the score that every measure gave it beforehand."""

    schema: Annotated[int, Meta(ge=1)] = 1
    """The version of the fields; lines without it have version 1."""
    key: str
    """Content key of everything the accuracies depend on; a transfer with this key needn't be made again."""
    study: str
    """The study's name, as in ``leepjax study NAME``."""
    profile: str = ""
    """The kind of task within the study, such as ``long-tail``; empty if there is only one kind."""
    task: str
    """The task's name in the study's tasks.jsonl.gz."""
    source: str
    weights_hash: str
    target: str
    method: Method
    image_size: int
    """Side in pixels of the images that the source read."""
    num_classes: int
    num_train: int
    num_test: int
    accuracy: float
    """Accuracy on the task's test images, by which nothing was chosen; likewise the next four metrics."""
    balanced_accuracy: float
    macro_f1: float
    log_loss: float
    ece: float
    curve: tuple[float, ...] = ()
    """Test accuracy after each epoch, for methods that train in epochs."""
    scores: dict[str, float | None] = {}
    """Measure or trivial baseline → score of the source on the task's training images; None where undefined."""
    seed: int
    seconds: float
    """Seconds of the transfer; for heads, which are solved together, the task's share."""


class Provenance(msgspec.Struct, frozen=True, kw_only=True):
    """How a study's outcomes were made: enough to make them again."""

    schema: Annotated[int, Meta(ge=1)] = 1
    """The version of the fields; files without it have version 1."""
    study: str
    scale: str
    config: Mapping[str, Any]
    """Every choice of the study, by the names of its configuration."""
    command: str
    """All the commands that were run into the folder, joined by &&."""
    commit: str
    """Commits of leepjax's repository, with ``-dirty`` for uncommitted changes; empty for an installed package."""
    versions: dict[str, str]
    hardware: str
    date: str
    """Date of the last run (ISO 8601)."""
    seconds: float
    """Seconds of wall time, over all runs."""


class Study(msgspec.Struct, frozen=True, kw_only=True):
    """A study's folder, as read."""

    provenance: Provenance
    outcomes: list[Outcome]


def read_outcomes(path: Path, *, mend: bool = False) -> list[Outcome]:
    """The outcomes in a JSON-lines file; none without a file. Lines that aren't outcomes cause warnings.

    With `mend`, damaged lines are moved out of the file, as `leepjax.storage.records.read_lines` does.
    """
    return read_lines(path, Outcome, "an outcome", mend=mend)


def write_outcomes(path: Path, outcomes: Iterable[Outcome]) -> None:
    """Write outcomes as JSON lines, atomically."""
    write_lines(path, outcomes)


def read_studies(folder: Path) -> list[Study]:
    """The studies in a folder and in its subfolders, by name.

    Raises:
        InputError: when there is none, or one's provenance can't be read.
    """
    paths = sorted({*folder.glob(PROVENANCE), *folder.glob(f"*/{PROVENANCE}")})
    if not paths:
        raise InputError(
            f"report: expected a study's {PROVENANCE} and {OUTCOMES} in {folder} or its folders, got none; "
            "run leepjax study NAME --out there."
        )
    studies = []
    for path in paths:
        try:
            provenance = msgspec.json.decode(path.read_bytes(), type=Provenance)
        except (msgspec.DecodeError, UnicodeDecodeError) as error:
            raise InputError(
                f"report: expected the provenance of a study in {path}, got {error}; run it again."
            ) from None
        studies.append(Study(provenance=provenance, outcomes=read_outcomes(path.parent / OUTCOMES)))
    return studies
