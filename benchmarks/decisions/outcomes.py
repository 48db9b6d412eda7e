"""The scores of every source on every task, and the results of training: computed once per source and set, in a file.

Reads FOLDER/images and FOLDER/tables and writes FOLDER/outcomes/SET/SOURCE.npz. What is there isn't computed again.
"""

import time
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path

import jax
import numpy as np
import scipy.special
from threadpoolctl import threadpool_limits

from decisions import truth
from decisions.tasks import Task, draw_tasks
from leepjax.choosing.rules import Rules
from leepjax.measures import MEASURES

ROTATED = ("h_score", "logme", "lfc", "gbc", "knn")
"""Of features in a basis of the examples' span, which changes none of these scores: few shapes serve all sources."""
SLOW = ("transrate", "n_leep", "parc", "tmi", "lda", "sfda", "pactran_gaussian")
"""Left out: seconds for each source and task, or a program for each number of features."""
CLOSED = ("shrunk_h_score", "linear_probe")
"""Computed here by NumPy at a task's own shape."""
MEASURED = tuple(name for name in MEASURES if name not in SLOW)
ORDER = ("digits", "cifar100_coarse", "cifar10", "fashion_mnist", "cifar100")
MOST_LOOKS = 8
PADDED_SOURCE_CLASSES = (10, 1024)
"""Numbers of source classes to which probs are padded with zeros, which changes no score of them."""


@dataclass(frozen=True, kw_only=True)
class Recorded(Rules):
    """The rules of a race at the looks that are recorded: each of twice as many examples as the one before."""

    def sizes(self, num_examples: int, num_classes: int) -> list[int]:
        size = max(self.first_per_class * num_classes, self.least_first)
        sizes = []
        while size < num_examples:
            sizes.append(size)
            size *= 2
        return [*sizes, num_examples]


