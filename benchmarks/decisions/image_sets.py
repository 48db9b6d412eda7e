"""The images of the benchmark of decisions, of four origins: FOLDER/images/NAME.npz, uint8 [n h w 3] and labels [n].

No image of CIFAR-10 or Fashion-MNIST stands in the training part of a source: both are test sets.
"""

import gzip
import os
from pathlib import Path

import numpy as np

SEED = 17
FASHION = Path(os.environ.get("FASHION_MNIST", "/usr/share/datasets/fashion-mnist"))


def drawn(images, labels, per_class: int, seed: int = SEED) -> dict[str, np.ndarray]:
    """At most this many images of each class, by a seeded order."""
    rng = np.random.default_rng(seed)
    rows = np.concatenate([rng.permutation(np.flatnonzero(labels == label))[:per_class] for label in np.unique(labels)])
    return {"images": images[rows], "labels": labels[rows].astype(np.int32)}


def cifar100(pack) -> dict[str, np.ndarray]:
    """100 training images of each class and 50 test images: no source has been trained on either."""
    train, test = pack.load_images("cifar100_train"), pack.load_images("cifar100_test")
    parts = [drawn(train["images"], train["labels"], 100), drawn(test["images"], test["labels"], 50)]
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

    (folder / "images").mkdir(parents=True, exist_ok=True)
    sets = {"digits": drawn(*digits(), 180)}
    if DATA.is_dir():
        pack = load_pack()
        test = pack.load_images("cifar10_test")
        classes = pack.load_images("cifar100_test")["classes"]
        sets |= {"cifar100": cifar100(pack), "cifar10": drawn(test["images"], test["labels"], 800)}
        np.save(folder / "images" / "superclasses.npy", pack.cifar100_coarse(np.arange(100), classes)[0])
    if FASHION.is_dir():
        sets["fashion_mnist"] = drawn(*fashion_mnist(), 800)
    for name, arrays in sets.items():
        np.savez(folder / "images" / name, **arrays)
