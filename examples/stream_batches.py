"""Score data that doesn't fit in memory: batches from disk or a loader, workers that merge, and a checkpoint."""

import tempfile
from pathlib import Path

import numpy as np
from sklearn.datasets import load_digits
from sklearn.linear_model import LogisticRegression

import leepjax as lj
from leepjax.measures import h_score_from_moments

NUM_CLASSES, NUM_FEATURES = 10, 64


def main() -> None:
    images, labels = load_digits(return_X_y=True)
    features = images.astype(np.float32)
    source = LogisticRegression(max_iter=1000).fit(images[labels < 5] / 16, labels[labels < 5])
    probs = source.predict_proba(images / 16).astype(np.float32)

    with tempfile.TemporaryDirectory() as folder:
        # A memory-mapped array is read from its file in each of LEEP's two passes, and is never in memory as a whole.
        np.save(Path(folder) / "probs.npy", probs)
        batches = lj.Batches(np.load(Path(folder) / "probs.npy", mmap_mode="r"), labels, batch_size=256)
        checkpoint = Path(folder) / "leep.checkpoint"  # after a kill, the same call resumes from it
        print(f"LEEP     streamed {lj.leep(batches, num_classes=NUM_CLASSES, checkpoint=checkpoint):.4f}")
    print(f"         at once  {lj.leep(probs, labels):.4f}")

    # Measures of features need one pass; the sums of workers are merged, and batches may come from any loader.
    def loader(rows: slice):
        for start in range(rows.start, rows.stop, 256):
            batch = slice(start, min(start + 256, rows.stop))
            yield features[batch], labels[batch]

    empty = lj.Moments.init(NUM_CLASSES, NUM_FEATURES)
    workers = [lj.accumulate(empty, lambda rows=rows: loader(rows)) for rows in (slice(0, 900), slice(900, 1797))]
    print(f"H-score  streamed {h_score_from_moments(workers[0].merge(workers[1])):.4f}")
    print(f"         at once  {lj.h_score(features, labels):.4f}")


if __name__ == "__main__":
    main()
