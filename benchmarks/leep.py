"""How close is `leep` to reading the probabilities twice, and how far ahead of NumPy?

python benchmarks/leep.py --size full
"""

import time

import jax
import jax.numpy as jnp
import numpy as np
from measuring import quartiles, report, size, timings

import leepjax as lj

SHAPES = {"small": [(2_000, 50, 10)], "full": [(50_000, 1000, 10), (50_000, 1000, 100), (50_000, 1000, 1000)]}
REPEATS = {"small": 3, "full": 9}


def numpy_matmul(probs: np.ndarray, labels: np.ndarray, num_classes: int) -> float:
    """LEEP as well as NumPy does it: a one-hot product for the joint and another for the predictor."""
    one_hot = np.eye(num_classes, dtype=probs.dtype)[labels]
    joint = one_hot.T @ probs
    conditional = joint / joint.sum(axis=0)
    return float(np.log(np.take_along_axis(probs @ conditional.T, labels[:, None], axis=1)).mean())


def numpy_loop(probs: np.ndarray, labels: np.ndarray, num_classes: int) -> float:
    """LEEP as it is published most often: a loop over classes, then the predictor for every class."""
    joint = np.zeros((num_classes, probs.shape[1]))
    for c in range(num_classes):
        joint[c] = probs[labels == c].sum(axis=0)
    conditional = (joint / joint.sum(axis=0)).T
    return float(
        np.mean([np.log((row * conditional[:, label]).sum()) for row, label in zip(probs, labels, strict=True)])
    )


def compare(n: int, z: int, c: int, repeats: int) -> None:
    rng = np.random.default_rng(0)
    labels = rng.integers(0, c, n)
    probs = np.asarray(jax.nn.softmax(rng.normal(size=(n, z)).astype(np.float32)))
    on_device = jnp.asarray(probs), jnp.asarray(labels)

    started = time.perf_counter()
    compiled = jax.jit(lambda p, y: lj.leep(p, y, num_classes=c)).lower(*on_device).compile()
    compiling = time.perf_counter() - started
    read_twice = jax.jit(lambda p, _: (p.sum(), (p * p).sum())).lower(*on_device).compile()

    truth = numpy_loop(probs.astype(np.float64), labels, c)
    for score in (float(compiled(*on_device)), numpy_matmul(probs, labels, c)):
        np.testing.assert_allclose(score, truth, rtol=1e-5)

    seconds = timings(
        {
            "leep": lambda: compiled(*on_device),
            "leep_with_checks": lambda: lj.leep(*on_device, num_classes=c),
            "read_twice": lambda: read_twice(*on_device),
            "numpy_matmul": lambda: numpy_matmul(probs, labels, c),
            "numpy_loop": lambda: numpy_loop(probs, labels, c),
        },
        repeats,
    )
    report(
        benchmark="leep",
        n=n,
        z=z,
        c=c,
        compile_seconds=round(compiling, 3),
        seconds={name: quartiles(values) for name, values in seconds.items()},
        over_read_twice=quartiles(seconds["leep"] / seconds["read_twice"]),
        speedup_over_numpy_matmul=quartiles(seconds["numpy_matmul"] / seconds["leep"]),
        speedup_over_numpy_loop=quartiles(seconds["numpy_loop"] / seconds["leep"]),
    )


def main() -> None:
    chosen = size()
    for shape in SHAPES[chosen]:
        compare(*shape, REPEATS[chosen])


if __name__ == "__main__":
    main()
