"""How much faster is `soft_nce` than the published soft NCE, which builds an [n z c] array?

python benchmarks --size full soft_nce
"""

import jax.numpy as jnp
import numpy as np
from measuring import all_quartiles, compiled, quartiles, report, size, timings
from problems import probs_of, reference

import leepjax as lj

SHAPES = {
    "small": [(2_000, 50, 10)],
    "full": [(50_000, 1000, 10), (50_000, 1000, 100), (50_000, 1000, 1000), (5_000, 1000, 100)],
}
REPEATS = {"small": 3, "full": 7}
# The published code is run only if its array has at most this many bytes.
MAX_CUBE = 5e9


def published_soft_nce(probs: np.ndarray, labels: np.ndarray, num_classes: int) -> float:
    """PACTran's: the joint as the mean of an [n z c] array; its LEEP builds the same one."""
    one_hot = np.eye(num_classes)[labels]
    joint = np.einsum("nz,nc->nzc", probs, one_hot).mean(axis=0)
    conditional = joint / (probs.mean(axis=0)[:, None] + 1e-10)
    return float((joint * np.log(conditional + 1e-10)).sum())


def compare(n: int, z: int, c: int, repeats: int) -> None:
    (probs, labels), cube = probs_of(n, z, c), 8 * n * z * c
    on_device = jnp.asarray(probs), jnp.asarray(labels)
    soft_nce = compiled(lambda p, y: lj.soft_nce(p, y, num_classes=c), *on_device)
    functions = {"soft_nce": lambda: soft_nce(*on_device)}
    if cube <= MAX_CUBE:
        functions["published_soft_nce"] = lambda: published_soft_nce(probs, labels, c)
        np.testing.assert_allclose(soft_nce(*on_device), published_soft_nce(probs, labels, c), rtol=1e-4)
    seconds = timings(functions, repeats)
    speedup = quartiles(seconds["published_soft_nce"] / seconds["soft_nce"]) if cube <= MAX_CUBE else None
    report(
        benchmark="soft_nce",
        n=n,
        z=z,
        c=c,
        seconds=all_quartiles(seconds),
        published_array_gigabytes=cube / 1e9,
        speedup=speedup,
    )


def main() -> None:
    chosen = size()
    probs, labels = probs_of(400, 60, 7)
    truth = reference.soft_nce(probs, labels, 7)
    np.testing.assert_allclose(lj.soft_nce(probs, labels), truth, rtol=1e-5)
    np.testing.assert_allclose(published_soft_nce(probs, labels, 7), truth, rtol=1e-5)
    for shape in SHAPES[chosen]:
        compare(*shape, REPEATS[chosen])


if __name__ == "__main__":
    main()
