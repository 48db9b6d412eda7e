"""Features and logits of the sources that leepjax ships, in the form in which `torch_tables.py` stores the real ones.

PYTHONPATH=benchmarks:tests/making python -m decisions.shipped_tables FOLDER
"""

import time
from pathlib import Path

import jax
import numpy as np

from leepjax.models.opening import load_source
from leepjax.models.source import Source

SHIPPED = ("random", "fashion-mnist", "cifar10", "cifar10-animals", "cifar10-vehicles")
BATCH = 250


def table(source: Source, images: np.ndarray) -> dict[str, np.ndarray]:
    """Features [n d] and logits [n z] of uint8 images [n h w 3], and seconds per image."""
    preprocessing = source.card.pixels
    found, seconds = [], []
    for start in range(0, len(images), BATCH):
        batch = images[start : start + BATCH]
        whole = np.pad(batch, [(0, BATCH - len(batch)), (0, 0), (0, 0), (0, 0)])
        started = time.process_time()
        outputs = jax.block_until_ready(source(preprocessing.on_device(whole)))
        seconds.append((time.process_time() - started) / BATCH)
        found.append([np.asarray(array)[: len(batch)] for array in (outputs.features, outputs.logits)])
    features, logits = (np.concatenate(arrays) for arrays in zip(*found, strict=True))
    return {"features": features, "logits": logits, "seconds": np.float64(np.median(seconds))}


def main(folder: Path) -> None:
    for name in SHIPPED:
        source = load_source(name)
        for images in sorted((folder / "images").glob("*.npz")):
            path = folder / "tables" / images.stem / f"{name}.npz"
            if not path.exists():
                path.parent.mkdir(parents=True, exist_ok=True)
                found = table(source, np.load(images)["images"])
                temporary = path.with_suffix(".part.npz")
                np.savez(temporary, **found)
                temporary.rename(path)
                print(images.stem, name, found["features"].shape, f"{1 / found['seconds']:.0f} images/s", flush=True)
