"""How fast is `leep`, compared with the fastest NumPy and SciPy code and with published code?

python benchmarks --size full rivals

The rivals get the same float32 rows. SciPy's product with a one-hot matrix by columns (CSC) adds each row to that of
its class in the order of memory, as ours does; it is three times as fast as the product by rows (CSR). The second pass
gathers the table's rows for a block that stays in the cache. Published code is rewritten here operation by operation,
including its float64 one-hot matrices and tables.
"""

from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor

import jax.numpy as jnp
import numpy as np
from measuring import all_quartiles, compiled, quartiles, report, size, timings
from problems import assert_leep_is_right, assert_right, leep_of, probs_of
from scipy.sparse import csc_array

import leepjax as lj

SHAPES = {
    "small": [(2_000, 50, 10)],
    "full": [(50_000, 1000, 10), (50_000, 1000, 100), (50_000, 1000, 1000), (200_000, 1000, 100)],
}
REPEATS = {"small": 3, "full": 7}
_BLOCK = 1024
_THREADS = 2
_POOL = ThreadPoolExecutor(_THREADS)


def numpy_blas(probs: np.ndarray, labels: np.ndarray, num_classes: int) -> float:
    """A one-hot product for the joint, and another product for the predictor of every class."""
    one_hot = np.eye(num_classes, dtype=probs.dtype)[labels]
    joint = one_hot.T @ probs
    likelihood = np.take_along_axis(probs @ _conditional(joint).T, labels[:, None], axis=1)
    return float(np.log(likelihood).mean())


def numpy_sorted(probs: np.ndarray, labels: np.ndarray, num_classes: int) -> float:
    """Rows sorted by class once; then each class is a slice: `np.add.reduceat`, and one matrix–vector product each."""
    order = np.argsort(labels, kind="stable")
    rows, present, starts = probs[order], *np.unique(labels[order], return_index=True)
    joint = np.zeros((num_classes, probs.shape[1]), probs.dtype)
    joint[present] = np.add.reduceat(rows, starts)
    conditional = _conditional(joint)
    slices = zip(present, np.split(rows, starts[1:]), strict=True)
    return float(np.log(np.concatenate([own @ conditional[k] for k, own in slices])).mean())


def scipy_csc(probs: np.ndarray, labels: np.ndarray, num_classes: int) -> float:
    """A sparse one-hot product for the joint; then blocks of rows times their own classes' rows of the table."""
    conditional = _conditional(_one_hot(labels, num_classes, probs.dtype) @ probs)
    return float(np.log(_own_likelihood(probs, labels, conditional)).mean())


def scipy_csc_threads(probs: np.ndarray, labels: np.ndarray, num_classes: int) -> float:
    """The same on two threads, which stay between calls; SciPy and NumPy release the interpreter's lock."""
    parts = list(zip(np.array_split(probs, _THREADS), np.array_split(labels, _THREADS), strict=True))
    joint = sum(_POOL.map(lambda part: _one_hot(part[1], num_classes, probs.dtype) @ part[0], parts))
    conditional = _conditional(joint)
    likelihoods = list(_POOL.map(lambda part: _own_likelihood(*part, conditional), parts))
    return float(np.log(np.concatenate(likelihoods)).mean())


def _one_hot(labels, num_classes, dtype):
    n = len(labels)
    return csc_array((np.ones(n, dtype), labels, np.arange(n + 1, dtype=np.int32)), shape=(num_classes, n))


def _conditional(joint):
    return joint / joint.sum(axis=0)


def _own_likelihood(probs, labels, conditional):
    own, likelihood = np.empty((_BLOCK, probs.shape[1]), probs.dtype), np.empty(len(probs), probs.dtype)
    for start in range(0, len(probs), _BLOCK):
        rows = probs[start : start + _BLOCK]
        np.take(conditional, labels[start : start + _BLOCK], axis=0, out=own[: len(rows)], mode="clip")
        np.vecdot(rows, own[: len(rows)], out=likelihood[start : start + _BLOCK])
    return likelihood


def published_loop(probs: np.ndarray, labels: np.ndarray, num_classes: int) -> float:
    """thuml/Transfer-Learning-Library's: a mask per class, the predictor for every class, and a row loop to pick."""
    normalized, joint = probs / len(probs), np.zeros((num_classes, probs.shape[1]))
    for k in range(num_classes):
        joint[k] = normalized[labels == k].sum(axis=0)
    predictions = probs @ (joint / joint.sum(axis=0, keepdims=True)).T
    return float(np.log(np.array([row[label] for row, label in zip(predictions, labels, strict=True)])).mean())


def published_one_hot(probs: np.ndarray, labels: np.ndarray, num_classes: int) -> float:
    """PARC's: a float64 one-hot product, then the table's row of each example, [n z], times the probabilities."""
    joint = np.eye(num_classes)[labels].T @ probs
    conditional = joint / probs.sum(axis=0)
    return float(np.log((conditional[labels] * probs).sum(axis=-1)).sum() / len(probs))


RIVALS = {
    function.__name__: function
    for function in (numpy_blas, numpy_sorted, scipy_csc, scipy_csc_threads, published_loop, published_one_hot)
}


def compare(n: int, z: int, c: int, repeats: int) -> None:
    probs, labels = probs_of(n, z, c)
    on_device = jnp.asarray(probs), jnp.asarray(labels)
    leep = compiled(leep_of(c), *on_device)
    scores = {name: rival(probs, labels, c) for name, rival in RIVALS.items()}
    np.testing.assert_allclose(list(scores.values()), float(leep(*on_device)), rtol=1e-5, err_msg=str(scores))

    ours: dict[str, Callable] = {
        "leep": lambda: leep(*on_device),
        "leep_with_checks": lambda: lj.leep(*on_device, num_classes=c),
    }
    rivals = {name: lambda rival=rival: rival(probs, labels, c) for name, rival in RIVALS.items()}
    seconds = timings(ours | rivals, repeats)
    best = min((name for name in rivals if not name.startswith("published")), key=lambda name: np.median(seconds[name]))
    report(
        benchmark="rivals",
        n=n,
        z=z,
        c=c,
        seconds=all_quartiles(seconds),
        speedup={name: quartiles(seconds[name] / seconds["leep"]) for name in rivals},
        best_rival=best,
        speedup_with_checks_over_best=quartiles(seconds[best] / seconds["leep_with_checks"]),
    )


def main() -> None:
    chosen = size()
    assert_leep_is_right()
    for rival in RIVALS.values():
        assert_right(rival)
    for shape in SHAPES[chosen]:
        compare(*shape, REPEATS[chosen])


if __name__ == "__main__":
    main()