def sizes_of_looks(n: int, num_classes: int) -> list[int]:
    """Every number of examples at which such a race may look, whatever its budget."""
    sizes = Recorded().sizes(n, num_classes)
    while sizes[0] > (least := min(2 * num_classes, n)):
        sizes.insert(0, max(sizes[0] // 2, least))
    return sizes[-MOST_LOOKS:]


def padded(array: np.ndarray) -> np.ndarray:
    """Rows of zeros below an array, to one of few numbers of rows."""
    n = truth.padded_to(len(array), truth.PADDED_EXAMPLES)
    return np.pad(array, [(0, n - len(array))] + [(0, 0)] * (array.ndim - 1))


def in_span(features: np.ndarray) -> np.ndarray:
    """[n m] features in an orthonormal basis of the examples' span; m is a padded number of examples, or d < n."""
    if features.shape[1] < len(features):
        return features
    rotated = np.linalg.qr(features.T, mode="r").T
    return np.pad(rotated, [(0, 0), (0, len(padded(features)) - len(features))])


def shrunk_h_score(rotated: np.ndarray, labels: np.ndarray, d: int) -> float:
    """`leepjax.shrunk_h_score` of d features, by their coordinates [n m] in the examples' span."""
    x, n = rotated.astype(np.float64), len(labels)
    x -= x.mean(axis=0)
    cov, target = x.T @ x / n, (x**2).sum() / (n * d)
    squares, quartic = (cov**2).sum(), ((x**2).sum(axis=1) ** 2).sum()
    distance = squares / d - target**2
    error = min((quartic / n - squares) / (n * d), distance)
    shrinkage = error / distance if distance > 0 else 0.0
    means = np.array([x[labels == label].sum(axis=0) / np.sqrt((labels == label).sum()) for label in np.unique(labels)])
    shrunk = (1 - shrinkage) * cov + shrinkage * target * np.eye(len(cov))
    return float((1 - shrinkage) * (means * np.linalg.solve(shrunk, means.T).T).sum() / (n - 1))


@partial(jax.jit, static_argnames=("measure", "num_classes"))
def score(measure, evidence, labels, where, *, num_classes):
    row = MEASURES[measure]
    features, probs = (evidence, None) if row.reads == "features" else (None, evidence)
    return row.score(features, probs, labels, num_classes=num_classes, where=where)


def resolved(measure: str, evidence, labels, where, num_classes: int) -> float:
    """The score in float32, or in float64 if float32 doesn't resolve it, as in a ranking."""
    value = score(measure, evidence, labels, where, num_classes=num_classes)
    if np.isnan(value):
        with jax.enable_x64(True):
            value = score(measure, np.asarray(evidence, np.float64), labels, where, num_classes=num_classes)
    return float(value)


def measured(features, logits, labels, measures: Sequence[str]) -> tuple[np.ndarray, np.ndarray]:
    """The score by each measure except `linear_probe`, and its seconds, in a first call including compilation."""
    where = padded(np.ones(len(labels), np.float32))
    z = logits.shape[1]
    probs = np.pad(scipy.special.softmax(logits, axis=1), [(0, 0), (0, truth.padded_to(z, PADDED_SOURCE_CLASSES) - z)])
    rotated = in_span(features)
    c = truth.padded_to(int(labels.max()) + 1, truth.PADDED_CLASSES)
    values, seconds = np.full((2, len(measures)), np.nan)
    for i, name in enumerate(measures):
        started = time.perf_counter()
        if name == "shrunk_h_score":
            values[i] = shrunk_h_score(rotated, labels, features.shape[1])
        elif name not in CLOSED:
            of_features = rotated if name in ROTATED else features
            evidence = padded(of_features if MEASURES[name].reads == "features" else probs)
            values[i] = resolved(name, evidence, padded(labels), where, c)
        seconds[i] = time.perf_counter() - started
    return values, seconds


def looks(features, labels) -> np.ndarray:
    """[looks n 2] whether the first examples are predicted right when left out, and their squared errors.

    NaN where an example isn't in the look.
    """
    n, num_classes = len(labels), int(labels.max()) + 1
    found = np.full((MOST_LOOKS, n, 2), np.nan, np.float32)
    for row, m in zip(found, sizes_of_looks(n, num_classes), strict=False):
        row[:m] = np.stack(truth.left_out(features[:m], labels[:m], num_classes), axis=1)
    return found


def of_task(features, logits, labels, task: Task, measures: Sequence[str]) -> dict[str, np.ndarray | float]:
    """All outcomes of one source on one task."""
    x, y = features[task.rows], task.labels(labels)
    scores, score_seconds = measured(x, logits[task.rows], y, measures)
    started = time.perf_counter()
    seen = looks(x, y)
    look_seconds = time.perf_counter() - started
    if "linear_probe" in measures:
        last = len(sizes_of_looks(len(y), len(task.classes))) - 1
        scores[measures.index("linear_probe")] = seen[last, :, 0].mean()
        score_seconds[measures.index("linear_probe")] = look_seconds
    started = time.perf_counter()
    pool = features[task.pool], np.searchsorted(task.classes, labels[task.pool])
    accuracy, validated, held_out = truth.heads(truth.Span.of(x), y, *pool)
    head_seconds = time.perf_counter() - started
    width = truth.PADDED_EXAMPLES[-1] - len(y)
    return {
        "number": task.number,
        "accuracy": accuracy,
        "cross_validated": validated,
        "held_out": np.pad(held_out.astype(np.float32), (0, width), constant_values=np.nan),
        "scores": scores,
        "score_seconds": score_seconds,
        "looks": np.pad(seen, [(0, 0), (0, width), (0, 0)], constant_values=np.nan),
        "head_seconds": head_seconds,
    }


def labels_of(folder: Path) -> dict[str, np.ndarray]:
    """Labelled set → its labels; the superclasses of CIFAR-100 are a set of their own."""
    found = {path.stem: np.load(path)["labels"] for path in sorted((folder / "images").glob("*.npz"))}
    coarse = folder / "images" / "superclasses.npy"
    if coarse.exists() and "cifar100" in found:
        found["cifar100_coarse"] = np.load(coarse)[found["cifar100"]]
    return found


def tables(folder: Path, of: str) -> list[Path]:
    """The tables of a labelled set, the oldest first."""
    found = (folder / "tables" / of.removesuffix("_coarse")).glob("*.npz")
    return sorted((path for path in found if ".part" not in path.name), key=lambda path: path.stat().st_mtime)


def compute(folder: Path, of: str, table: Path, labels: np.ndarray, tasks: list[Task], measures=MEASURED) -> None:
    started = time.perf_counter()
    arrays = dict(np.load(table))
    with threadpool_limits(1, "blas"):
        found = [of_task(arrays["features"], arrays["logits"], labels, task, measures) for task in tasks]
    path = folder / "outcomes" / of / table.name
    path.parent.mkdir(parents=True, exist_ok=True)
    columns = {name: np.array([each[name] for each in found]) for name in found[0]}
    temporary = path.with_suffix(".part.npz")
    np.savez_compressed(temporary, **columns, measures=measures, forward_seconds=arrays["seconds"])
    temporary.rename(path)
    took = time.perf_counter() - started
    print(time.strftime("%H:%M:%S"), of, table.stem, f"{len(tasks)} tasks, {took:.0f} s", flush=True)


def main(folder: Path) -> None:
    labels = labels_of(folder)
    tasks = draw_tasks(labels)
    while found := next(iter(to_do(folder)), None):
        of, table = found
        compute(folder, of, table, labels[of], [task for task in tasks if task.of == of])


def to_do(folder: Path) -> Iterator[tuple[str, Path]]:
    """The sets and tables without outcomes, those with small tasks first; tables may be added meanwhile."""
    for of in ORDER:
        for table in tables(folder, of):
            if not (folder / "outcomes" / of / table.name).exists():
                yield of, table
