"""How many heads per second are re-trained for many tasks at once, compared with loops of scikit-learn and of leepjax?

python benchmarks --size full transfer

Features are those of a CIFAR-10 ResNet-20 for CIFAR-100's test images where the shared data is, and the pixels of
scikit-learn's digits elsewhere; the wide ones are random projections of them, cut at zero.
"""

import tempfile
from pathlib import Path

import numpy as np
import shared_sources as shared
from measuring import all_quartiles, quartiles, report, size, timings
from sklearn.linear_model import LogisticRegression
from sklearn.model_selection import GridSearchCV
from threadpoolctl import threadpool_limits

from leepjax.data.preprocessing import Preprocessing
from leepjax.data.readers import digits
from leepjax.data.target import from_arrays
from leepjax.extraction.extract import extract
from leepjax.transfer.head import L2_GRID, NUM_FOLDS, retrain_head
from leepjax.transfer.head_tasks import retrain_heads

L2 = 0.01
# Features (None: as they are), tasks, classes of a task at most, padded shapes, whether L2 is chosen, repeats.
SMALL = [(None, 4, 4, 1, False, 1)]
FULL = [
    (None, 200, 5, 1, False, 5),
    (None, 200, 5, 4, False, 5),
    (None, 200, 20, 4, False, 3),
    (None, 30, 20, 2, True, 1),
    (512, 20, 20, 2, False, 1),
]


def table(full: bool) -> tuple[str, np.ndarray, np.ndarray]:
    """A description of the features, the features [n d], and labels [n]."""
    if not full or not shared.DATA.is_dir():
        target = digits()
        pixels = target.images(range(len(target)), Preprocessing(image_size=8))[..., 0]
        return "pixels of digits", pixels.reshape(len(target), -1).astype(np.float32), target.labels
    data = shared.load_pack().load_images("cifar100_test")
    target = from_arrays(data["images"], data["labels"].astype(np.int32), data["classes"], name="cifar100-test")
    with tempfile.TemporaryDirectory() as folder:
        found = extract(shared.shared_source("cifar10_resnet20", Path(folder)), target, cache=None)
    return "cifar10_resnet20 on cifar100-test", found.features, found.labels


def widened(features: np.ndarray, width: int) -> np.ndarray:
    x = (features - features.mean(axis=0)) / (features.std(axis=0) + 1e-6)
    mixed = x @ np.random.default_rng(2).standard_normal((x.shape[1], width), np.float32) / np.sqrt(x.shape[1])
    return np.maximum(mixed, 0)


class Task:
    """The standardised rows of one task, for functions that take one task at a time."""

    def __init__(self, features, labels, classes, train, test):
        mine, tested = (np.flatnonzero(part & classes[labels]) for part in (train, test))
        numbers = np.cumsum(classes) - 1
        self.features, self.labels = features[mine], numbers[labels[mine]]
        self.test_features, self.test_labels = features[tested], numbers[labels[tested]]
        self.num_classes = int(classes.sum())
        mean, std = self.features.mean(axis=0), self.features.std(axis=0)
        std = np.where(std > 1e-6 * abs(self.features).max(axis=0), std, 1)
        self.x, self.test_x = (self.features - mean) / std, (self.test_features - mean) / std

    def by_scikit_learn(self, l2: float | None, **options) -> LogisticRegression:
        """Its classifier of the same objective, with L2 chosen among the same and by as many folds if it is None."""
        # Its binary form has one kernel in place of two that are each other's negative, each of half its size.
        both = 2 if self.num_classes == 2 else 1
        if l2 is not None:
            model = LogisticRegression(C=both / (len(self.x) * l2), max_iter=1000, **options)
            return model.fit(self.x, self.labels)
        grid = {"C": [both / (len(self.x) * one) for one in sorted(L2_GRID, reverse=True)]}
        search = GridSearchCV(LogisticRegression(max_iter=1000, **options), grid, cv=NUM_FOLDS)
        return search.fit(self.x, self.labels).best_estimator_

    def by_us(self, l2: float | None) -> np.ndarray:
        head = retrain_head(self.features, self.labels, self.num_classes, l2=l2).head
        return np.asarray(head.logits(self.test_features)).argmax(axis=1)

    def objective(self, kernel: np.ndarray, bias: np.ndarray) -> float:
        """The mean cross-entropy plus L2's penalty, in float64, of a kernel [d c] and bias [c] of standardised rows."""
        logits = self.x.astype(np.float64) @ kernel + bias
        highest = logits.max(axis=1)
        losses = np.log(np.exp(logits - highest[:, None]).sum(axis=1)) + highest
        own = logits[np.arange(len(logits)), self.labels]
        return float((losses - own).mean() + L2 / 2 * (kernel.astype(np.float64) ** 2).sum())

    def objective_of(self, theirs: LogisticRegression) -> float:
        kernel, bias = theirs.coef_.T, theirs.intercept_
        if self.num_classes == 2:
            kernel, bias = np.hstack([-kernel, kernel]) / 2, np.append(-bias, bias) / 2
        return self.objective(kernel, bias)


