"""The accuracies of fine-tuning on the drawn tasks: FOLDER/finetuned/NUMBER.json, one file per task.

Every source of 32 × 32 images is fine-tuned on a task's examples by the same recipe, and its accuracy is measured on
images of the task's pool. The evidence is still that of the frozen features. `prepare/torch_finetuned.py` or, at the
small size, leepjax makes one run per source and task; a task counts if all sources have one.
"""

import json
import time
from collections.abc import Iterator, Mapping
from dataclasses import asdict
from pathlib import Path
from typing import Any

import numpy as np

from decisions import gather
from decisions.decision import Decision
from decisions.tasks import SEED, Task
from leepjax.data.target import from_arrays
from leepjax.models.source import Source
from leepjax.transfer.finetune import fine_tune
from leepjax.transfer.recipe import FineTuning, Recipe

COLLECTION = "drawn tasks, fine-tuned"
RECIPE = FineTuning(epochs=20, batch_size=32)
"""The recipe of all sources and tasks."""
COUNT = 200
"""How many of the first tasks are considered; of these, tasks of at most `MOST_EXAMPLES` are used."""
MOST_EXAMPLES = 100
MOST_MEASURED = 2000
"""Images of the pool on which a fine-tuned network is measured."""


def measured(task: Task) -> np.ndarray:
    """[m] the images of the pool on which all sources of a task are measured."""
    return np.sort(np.random.default_rng([SEED, task.number]).permutation(task.pool)[:MOST_MEASURED])


def place_of(folder: Path, number: int) -> Path:
    return folder / "finetuned" / f"{number}.json"


def runs_of(folder: Path, number: int) -> dict[str, dict[str, float]]:
    """Source → its run's accuracy and seconds, those that are there."""
    place = place_of(folder, number)
    return json.loads(place.read_text())["runs"] if place.exists() else {}


def keep(folder: Path, number: int, recipe: Mapping[str, Any], runs: Mapping[str, Mapping[str, float]]) -> None:
    """Write the runs of a task at once."""
    place = place_of(folder, number)
    place.parent.mkdir(parents=True, exist_ok=True)
    temporary = place.with_suffix(".part")
    temporary.write_text(json.dumps({"recipe": recipe, "runs": runs}, indent=1) + "\n")
    temporary.rename(place)


def by_leepjax(
    folder: Path, task: Task, labels: np.ndarray, sources: Mapping[str, Source], recipe: Recipe = RECIPE
) -> None:
    """Fine-tune the sources that have no run of a task yet."""
    runs = runs_of(folder, task.number)
    images = np.load(folder / "images" / f"{task.of.removesuffix('_coarse')}.npz")["images"]
    names = [str(label) for label in task.classes]
    train, test = (
        from_arrays(images[rows], np.searchsorted(task.classes, labels[rows]), names)
        for rows in (task.rows, measured(task))
    )
    for name, source in sources.items():
        if name not in runs:
            started = time.perf_counter()
            logits = fine_tune(source, train, test, recipe=recipe, per_epoch=False).logits
            accuracy = float((logits.argmax(axis=1) == test.labels).mean())
            runs[name] = {"accuracy": accuracy, "seconds": round(time.perf_counter() - started, 2)}
            keep(folder, task.number, asdict(recipe), runs)


def decisions(folder: Path, tasks: list[Task]) -> Iterator[Decision]:
    """The decisions of the tasks that every fine-tuned source has a run of, with the accuracies after fine-tuning."""
    runs = {task.number: runs_of(folder, task.number) for task in tasks}
    candidates = set().union(*runs.values())
    whole = [task for task in tasks if runs[task.number] and runs[task.number].keys() == candidates]
    for decision in gather.of_tasks(folder, whole):
        yield after(decision, runs[decision.number])


def after(decision: Decision, runs: Mapping[str, Mapping[str, float]]) -> Decision:
    """The decision among the fine-tuned sources; its held-out outcomes are still those of heads."""
    mine = gather.taken(decision, np.array([i for i, name in enumerate(decision.names) if name in runs]))
    accuracy = np.array([runs[name]["accuracy"] for name in mine.names])
    return mine._replace(collection=COLLECTION, accuracy=accuracy)
