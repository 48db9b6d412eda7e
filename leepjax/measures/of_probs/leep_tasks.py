"""LEEP of many target tasks in one call."""

from functools import partial

import jax
import jax.numpy as jnp
from jax.typing import ArrayLike

from leepjax.kernels import HIGHEST, nonzero_or_one, weights_of
from leepjax.kernels.tasks import tasks_log_likelihoods
from leepjax.measures.shell import score_rows
from leepjax.statistics.joint import Joint
from leepjax.types import InputError


def leep_tasks(
    probs: ArrayLike,
    labels: ArrayLike,
    tasks: ArrayLike,
    *,
    where: ArrayLike | None = None,
) -> jax.Array:
    """LEEP of many target tasks, each of them a subset of the classes of one labelled set.

    Task t keeps the examples whose class is in its subset S_t, as in the paper's experiments, where 200 random subsets
    of CIFAR-100's classes are scored. `leep` of the rows kept gives the same numbers; here the tasks share the class
    sums J, and all their predictors are one matmul:

        T_t = (1/n_t) Σ_{i: y_i ∈ S_t} log Σ_z θ(x_i)_z J[y_i, z] / M_t[z],   M_t[z] = Σ_{y ∈ S_t} J[y, z]

    Args:
        probs: [n z] source probabilities; each row is non-negative and sums to one.
        labels: [n] integer target classes in [0, c).
        tasks: [t c] booleans: which classes belong to which task.
        where: [n] mask of the examples that count, or non-negative weights.

    Returns:
        [t] scores in [−log n_t, 0], in nats, higher is better. NaN for a task in which no example counts.

    Raises:
        ValueError: for tasks that aren't booleans [t c]; outside jit, for rows that aren't distributions, labels out of
            range or shapes that don't fit.

    Notes:
        Two reads of `probs`, and n·z·t multiplications whatever the subsets.

    >>> from leepjax import leep_tasks
    >>> probs, tasks = [[0.9, 0.1], [0.2, 0.8], [0.4, 0.6]], [[True, True, False], [True, False, True]]
    >>> [round(float(score), 4) for score in leep_tasks(probs, [0, 1, 2], tasks)]
    [-0.2911, -0.4504]

    Reference:
        Nguyen et al., ICML 2020, equation 2 and section 5.1; the shared computation is ours.
    """
    tasks = jnp.asarray(tasks)
    if tasks.ndim != 2 or tasks.dtype != bool or not tasks.size:
        raise InputError(
            f"leep_tasks: tasks must be booleans [t c], got {tasks.dtype} of shape {tasks.shape}; "
            "mark the classes of each task."
        )
    return score_rows("leep_tasks", _leep_tasks, probs, labels, tasks.shape[1], where, tasks=tasks)


@partial(jax.jit, static_argnames="num_classes")
def _leep_tasks(probs, labels, where, tasks, num_classes):
    joint = Joint.of(probs, labels, num_classes, where)
    tasks = tasks.astype(joint.table.dtype)
    masses, sizes = (jnp.matmul(tasks, sums, precision=HIGHEST) for sums in (joint.table, joint.counts))
    inverse = jnp.where(masses > 0, 1 / nonzero_or_one(masses), 0)
    weights = weights_of(where, len(labels), tasks.dtype)
    totals, rows = tasks_log_likelihoods(joint.table, inverse, tasks, probs, labels, weights)
    return totals / sizes, rows
