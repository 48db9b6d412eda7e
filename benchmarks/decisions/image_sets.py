"""The images of the benchmark of decisions: small sets of four origins, half for tasks and half for the truth.

python benchmarks/decisions/image_sets.py FOLDER

writes FOLDER/images/NAME.npz with `images` uint8 [n h w 3], `labels` [n] and `truth` [n] (held out of every task).
No image of CIFAR-10 or Fashion-MNIST stands in the training part of a source: both are test sets, divided again.
"""

import gzip
import os
import sys
from pathlib import Path

import numpy as np

SEED = 17
FASHION = Path(os.environ.get("FASHION_MNIST", "/usr/share/datasets/fashion-mnist"))


def divided(images, labels, per_class: int, truth_per_class: int, seed: int = SEED) -> dict[str, np.ndarray]:
    """A part of a set: at most so many images of each class for tasks, and so many others for the truth."""
    rng = np.random.default_rng(seed)
    rows, truth = [], []
    for label in np.unique(labels):
        mine = rng.permutation(np.flatnonzero(labels == label))
        held = mine[:truth_per_class]
        taken = mine[truth_per_class : truth_per_class + per_class]
        rows += [held, taken]
        truth += [np.ones(len(held), bool), np.zeros(len(taken), bool)]
    rows = np.concatenate(rows)
    return {"images": images[rows], "labels": labels[rows].astype(np.int32), "truth": np.concatenate(truth)}


def cifar100(pack, start: int, stop: int, truth_per_class: int) -> dict[str, np.ndarray]:
    """Training images `start` to `stop` of each class, by a seeded order, and test images for the truth."""
    train, test = pack.load_images("cifar100_train"), pack.load_images("cifar100_test")
    parts = [divided(train["images"], train["labels"], stop, 0), divided(test["images"], test["labels"], 0, truth_per_class)]
    # `divided` keeps classes together, so that a class's images `start` to `stop` are a slice.
    kept = np.concatenate([np.flatnonzero(parts[0]["labels"] == label)[start:stop] for label in range(100)])
    parts[0] = {name: array[kept] for name, array in parts[0].items()}
    return {name: np.concatenate([part[name] for part in parts]) for name in parts[0]}


def fashion_mnist() -> tuple[np.ndarray, np.ndarray]:
    """The 10,000 test images, grey as RGB, and their labels."""
    images = gzip.decompress((FASHION / "t10k-images-idx3-ubyte.gz").read_bytes())
    labels = gzip.decompress((FASHION / "t10k-labels-idx1-ubyte.gz").read_bytes())
    grey = np.frombuffer(images, np.uint8, offset=16).reshape(-1, 28, 28, 1)
    return np.repeat(grey, 3, axis=3), np.frombuffer(labels, np.uint8, offset=8)


def digits() -> tuple[np.ndarray, np.ndarray]:
    """scikit-learn's 1,797 digits of 8 × 8 pixels, grey as RGB, and their labels."""
    from sklearn.datasets import load_digits

    found = load_digits()
    grey = np.round(found.images * (255 / 16)).astype(np.uint8)[..., None]
    return np.repeat(grey, 3, axis=3), found.target


def main(folder: Path) -> None:
    from shared_sources import DATA, load_pack

    sets = {"digits": lambda: divided(*digits(), 100, 80)}
    if DATA.is_dir():
        pack = load_pack()
        test = pack.load_images("cifar10_test")
        sets["cifar100"] = lambda: cifar100(pack, 0, 100, 50)
        sets["cifar10"] = lambda: divided(test["images"], test["labels"], 300, 500)
        sets["cifar100_more"] = lambda: cifar100(pack, 100, 200, 0)
    if FASHION.is_dir():
        sets["fashion_mnist"] = lambda: divided(*fashion_mnist(), 300, 500)
    (folder / "images").mkdir(parents=True, exist_ok=True)
    for name, make in sets.items():
        np.savez(folder / "images" / name, **make())


if __name__ == "__main__":
    here = Path(__file__).resolve().parents[2]
    sys.path[:0] = [str(here / "tests"), str(here / "tests" / "making")]
    main(Path(sys.argv[1]))
