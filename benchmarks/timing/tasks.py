"""What do 200 target tasks cost, compared with one: subsets of classes, bootstrap resamples, small tasks side by side?

python benchmarks --size full tasks
"""

import jax
import jax.numpy as jnp
import numpy as np
from measuring import all_quartiles, compiled, quartiles, report, size, timings
from problems import assert_leep_is_right, leep_of, probs_of, reference

import leepjax as lj

# n, z, c, tasks, classes of a subset, repeats; then the classes of small tasks, which hold n / tasks examples each
SIZES = {"small": (2_000, 50, 10, 20, 4, 3, (5,)), "full": (50_000, 1000, 100, 200, 20, 7, (2, 5, 10, 30, 100))}


def subsets(classes: int, tasks: int, of_each: int) -> np.ndarray:
    """[t c] booleans: random subsets of the classes."""
    rng = np.random.default_rng(0)
    return rng.random((tasks, classes)).argsort(axis=1) < of_each


def bootstrap(num_classes: int, batch_size: int | None):
    """LEEP of probs and labels under each of the weightings [t n]: all at once, or batch by batch."""

    def scores(probs, labels, weights):
        def score(where):
            return lj.leep(probs, labels, num_classes=num_classes, where=where)

        return jax.lax.map(score, weights, batch_size=batch_size) if batch_size else jax.vmap(score)(weights)

    return scores


def one_call_a_task(probs: jax.Array, labels: jax.Array, masks: list[jax.Array], score) -> jax.Array:
    """Score each task by its own call of a compiled `leep`, with all other rows masked."""
    return jnp.stack([score(probs, labels, where) for where in masks])


def subsets_and_bootstrap(n: int, z: int, c: int, t: int, of_each: int, repeats: int) -> None:
    probs_np, labels_np = probs_of(n, z, c)
    probs, labels = jnp.asarray(probs_np), jnp.asarray(labels_np)
    tasks = subsets(c, t, of_each)
    masks = [jnp.asarray(task[labels_np], jnp.float32) for task in tasks]
    resamples = np.random.default_rng(1).multinomial(n, np.full(n, 1 / n), size=t)
    weights = jnp.asarray(resamples, jnp.float32)

    one = compiled(leep_of(c), probs, labels)
    masked = compiled(lambda p, y, w: lj.leep(p, y, num_classes=c, where=w), probs, labels, masks[0])
    all_subsets = compiled(lj.leep_tasks, probs, labels, jnp.asarray(tasks))
    in_batches = compiled(bootstrap(c, min(100, t)), probs, labels, weights)
    at_once = compiled(bootstrap(c, None), probs, labels, weights)

    for i in (0, t - 1):
        among, few = np.flatnonzero(tasks[i]), np.flatnonzero(tasks[i][labels_np])[:300]
        truth = reference.leep(probs_np[few], np.searchsorted(among, labels_np[few]), len(among))
        found = lj.leep_tasks(probs_np[few], labels_np[few], tasks[i : i + 1])[0]
        np.testing.assert_allclose(found, truth, rtol=1e-5)
        np.testing.assert_allclose(all_subsets(probs, labels, tasks)[i], masked(probs, labels, masks[i]), rtol=1e-5)
        for scores in (in_batches, at_once):
            np.testing.assert_allclose(scores(probs, labels, weights)[i], masked(probs, labels, weights[i]), rtol=1e-5)

    seconds = timings(
        {
            "one": lambda: one(probs, labels),
            "subsets": lambda: all_subsets(probs, labels, tasks),
            "subsets_with_checks": lambda: lj.leep_tasks(probs, labels, tasks),
            "one_call_a_subset": lambda: one_call_a_task(probs, labels, masks, masked),
            "bootstrap_in_batches": lambda: in_batches(probs, labels, weights),
            "bootstrap_at_once": lambda: at_once(probs, labels, weights),
        },
        repeats,
    )
    report(
        benchmark="tasks",
        n=n,
        z=z,
        c=c,
        tasks=t,
        classes_of_a_subset=of_each,
        seconds=all_quartiles(seconds),
        over_one={name: quartiles(values / seconds["one"]) for name, values in seconds.items() if name != "one"},
    )


def side_by_side(n: int, z: int, c: int, t: int, repeats: int) -> None:
    """Time small tasks of c classes, stacked [t n/t z], against one task of all their examples and c classes."""
    parts = [probs_of(n // t, z, c, seed) for seed in range(t)]
    small = tuple(jnp.asarray(np.stack(arrays)) for arrays in zip(*parts, strict=True))
    large = small[0].reshape(-1, z), small[1].reshape(-1)
    one, all_tasks = compiled(leep_of(c), *large), compiled(jax.vmap(leep_of(c)), *small)
    for i in (0, t - 1):
        np.testing.assert_allclose(all_tasks(*small)[i], reference.leep(*parts[i], c), rtol=1e-5)
    seconds = timings({"one": lambda: one(*large), "side_by_side": lambda: all_tasks(*small)}, repeats)
    report(
        benchmark="tasks_side_by_side",
        n=n,
        z=z,
        c=c,
        tasks=t,
        seconds=all_quartiles(seconds),
        over_one=quartiles(seconds["side_by_side"] / seconds["one"]),
    )


def main() -> None:
    n, z, c, t, of_each, repeats, classes_of_small = SIZES[size()]
    assert_leep_is_right()
    subsets_and_bootstrap(n, z, c, t, of_each, repeats)
    for few in classes_of_small:
        side_by_side(n, z, few, t, repeats)


if __name__ == "__main__":
    main()
