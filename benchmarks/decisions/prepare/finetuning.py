"""The input of `torch_finetuned.py`: FOLDER/finetuned/networks/SOURCE.npz, tasks/NUMBER.npz and recipe.json.

A network's arrays have the names and layouts of PyTorch; a task is rows of a set of images.
"""

import json
import tempfile
from collections.abc import Iterator
from dataclasses import asdict
from pathlib import Path

import numpy as np
from decisions.finetuned import COUNT, MOST_EXAMPLES, RECIPE, measured
from decisions.outcomes import labels_of
from decisions.shipped_tables import SHIPPED
from decisions.tasks import Task, draw_tasks
from flax import nnx

from leepjax.models.families.cifar_resnet import DEPTHS
from leepjax.models.opening import load_source
from leepjax.models.source import Source

NAMES = {"kernel": "weight", "scale": "weight", "mean": "running_mean", "var": "running_var"}


def sources() -> Iterator[tuple[str, Source]]:
    """The sources of 32 × 32 images: those that leepjax ships, and CIFAR-10's."""
    import shared_sources as shared

    yield from ((name, load_source(name)) for name in SHIPPED)
    if shared.DATA.is_dir():
        with tempfile.TemporaryDirectory() as folder:
            yield from ((name, shared.shared_source(name, Path(folder))) for name in shared.CIFAR)


def torch_arrays(source: Source) -> dict[str, np.ndarray]:
    """A CIFAR ResNet's arrays as `torch_networks.CifarResNet` has them."""
    found = {}
    for path, leaf in nnx.to_flat_state(nnx.state(source.network.model())):
        array = np.asarray(leaf[...], np.float32)
        *place, name = map(str, path)
        if name == "kernel":
            array = array.transpose(3, 2, 0, 1) if array.ndim == 4 else array.T
        # The head is a fresh one for each task.
        if place != ["linear"]:
            found[".".join([*place, NAMES.get(name, name)])] = array
    preprocessing = source.card.pixels
    statistics = {name: np.array(getattr(preprocessing, name), np.float32) for name in ("mean", "std")}
    return found | statistics | {"depth": np.int64(DEPTHS[source.card.model])}


def write_task(place: Path, task: Task, labels: np.ndarray) -> None:
    rows = measured(task)
    place.parent.mkdir(parents=True, exist_ok=True)
    np.savez(
        place,
        of=task.of.removesuffix("_coarse"),
        rows=task.rows,
        labels=task.labels(labels),
        measured=rows,
        measured_labels=np.searchsorted(task.classes, labels[rows]),
    )


def main(folder: Path) -> None:
    place = folder / "finetuned"
    (place / "networks").mkdir(parents=True, exist_ok=True)
    for name, source in sources():
        np.savez(place / "networks" / f"{name}.npz", **torch_arrays(source))
    labels = labels_of(folder)
    for task in draw_tasks(labels, COUNT):
        if len(task.rows) <= MOST_EXAMPLES:
            write_task(place / "tasks" / f"{task.number}.npz", task, labels[task.of])
    (place / "recipe.json").write_text(json.dumps(asdict(RECIPE), indent=1) + "\n")
