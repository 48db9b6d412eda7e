"""Score data that doesn't fit in memory: additive statistics over batches, merged from two workers."""

import jax
import jax.numpy as jnp
import numpy as np
from sklearn.datasets import load_digits

import leepjax as lj
from leepjax.measures import h_score_from_moments

NUM_CLASSES, NUM_FEATURES, BATCH = 10, 64, 256


@jax.jit
def update(moments: lj.Moments, features: jax.Array, labels: jax.Array, where: jax.Array) -> lj.Moments:
    return moments.update(features, labels, where=where)


def worker(features: np.ndarray, labels: np.ndarray) -> lj.Moments:
    """Sum up this worker's rows in batches of one shape; the last is padded, and the padding masked."""
    moments = lj.Moments.init(NUM_CLASSES, NUM_FEATURES)
    for start in range(0, len(labels), BATCH):
        batch, batch_labels = features[start : start + BATCH], labels[start : start + BATCH]
        padding = BATCH - len(batch)
        where = jnp.arange(BATCH) < len(batch)
        moments = update(moments, np.pad(batch, ((0, padding), (0, 0))), np.pad(batch_labels, (0, padding)), where)
    return moments


def main() -> None:
    features, labels = load_digits(return_X_y=True)
    features = features.astype(np.float32)
    merged = worker(features[:900], labels[:900]).merge(worker(features[900:], labels[900:]))
    print(f"streamed    {h_score_from_moments(merged):.4f}")
    print(f"at once     {lj.h_score(features, labels):.4f}")


if __name__ == "__main__":
    main()
