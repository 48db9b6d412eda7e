"""How much memory does a ranking take, by the number and the format of the images?

python benchmarks --size full rank_memory

The images are a thousand of those of `folder.py`: half JPEGs of 64 pixels and half PNGs of 32, in five classes, each
repeated as often as needed under other names. A process of its own ranks one source for them, with an empty cache and
otherwise the defaults. Its peak is Linux's VmHWM, which includes its libraries and the pages of files that it maps. The
source is a function of pixels with 64 features and ten classes; a network would add its weights and the activations of
64 images. `small` ranks only the folder.
"""

import json
import os
import tempfile
import time
from collections.abc import Callable
from pathlib import Path

import jax
import numpy as np
from folder import write_images
from measuring import child_arguments, in_fresh_process, report, resident, size
from PIL import Image

import leepjax as lj
from leepjax.data.preprocessing import Preprocessing

IMAGES = {"small": [60], "full": [10_000, 100_000]}
DIFFERENT = 1_000
OPTIONS = {"small": {"measures": ["leep", "h_score"], "resamples": 10, "verify": "none"}, "full": {}}


def child(chosen: str, target: str, cache: str) -> None:
    """Print the memory of a ranking in this process, its wall time, and the processor time of all threads."""
    started = time.perf_counter()
    weights = np.random.default_rng(0).standard_normal((64, 10), np.float32) / 8
    source = lj.as_source(
        _few_pixels, weights, name="few pixels", num_classes=10, preprocessing=Preprocessing(image_size=32)
    )
    ranking = lj.rank(target, [source], cache=cache, **OPTIONS[chosen])
    assert not ranking.failures
    times = os.times()
    used = {"peak_bytes": resident("VmHWM"), "processor_seconds": times.user + times.system}
    print(json.dumps(used | {"seconds": time.perf_counter() - started}))


def _few_pixels(weights: jax.Array, images: jax.Array) -> tuple[jax.Array, jax.Array]:
    features = images.reshape(len(images), 8, 4, 8, 4, 3).mean(axis=(2, 4, 5)).reshape(len(images), 64)
    return features, features @ weights


def write_repeated(folder: Path, count: int) -> None:
    """Write this number of images; repeated ones are links to the same file."""
    write_images(folder, min(count, DIFFERENT))
    for file in sorted(folder.glob("*/*")):
        for copy in range(1, count // DIFFERENT):
            os.link(file, file.with_name(f"{file.stem}-{copy:03}{file.suffix}"))


def of_folder(folder: Path) -> Path:
    return folder


def of_parquet(folder: Path) -> Path:
    """The same files as the rows of a Parquet file, a thousand in a row group."""
    import pyarrow as pa
    import pyarrow.parquet as pq

    files = sorted(folder.glob("*/*"))
    schema = pa.schema({"image": pa.binary(), "label": pa.string()})
    path = folder.with_suffix(".parquet")
    with pq.ParquetWriter(path, schema) as writer:
        for start in range(0, len(files), 1000):
            part = files[start : start + 1000]
            rows = {"image": [file.read_bytes() for file in part], "label": [file.parent.name for file in part]}
            writer.write_table(pa.table(rows, schema))
    return path


def of_npz(folder: Path) -> Path:
    """Their pixels, at 32 × 32, as an ``.npz``, which is read as a whole."""
    files = sorted(folder.glob("*/*"))
    names = sorted({file.parent.name for file in files})
    images = np.empty((len(files), 32, 32, 3), np.uint8)
    for image, file in zip(images, files, strict=True):
        image[:] = Image.open(file).convert("RGB").resize((32, 32))
    path = folder.with_suffix(".npz")
    np.savez(path, images=images, labels=np.array([names.index(file.parent.name) for file in files]))
    return path


FORMS: dict[str, Callable[[Path], Path]] = {"folder": of_folder, "parquet": of_parquet, "npz": of_npz}


def main() -> None:
    chosen = size()
    for count in IMAGES[chosen]:
        with tempfile.TemporaryDirectory() as directory:
            folder = Path(directory, "images")
            folder.mkdir()
            write_repeated(folder, count)
            for form, written in FORMS.items():
                target = str(written(folder))
                assert len(lj.read_target(target)) == count
                if chosen == "small" and form != "folder":
                    continue
                with tempfile.TemporaryDirectory() as cache:
                    used = in_fresh_process(__file__, chosen, target, cache)
                report(benchmark="rank_memory", images=count, form=form, **used)


if __name__ == "__main__":
    child(*arguments) if (arguments := child_arguments()) else main()
