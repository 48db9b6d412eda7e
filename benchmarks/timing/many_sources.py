"""What would 1,000 sources on 100 targets cost, estimated from unit costs that are measured here?

python benchmarks --size full many_sources

Measured, in processor seconds of one core, which don't depend on other programs: 1e9 operations of a pass, decoding a
photograph, compiling a network, a head per n · d · c, and measures per d² (n + 10 d). Measured of Ray: the seconds to
start it and to run a unit without work, and the bytes per second through its object store.
Modelled, for workers of one core each: a source on a target takes

    images · (decoding + operations · seconds per operation) + heads · n d c + measures · d² (n + 10 d) + overhead,

and its worker compiles it once for all targets. A race has a budget of a share of all passes (`LOOKS`), takes up to
`STAGES` units for each source, and trains heads of a few `LEADERS`.
"""

import time
from collections.abc import Callable
from typing import Any

import jax
import numpy as np
import ray
from extraction import photographs
from measuring import report, size

import leepjax as lj
from leepjax.data.preprocessing import Preprocessing
from leepjax.engines.opening import close_engine, open_engine
from leepjax.engines.ray_start import start_ray
from leepjax.engines.units import Unit, no_progress
from leepjax.extraction.cost import measure_cost
from leepjax.models.architectures import build
from leepjax.models.as_source import as_source
from leepjax.transfer.head import retrain_head

# Architecture, pixels, images in a batch.
PASSES = {
    "small": [("resnet20", 32, 16)],
    "full": [("resnet20", 32, 256), ("resnet18", 224, 16), ("resnet50", 224, 16)],
}
# n, d, c of heads and of measures.
HEADS = {
    "small": [(100, 16, 5)],
    "full": [(2_000, 512, 10), (2_000, 2_048, 10), (5_000, 512, 100)],
}
UNITS = {"small": 4, "full": 200}
MEASURED = ("logme", "h_score")

# What is modelled. Operations and parameters in 1e9 and 1e6 per image and network; d the width of its features.
SOURCES = [
    {"what": "small", "count": 400, "operations": 0.6, "parameters": 5, "d": 1_280},
    {"what": "middle", "count": 400, "operations": 8.2, "parameters": 25, "d": 2_048},
    {"what": "large", "count": 200, "operations": 35.0, "parameters": 86, "d": 768},
]
TARGETS = [
    {"what": "small", "count": 50, "n": 2_000, "c": 10},
    {"what": "middle", "count": 40, "n": 20_000, "c": 100},
    {"what": "large", "count": 10, "n": 100_000, "c": 1_000},
]
LOOKS = 0.25
"""The budget of the races, as a share of all passes; `benchmarks/decisions` measures what a choice by it loses."""
STAGES = 6
"""Units of a race that a source takes part in, on average at most: each doubles the images."""
LEADERS = 3
"""Sources of a race that can't be distinguished at its end, each of which gets heads."""
CROSS_FITTED = 11
"""Heads of a target with fewer than 5,000 examples: one for the answer, and five folds twice."""
LOGITS = 1_000
WORKERS = (2, 16, 64, 256)
ACCELERATOR = 20e12
"""An assumption, not measured: operations per second of float32 networks on one data-centre GPU; the rest as here."""


def of_core(compute: Callable[[], Any], repeats: int = 3) -> float:
    """Processor seconds of a function: the least of several calls after a first one."""
    jax.block_until_ready(compute())
    seconds = []
    for _ in range(repeats):
        started = time.process_time()
        jax.block_until_ready(compute())
        seconds.append(time.process_time() - started)
    return min(seconds)


def of_passes(architecture: str, pixels: int, batch_size: int) -> dict[str, float]:
    """Seconds of a core per operation of a pass, and until the first batch is there: compiling."""
    network = build(architecture, 1_000)
    network.eval()
    source = as_source(network, name=architecture, preprocessing=Preprocessing(image_size=pixels))
    images = np.zeros((batch_size, pixels, pixels, 3), np.uint8)
    started = time.process_time()
    jax.block_until_ready(source(images))
    compiling = time.process_time() - started
    per_image = of_core(lambda: source(images)) / batch_size
    operations = measure_cost(source, batch_size).flops_per_image / 1e9
    report(
        benchmark="many_sources",
        what="pass",
        architecture=architecture,
        pixels=pixels,
        operations_per_image_1e9=round(operations, 3),
        core_seconds_per_image=float(f"{per_image:.4g}"),
        core_seconds_per_1e9=float(f"{per_image / operations:.4g}"),
        core_seconds_compiling=round(compiling, 2),
    )
    return {"per_operation": per_image / operations / 1e9, "compiling": compiling}


def of_decoding(count: int) -> float:
    """Seconds to decode and resize one photograph of 500 × 375 pixels, by one thread."""
    target, prepare = photographs(count, 500, 375), Preprocessing(image_size=224, crop=0.875)
    return of_core(lambda: target.images(range(count), prepare)) / count


