"""The steps of a choice as JSON lines: ``race.jsonl``, from which a killed run resumes."""

import math
import os
from pathlib import Path
from typing import TypeVar

import msgspec

from leepjax.choosing.looks import End, Look
from leepjax.storage.files import unkept_if
from leepjax.storage.records import append_lines, read_lines
from leepjax.types import Kind, Metric, Task

PASSES = "passes.jsonl"
"""The file with the costs of passes, beside the tables in the cache."""
STEPS = "race.jsonl"
"""The file of steps in the folder that `choose` writes."""


def none_if_undefined(value: float) -> float | None:
    """A value as the file holds it: JSON has no NaN."""
    return float(value) if math.isfinite(value) else None


class Begun(msgspec.Struct, frozen=True, kw_only=True, tag="begun", tag_field="kind"):
    """The beginning of a choice: its target, and how sources are compared."""

    target: str
    num_examples: int
    examples: Kind = "images"
    """What the target's examples are."""
    num_test: int
    num_classes: int
    """Number of classes; for other tasks, how many numbers or labels there are."""
    task: Task = "classes"
    metric: Metric
    confidence: float


class Passed(msgspec.Struct, frozen=True, kw_only=True, tag="passed", tag_field="kind"):
    """A pass of a part of the images, in the order of the race, through a source."""

    key: str
    """Content key of the table, which depends on the source and the images"""
    source: str
    start: int
    stop: int
    seconds: float
    per_image: float
    """Seconds per image without compilation."""


class Judged(msgspec.Struct, frozen=True, kw_only=True, tag="judged", tag_field="kind"):
    """A source judged by heads, each measured on examples that it wasn't trained on."""

    source: str
    metric: str
    value: float | None
    low: float | None
    high: float | None
    """`low` and `high`: the interval over resampled examples; these and `value` are None where undefined."""
    num_examples: int
    l2: float
    seconds: float
    draws: tuple[float | None, ...]
    """The metric in each resample, None where it is undefined; all sources share the resamples."""
    right: str = ""
    """Which examples are predicted right: `leepjax.ranking.examples.bits_of`."""


class Tuned(msgspec.Struct, frozen=True, kw_only=True, tag="tuned", tag_field="kind"):
    """A source fine-tuned for a number of epochs, and measured on a part that it wasn't trained on."""

    source: str
    epochs: int
    metric: str
    value: float | None
    head: float | None
    """The metric of the source's heads on the same examples."""
    num_examples: int
    seconds: float


class Chosen(msgspec.Struct, frozen=True, kw_only=True, tag="chosen", tag_field="kind"):
    """The answer."""

    source: str
    leaders: tuple[str, ...]
    trained: str
    """``head`` or ``finetune``."""
    metric: str
    value: float | None
    low: float | None
    high: float | None
    spent: float
    """Seconds of passes, compilation, probes, heads and fine-tuning."""
    full_cost: float
    """Expected seconds of passing all images through all sources."""
    passed: float = 0.0
    """Seconds of passes alone."""
    race_leaders: tuple[str, ...] = ()
    race_cost: float = 0.0
    """The part of `full_cost` that belongs to the race, that is, without the test images."""
    ended: End | None = None
    """Why the race was over; None in files of earlier versions."""
    failures: tuple[tuple[str, str], ...] = ()
    """Sources that failed, each with its reason."""
    finished: bool = True
    """False when the choice was interrupted."""
    rows_read: int | None = None
    """How many rows of tables were read; None if a source is a network."""


AnyStep = TypeVar("AnyStep", Begun, Passed, Look, Judged, Tuned, Chosen)
Step = Begun | Passed | Look | Judged | Tuned | Chosen


class StepLine(msgspec.Struct, frozen=True, kw_only=True):
    """A line of the file."""

    run: str
    """Digest of everything that the choice depends on, except the speed of the machine."""
    step: Step


class Steps:
    """The steps of earlier runs with the same digest, and those of this one; without a path, nothing is written.

    The cost of a pass is also stored in the cache, so a race that reads a table from there makes the same decisions
    as one that computes it.
    """

    def __init__(self, path: Path | None, run: str, cache: Path | None = None):
        self._path, self._run, self._cache = path, run, cache
        lines = read_lines(path, StepLine, "a step of a race", mend=True) if path else []
        self._written = [line.step for line in lines if line.run == run]
        self._latest = next((line.run for line in reversed(lines) if isinstance(line.step, Begun)), None)
        self.passed = [line.step for line in lines if isinstance(line.step, Passed)]
        """Passes of any run in this folder or the cache; they depend only on the source and the images."""
        if cache:
            self.passed += read_lines(cache / PASSES, Passed, "a pass", mend=os.access(cache, os.W_OK))

    def add(self, step: Step) -> None:
        """Append a step, unless an earlier run wrote the same. The last `Begun` and `Chosen` are the latest run's."""
        is_written = step in self._written
        if isinstance(step, Chosen):  # an earlier answer doesn't count if an interrupted run wrote another one since
            is_written = self.known(Chosen)[-1:] == [step]
        if isinstance(step, Begun):
            is_written = is_written and self._latest == self._run
        if self._path and not is_written:
            append_lines(self._path, [StepLine(run=self._run, step=step)])
        if self._cache and isinstance(step, Passed):
            with unkept_if(True, self._cache):
                append_lines(self._cache / PASSES, [step])
        self._written.append(step)

    def known(self, kind: type[AnyStep]) -> list[AnyStep]:
        """The steps of a type, of this run or of an earlier one with the same digest."""
        return [step for step in self._written if isinstance(step, kind)]
