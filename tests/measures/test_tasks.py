"""Tasks that are subsets of the classes of one labelled set score as the rows that each of them keeps."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest
import reference
from cases import PROBS, SEEDS, problem
from hypothesis import given, settings

from leepjax import leep, leep_tasks
from leepjax.types import InputError

TASKS = np.array([[1, 1, 0], [0, 1, 1], [1, 0, 1], [1, 1, 1], [0, 1, 0], [0, 0, 0]], bool)


def row_by_row(p, weights):
    for task in TASKS:
        kept = np.where(task[p.labels], weights, 0)
        yield reference.leep(p.probs, p.labels, 3, kept) if kept.any() else np.nan


@pytest.mark.parametrize("where", ["all", "mask", "weights"])
@pytest.mark.parametrize("probs", PROBS)
def test_a_task_scores_as_its_rows(probs, where):
    @settings(max_examples=4)
    @given(SEEDS)
    def law(seed):
        p = problem(seed, probs=probs, where=where)
        expected = list(row_by_row(p, np.ones(len(p.labels)) if p.where is None else p.where))
        actual = leep_tasks(p.probs, p.labels, TASKS, where=p.where)
        np.testing.assert_allclose(actual, expected, rtol=2e-5, atol=5e-6)

    law()


def test_blocks_of_rows_that_do_not_divide_them():
    rng = np.random.default_rng(0)
    probs, labels = rng.dirichlet(np.ones(40_000), 101).astype(np.float32), rng.integers(0, 3, 101)
    expected = [leep(probs[keep], labels[keep], num_classes=3) for task in TASKS[:5] if (keep := task[labels]).any()]
    np.testing.assert_allclose(leep_tasks(probs, labels, TASKS[:5]), expected, rtol=2e-5, atol=2e-6)


def test_padded_rows_are_not_looked_at():
    p = problem(1)
    probs, labels = np.vstack([p.probs, np.full((3, 4), np.nan)]), np.append(p.labels, [-1, 9, 9])
    where = np.arange(len(labels)) < len(p.labels)
    expected = leep_tasks(p.probs, p.labels, TASKS)
    np.testing.assert_allclose(leep_tasks(probs, labels, TASKS, where=where), expected, rtol=1e-6)


def test_jit_gradient_and_vmap():
    p = problem(2)
    scores = jax.jit(leep_tasks)(p.probs, p.labels, TASKS[:5])
    np.testing.assert_allclose(scores, leep_tasks(p.probs, p.labels, TASKS[:5]), rtol=1e-6)
    together = jax.grad(lambda probs: leep_tasks(probs, p.labels, TASKS[:4]).sum())(p.probs)

    def one(task):
        kept = jnp.asarray(task)[p.labels].astype(jnp.float32)
        return jax.grad(lambda probs: leep(probs, p.labels, num_classes=3, where=kept))(p.probs)

    np.testing.assert_allclose(together, sum(map(one, TASKS[:4])), rtol=1e-4, atol=1e-6)
    stacked = jax.vmap(lambda probs: leep_tasks(probs, p.labels, TASKS))(np.stack([p.probs, p.probs[::-1]]))
    np.testing.assert_allclose(stacked[0], leep_tasks(p.probs, p.labels, TASKS), rtol=1e-6)


@pytest.mark.parametrize(
    ("tasks", "got"), [(TASKS[0], r"bool of shape \(3,\)"), (TASKS.astype(int), r"int32 of shape \(6, 3\)")], ids=str
)
def test_tasks_that_are_not_marked_classes(tasks, got):
    p = problem(0)
    message = rf"^leep_tasks: tasks must be booleans \[t c\], got {got}; mark the classes of each task\.$"
    with pytest.raises(InputError, match=message):
        leep_tasks(p.probs, p.labels, tasks)


def test_rows_and_labels_are_checked():
    p = problem(0)
    with pytest.raises(InputError, match=r"^leep_tasks: each row of probs must be non-negative and sum to one, got"):
        leep_tasks(2 * p.probs, p.labels, TASKS)
    with pytest.raises(InputError, match=r"^leep_tasks: labels must lie in \[0, 2\), got 2 at index"):
        leep_tasks(p.probs, p.labels, TASKS[:, :2])
