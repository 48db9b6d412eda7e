"""How far is float32 `leep` from float64, up to ImageNet's 1.28 million examples of 1000 probabilities?

python benchmarks --size full accuracy
"""

import jax
import jax.numpy as jnp
import numpy as np
from measuring import compiled, report, size
from problems import assert_leep_is_right, assert_right, leep_of, probs_of

import leepjax as lj
from leepjax.kernels import class_sums

SHAPES = {
    "small": [(5_000, 50, 10)],
    "full": [
        *((n, 1000, c) for n in (1_000, 10_000, 100_000) for c in (10, 1000)),
        *((1_280_000, 1000, c) for c in (10, 1000)),
    ],
}
_CHUNK = 20_000


def table_in_float64(probs: np.ndarray, labels: np.ndarray, num_classes: int) -> np.ndarray:
    """[c z] class sums, chunk by chunk."""
    table = np.zeros((num_classes, probs.shape[1]))
    for rows, own in _chunks(probs, labels):
        order = np.argsort(own, kind="stable")
        present, starts = np.unique(own[order], return_index=True)
        table[present] += np.add.reduceat(rows[order], starts, axis=0)
    return table


def leep_in_float64(probs: np.ndarray, labels: np.ndarray, num_classes: int, table: np.ndarray | None = None) -> float:
    """LEEP with every sum in float64, chunk by chunk: the oracle's formula where its loops would take hours."""
    table = table_in_float64(probs, labels, num_classes) if table is None else table
    conditional = table / table.sum(axis=0)
    total = sum(np.log(np.einsum("nz,nz->n", rows, conditional[own])).sum() for rows, own in _chunks(probs, labels))
    return float(total / len(labels))


def _chunks(probs, labels):
    for start in range(0, len(probs), _CHUNK):
        yield probs[start : start + _CHUNK].astype(np.float64), labels[start : start + _CHUNK]


def measure(n: int, z: int, c: int) -> None:
    probs, labels = probs_of(n, z, c)
    table = table_in_float64(probs, labels, c)
    truth = leep_in_float64(probs, labels, c, table)
    on_device = jnp.asarray(probs), jnp.asarray(labels)
    jitted = compiled(leep_of(c), *on_device)(*on_device)
    sums = np.asarray(jax.jit(class_sums, static_argnums=3)(*on_device, jnp.ones(n), c)[0])
    present = table.sum(axis=1) > 0
    report(
        benchmark="accuracy",
        n=n,
        z=z,
        c=c,
        leep_in_float64=truth,
        relative_error=abs(float(jitted) / truth - 1),
        relative_error_with_checks=abs(float(lj.leep(*on_device, num_classes=c)) / truth - 1),
        largest_relative_error_in_table=float(np.abs(sums[present] / table[present] - 1).max()),
    )


def main() -> None:
    assert_leep_is_right()
    assert_right(leep_in_float64, rtol=1e-12)
    for shape in SHAPES[size()]:
        measure(*shape)


if __name__ == "__main__":
    main()
