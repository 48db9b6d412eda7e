"""How many images per second does a folder of small images pass through each stage of a ranking, and what bounds it?

Half of the images are JPEGs of 64 pixels, half PNGs of 32, of five classes. The stages are timed in the order in which
`leepjax rank` and `leepjax extract` go through them, once in each of several processes that do nothing else.

    python benchmarks folder [--size small]
"""

import json
import os
import resource
import subprocess
import sys
import tempfile
import time
from collections import deque
from collections.abc import Callable, Iterable
from pathlib import Path
from typing import Any

import jax
import numpy as np
from measuring import quartiles, report, size
from PIL import Image

from leepjax.data.folder import read_parts
from leepjax.data.readable import readable
from leepjax.data.readers import list_target
from leepjax.extraction.extract import extract
from leepjax.models.opening import load_source
from leepjax.opening.target import open_target

IMAGES = {"small": 500, "full": 20_000}
REPEATS = {"small": 1, "full": 5}
LIMIT = 20


def write_images(folder: Path, count: int) -> None:
    """Images with colours, shades and edges, which take as long to decode as photographs of their size."""
    rng = np.random.default_rng(0)
    for i in range(count):
        coarse = Image.fromarray(rng.integers(0, 256, (8, 8, 3), np.uint8))
        side, suffix = (64, "jpg") if i % 2 else (32, "png")
        path = folder / f"class {i % 5}" / f"{i:05}.{suffix}"
        path.parent.mkdir(exist_ok=True)
        coarse.resize((side, side), Image.Resampling.BICUBIC).save(path, quality=90)


def measure(folder: str) -> dict[str, Any]:
    """By stage, the seconds that it takes in this process, and the most memory in MB that was in use until its end."""
    seconds: dict[str, float] = {}
    peak_mb: dict[str, float] = {}

    def timed(stage: str, work: Callable[[], Any]) -> Any:
        started = time.perf_counter()
        done = work()
        seconds[stage] = time.perf_counter() - started
        peak_mb[stage] = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024
        return done

    source = load_source("cifar10")
    prepare = source.card.pixels
    timed("list", lambda: read_parts(Path(folder), None, strict=False))
    listed = list_target(folder, None, False, None, None)
    timed("digest", listed.with_contents)
    timed("check", lambda: readable(listed))
    timed("decode", lambda: _go_through(listed.read(i) for i in range(len(listed))))
    images = [listed.read(i) for i in range(256)]
    timed("resize", lambda: _go_through(prepare.on_host(images[i % 256]) for i in range(len(listed))))
    batch = np.stack([prepare.on_host(image) for image in images])
    jax.block_until_ready(source(batch))
    timed("forward pass", lambda: _go_through(np.asarray(source(batch)[0]) for _ in range(0, len(listed), 256)))
    target = timed("open", lambda: open_target("folder", folder, None, 0, False))
    drawn = timed("open a limited draw", lambda: open_target("folder", folder, LIMIT, 0, False))
    assert len(target) == len(listed)
    assert len(drawn) == LIMIT
    with tempfile.TemporaryDirectory() as cache:
        table = timed("extract", lambda: extract(source, target, cache=Path(cache)))
        again = timed("read the table", lambda: extract(source, target, cache=Path(cache)))
    np.testing.assert_array_equal(again.logits, table.logits)
    np.testing.assert_allclose(table.logits[:256], source(batch).logits, rtol=1e-3, atol=1e-3)
    return {"seconds": seconds, "peak_mb": peak_mb}


def _go_through(results: Iterable[Any]) -> None:
    deque(results, maxlen=0)


def alone(folder: str) -> dict[str, Any]:
    """`measure` in a process of its own."""
    command = [sys.executable, __file__, "--measure", folder]
    return json.loads(subprocess.run(command, stdout=subprocess.PIPE, check=True).stdout)


def main() -> None:
    chosen = size()
    count = IMAGES[chosen]
    with tempfile.TemporaryDirectory() as folder:
        write_images(Path(folder), count)
        runs = [measure(folder) if chosen == "small" else alone(folder) for _ in range(REPEATS[chosen])]
    for stage in runs[0]["seconds"]:
        seconds = np.array([run["seconds"][stage] for run in runs])
        report(
            benchmark="folder",
            images=count,
            stage=stage,
            seconds=quartiles(seconds),
            images_per_second=quartiles(count / seconds),
            peak_mb=quartiles(np.array([run["peak_mb"][stage] for run in runs])),
            load=os.getloadavg()[0],
        )


if __name__ == "__main__":
    if sys.argv[1:2] == ["--measure"]:
        print(json.dumps(measure(sys.argv[2])))
    else:
        main()
