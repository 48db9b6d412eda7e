"""What does each measure cost in time and memory, compared with the published algorithm?

python benchmarks --size full measures

Every row of `leepjax.MEASURES` is timed on one set of features and probabilities; `small` times only those with a
published algorithm, because the tests compare all of them with their oracles. The published algorithms get the same
float32 arrays (`as_published.py`); if their score differs from ours, the results contain the difference.
"""

import functools
import os
import time

os.environ.setdefault("OPENBLAS_THREAD_TIMEOUT", "4")  # as in moments.py

import as_published
import jax
import jax.numpy as jnp
import numpy as np
from cases import ORACLES, Problem
from measuring import quartiles, report, size, timings
from problems import features_of, probs_of

import leepjax as lj

# n examples, d features, z source and c target classes; only the first is compared with the oracles, which are slow.
CHECKED = (60, 8, 6, 3)
SHAPES = {"small": CHECKED, "full": (5_000, 512, 1000, 10)}
REPEATS = {"small": 1, "full": 5}


def problem(n: int, d: int, z: int, c: int) -> Problem:
    (features, labels), (probs, _) = features_of(n, d, c), probs_of(n, z, c)
    return Problem(features, probs, labels, None, c)


Shape = tuple[int, int, int, int]


@functools.cache
def compiled(name: str, shape: Shape) -> tuple[jax.stages.Compiled, float]:
    """The measure of that shape, and the seconds that compiling took."""
    p = problem(*shape)

    def scored(features, probs, labels):
        return lj.MEASURES[name].score(features, probs, labels, num_classes=p.num_classes)

    started = time.perf_counter()
    program = jax.jit(scored).lower(*p[:3]).compile()
    return program, time.perf_counter() - started


def assert_right(name: str) -> None:
    p = problem(*CHECKED)
    expected = ORACLES[name](p._replace(features=p.features.astype(float), probs=p.probs.astype(float)))
    np.testing.assert_allclose(compiled(name, CHECKED)[0](*p[:3]), expected, rtol=1e-4, atol=1e-5, err_msg=name)


def compare(name: str, shape: Shape, repeats: int) -> None:
    p, (program, seconds_compiling) = problem(*shape), compiled(name, shape)
    on_device = tuple(map(jnp.asarray, p[:3]))
    run = {"ours": lambda: program(*on_device)}
    if published := getattr(as_published, name, None):
        read = p.features if lj.MEASURES[name].reads == "features" else p.probs
        run["published"] = lambda: published(read, p.labels, p.num_classes)
    seconds = timings(run, repeats)
    scores = {which: float(f"{float(function()):.6g}") for which, function in run.items()}
    report(
        benchmark="measures",
        measure=name,
        **dict(zip("ndzc", shape, strict=True)),
        seconds={which: quartiles(values) for which, values in seconds.items()},
        speedup=quartiles(seconds["published"] / seconds["ours"]) if published else None,
        seconds_compiling=round(seconds_compiling, 2),
        bytes_beside_the_evidence=program.memory_analysis().temp_size_in_bytes,
        scores=scores,
    )


def main() -> None:
    chosen = size()
    for name in lj.MEASURES:
        if chosen == "small" and not hasattr(as_published, name):
            continue
        assert_right(name)
        compare(name, SHAPES[chosen], REPEATS[chosen])


if __name__ == "__main__":
    main()
