"""Tasks of the benchmark of decisions: few examples of some classes of a set of images, drawn by seed.

A task's number determines everything about it. Its examples are in the order in which a race uses them: every prefix
holds the classes about equally often. All other images of its classes are its pool, on which accuracy after transfer is
measured.
"""

from typing import NamedTuple

import numpy as np

SEED = 17
COUNT = 300
MOST_EXAMPLES = 400
# Labelled set → how many tasks of ten it gives, fewest and most classes.
SHARES = {
    "cifar100": (3, 10, 80),
    "cifar100_coarse": (2, 2, 20),
    "cifar10": (2, 2, 10),
    "fashion_mnist": (2, 2, 10),
    "digits": (1, 2, 10),
}
FEWEST_PER_CLASS, MOST_PER_CLASS = 5, 200


class Task(NamedTuple):
    """Rows of a labelled set."""

    number: int
    of: str
    classes: np.ndarray
    """[c] labels of the set"""
    rows: np.ndarray
    """[n] the task's examples"""
    pool: np.ndarray
    """[m] all other examples of its classes"""

    def labels(self, of_set: np.ndarray) -> np.ndarray:
        """[n] the examples' classes, numbered from 0."""
        return np.searchsorted(self.classes, of_set[self.rows])


def draw_tasks(labels: dict[str, np.ndarray], count: int = COUNT, seed: int = SEED) -> list[Task]:
    """The tasks 0 to `count` − 1, without those of sets that aren't there."""
    pattern = [name for name, (share, *_) in SHARES.items() for _ in range(share)]
    # Two successive tasks are from one set: parameters are tuned on even numbers, and reported on odd ones.
    kinds = [pattern[number // 2 % len(pattern)] for number in range(count)]
    return [draw(number, of, labels[of], seed) for number, of in enumerate(kinds) if of in labels]


def draw(number: int, of: str, labels: np.ndarray, seed: int) -> Task:
    rng = np.random.default_rng([seed, number])
    _, fewest, most = SHARES[of]
    num_classes = between(rng, fewest, most)
    classes = np.sort(rng.choice(np.unique(labels), num_classes, replace=False))
    smallest = min(np.bincount(labels)[classes])
    # At least half of a class is left for the pool.
    cap = max(FEWEST_PER_CLASS, min(MOST_PER_CLASS, MOST_EXAMPLES // num_classes, smallest // 2))
    per_class = between(rng, FEWEST_PER_CLASS, cap)
    taken = np.array([rng.permutation(np.flatnonzero(labels == label))[:per_class] for label in classes])
    rows = np.concatenate([rng.permutation(column) for column in taken.T])
    pool = np.setdiff1d(np.flatnonzero(np.isin(labels, classes)), rows)
    return Task(number, of, classes, rows, pool)


def between(rng: np.random.Generator, low: int, high: int) -> int:
    """A whole number between two, both included, evenly on a log scale."""
    return min(high, int(np.exp(rng.uniform(np.log(low), np.log(high + 1)))))