def of_heads(n: int, d: int, c: int) -> tuple[float, float]:
    """Seconds of one head per n · d · c, its L2 chosen by cross-validation, and of the measures: Gram and eigh."""
    rng = np.random.default_rng(0)
    labels = np.arange(n) % c
    features = (rng.normal(size=(n, d)) + rng.normal(size=(c, d))[labels] / 2).astype(np.float32)
    head = of_core(lambda: retrain_head(features, labels, c).head.kernel, 1)
    measures = of_core(lambda: [getattr(lj, name)(features, labels) for name in MEASURED])
    report(benchmark="many_sources", what="head", n=n, d=d, c=c, core_seconds_head=head, core_seconds_measures=measures)
    return head / (n * d * c), measures / (d**2 * (n + 10 * d))


class Nothing(Unit):
    """A unit without work."""

    name = "nothing"
    shared = ()

    def arguments(self) -> tuple[()]:
        return ()


def nothing(on_progress):
    yield None


def of_ray(units: int) -> dict[str, float]:
    """Seconds to start Ray, workers, and a unit; bytes per second into a worker."""
    started = time.perf_counter()
    here = start_ray("benchmark", ray, 2)
    starting = time.perf_counter() - started
    engine = open_engine("benchmark", "ray", gpus_per_task=0)
    try:
        times = []
        for count in (2, units):  # the first run starts the workers
            started = time.perf_counter()
            assert len(list(engine(nothing, [Nothing() for _ in range(count)], no_progress))) == count
            times.append(time.perf_counter() - started)
        weights = np.ones(25_000_000, np.float32)
        started = time.perf_counter()
        ray.get(ray.put(weights)).sum()
        store = weights.nbytes / (time.perf_counter() - started)
    finally:
        close_engine(engine)
        if here:
            ray.shutdown()
    return {"starting": starting, "worker": times[0], "unit": times[1] / units, "store": store}


def model(costs: dict[str, float], per_operation: float, device: str) -> None:
    """Hours of one worker for everything, by what they are spent on, and of several workers."""
    hours = dict.fromkeys(("passes", "decoding", "heads", "measures", "compiling", "overhead"), 0.0)
    tables = weights = 0.0
    for source in SOURCES:
        hours["compiling"] += source["count"] * costs["compiling"] / 3600
        weights += source["count"] * source["parameters"] * 4e6
        for target in TARGETS:
            pairs, n, d, c = source["count"] * target["count"], target["n"], source["d"], target["c"]
            fits = CROSS_FITTED if n < 5_000 else 1
            hours["passes"] += pairs * n * source["operations"] * 1e9 * per_operation / 3600
            hours["decoding"] += pairs * n * costs["decoding"] / 3600
            hours["heads"] += pairs * fits * n * d * c * costs["head"] / 3600
            hours["measures"] += pairs * d**2 * (n + 10 * d) * costs["measures"] / 3600
            hours["overhead"] += pairs * costs["unit"] / 3600
            tables += pairs * n * (d + LOGITS) * 4
    race = LOOKS * (hours["passes"] + hours["decoding"]) + hours["compiling"] + hours["overhead"] * STAGES
    race += hours["heads"] * LEADERS / sum(each["count"] for each in SOURCES)
    ranking = sum(hours.values())
    report(
        benchmark="many_sources",
        what="model",
        passes_on=device,
        units=sum(each["count"] for each in SOURCES) * sum(each["count"] for each in TARGETS),
        worker_hours={name: float(f"{value:.3g}") for name, value in hours.items()},
        worker_hours_of_all=round(ranking),
        worker_hours_of_races=round(race),
        days_by_workers={str(count): float(f"{ranking / count / 24:.3g}") for count in WORKERS},
        days_of_races_by_workers={str(count): float(f"{race / count / 24:.3g}") for count in WORKERS},
        terabytes_of_tables=round(tables / 1e12, 2),
        terabytes_of_weights=round(weights / 1e12, 3),
    )


def main() -> None:
    chosen = size()
    passes = [of_passes(*each) for each in PASSES[chosen]]
    heads = [of_heads(*each) for each in HEADS[chosen]]
    costs = {
        "compiling": float(np.mean([each["compiling"] for each in passes])),
        "decoding": of_decoding(16 if chosen == "small" else 200),
        "head": float(np.median([head for head, _ in heads])),
        "measures": float(np.median([measures for _, measures in heads])),
        **of_ray(UNITS[chosen]),
    }
    rounded = {f"seconds_{name}": float(f"{value:.3g}") for name, value in costs.items() if name != "store"}
    report(benchmark="many_sources", what="unit costs", **rounded, store_bytes_per_second=round(costs["store"]))
    # The largest networks have most of the operations.
    model(costs, passes[-1]["per_operation"], "one core, as measured")
    model(costs, 1 / ACCELERATOR, "an assumed accelerator; the rest on one core, as measured")


if __name__ == "__main__":
    main()
