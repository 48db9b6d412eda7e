"""Rank four existing embeddings of handwritten digits, stored as files, and train a head on the one to take."""

import tempfile
from pathlib import Path

import numpy as np
import safetensors.numpy
from sklearn.datasets import load_digits
from sklearn.decomposition import PCA

import leepjax as lj


def main() -> None:
    pixels, digits = load_digits(return_X_y=True)
    random = np.random.default_rng(0)
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        # Any model or library may have written such files; here they are projections of the pixels.
        images = pixels.reshape(-1, 8, 8)
        np.save(folder / "centre16.npy", images[:, 2:6, 2:6].reshape(-1, 16).astype(np.float32))
        np.save(folder / "pca16.npy", PCA(16, random_state=0).fit_transform(pixels).astype(np.float32))
        blurred = images.reshape(-1, 4, 2, 4, 2).mean(axis=(2, 4)).reshape(-1, 16)
        np.save(folder / "blurred16.npy", blurred.astype(np.float32))
        np.save(folder / "random16.npy", (pixels @ random.normal(size=(64, 16))).astype(np.float32))
        tables = [lj.as_table(path) for path in sorted(folder.glob("*.npy"))]

        ranking = lj.rank(digits, tables, measures=["logme", "h_score"], verify="ridge", resamples=50)
        print(ranking)

        choice = lj.choose(digits, tables, out=folder / "choice")
        print(choice)
        # The head that was trained on the embeddings of the best table: logits = features @ weight.T + bias.
        head = safetensors.numpy.load_file(str(choice.path))
        logits = np.load(folder / f"{choice.source}.npy") @ head["weight"].T + head["bias"]
        print(f"accuracy on the digits that it was trained on: {(logits.argmax(axis=1) == digits).mean():.3f}")


if __name__ == "__main__":
    main()