def heads(of: str, features: np.ndarray, labels: np.ndarray, t, most, shapes, choose, repeats) -> None:
    rng = np.random.default_rng(0)
    c = int(labels.max()) + 1
    subsets = rng.random((t, c)).argsort(axis=1) < rng.integers(2, most + 1, t)[:, None]
    train = rng.permutation(len(labels)) < len(labels) // 2
    tasks = [Task(features, labels, classes, train, ~train) for classes in subsets]
    l2 = None if choose else L2
    # Our own loop compiles for the shape of each task, which isn't what is timed, and would take long for all of them.
    few = tasks[:: max(2, t // 5)]

    def ours():
        return retrain_heads(features, labels, subsets, train, ~train, l2=l2, num_shapes=shapes)

    def scikit_learn():
        return [task.by_scikit_learn(l2).score(task.test_x, task.test_labels) for task in tasks]

    def one_by_one():
        return [np.mean(task.by_us(l2) == task.test_labels) for task in few]

    with threadpool_limits(1, "blas"):
        excess = None if choose else compare(tasks, ours())
        accuracy = {"retrain_heads": ours().test_accuracy.mean(), "scikit_learn": np.mean(scikit_learn())}
        if t >= 20:  # with fewer tasks, a single test example matters too much
            assert abs(accuracy["retrain_heads"] - accuracy["scikit_learn"]) <= 0.005, accuracy
        seconds = timings({"retrain_heads": ours, "scikit_learn": scikit_learn, "one_by_one": one_by_one}, repeats)
    each = {name: values / (len(few) if name == "one_by_one" else t) for name, values in seconds.items()}
    report(
        benchmark="transfer_heads",
        features=of,
        d=features.shape[1],
        tasks=t,
        classes_of_a_task=[2, most],
        examples_of_a_task=[min(len(task.x) for task in tasks), max(len(task.x) for task in tasks)],
        l2="chosen" if choose else L2,
        shapes=shapes,
        tasks_a_second={name: quartiles(1 / values) for name, values in each.items()},
        speedup={name: quartiles(each[name] / each["retrain_heads"]) for name in ("scikit_learn", "one_by_one")},
        test_accuracy={name: round(float(value), 4) for name, value in accuracy.items()},
        excess_of_objective=excess,
        seconds=all_quartiles(seconds),
    )


def compare(tasks: list[Task], found) -> dict[str, float]:
    """How far above the minimum the worst objective of some tasks is, relative to it; and scikit-learn's."""
    excess = []
    for index in range(0, len(tasks), max(1, len(tasks) // 10)):
        task, kernel, bias = tasks[index], found.heads.kernel[index], found.heads.bias[index]
        lowest = task.objective_of(task.by_scikit_learn(L2, tol=1e-8))
        c = task.num_classes
        mine = task.objective(np.asarray(kernel[:, :c]), np.asarray(bias[:c]))
        np.testing.assert_allclose(mine, lowest, rtol=5e-4)
        excess.append([mine / lowest - 1, task.objective_of(task.by_scikit_learn(L2)) / lowest - 1])
    ours, theirs = (float(f"{value:.2g}") for value in np.max(excess, axis=0))
    return {"retrain_heads": ours, "scikit_learn": theirs}


def main() -> None:
    full = size() == "full"
    of, features, labels = table(full)
    for width, *case in FULL if full else SMALL:
        heads(of, features if width is None else widened(features, width), labels, *case)


if __name__ == "__main__":
    main()
