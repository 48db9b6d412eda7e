"""How long until the first score: imports, tracing and compilation, by shape and by measure?

python benchmarks --size full compile_time
"""

import json
import time
from collections.abc import Callable
from tempfile import TemporaryDirectory

import jax
import numpy as np
from measuring import child_arguments, in_fresh_process, quartiles, report, size

SHAPES = {
    "small": [(1_000, 50, 10)],
    "full": [
        *((n, 1000, 100) for n in (1_000, 10_000, 50_000, 200_000, 1_280_000)),
        *((50_000, 1000, c) for c in (10, 1000)),
        (5_000, 10_000, 100),
    ],
}
REPEATS = {"small": 1, "full": 7}
FIRST_CALL = {"small": (1_000, 50, 10), "full": (10_000, 1000, 100)}


def seconds_of_compiling(function: Callable, shapes: tuple[jax.ShapeDtypeStruct, ...], repeats: int) -> dict:
    """Quartiles of tracing with lowering, and of compiling, each time without caches."""
    seconds = np.empty((repeats, 2))
    for repeat in range(repeats):
        jax.clear_caches()
        started = time.perf_counter()
        lowered = jax.jit(function).lower(*shapes)
        traced = time.perf_counter()
        lowered.compile()
        seconds[repeat] = traced - started, time.perf_counter() - traced
    return {"trace_seconds": quartiles(seconds[:, 0]), "compile_seconds": quartiles(seconds[:, 1])}


def child(spawned: str, *shape: str) -> None:
    """Print the seconds that a user waits for each step, in a fresh process."""
    import leepjax as lj

    score = lj.leep
    ready = time.time()
    from problems import probs_of, reference

    n, z, c = map(int, shape)
    probs, labels = probs_of(n, z, c)
    found: dict[str, float] = {"import_seconds": ready - float(spawned)}
    for call in ("first_call_seconds", "second_call_seconds"):
        started = time.perf_counter()
        score(probs, labels).block_until_ready()
        found[call] = time.perf_counter() - started
    few, own = probs[:500], labels[:500]
    np.testing.assert_allclose(score(few, own, num_classes=c), reference.leep(few, own, c), rtol=1e-5)
    print(json.dumps(found))


def start(chosen: str) -> None:
    """Time the first call in a fresh process without a compilation cache (full size only) and with a filled one."""
    shape = FIRST_CALL[chosen]
    with TemporaryDirectory() as directory:
        cached = {"JAX_COMPILATION_CACHE_DIR": directory, "JAX_PERSISTENT_CACHE_MIN_COMPILE_TIME_SECS": "0"}
        in_fresh_process(__file__, str(time.time()), *map(str, shape), **cached)
        cases = {"no cache": {"JAX_COMPILATION_CACHE_DIR": ""}} if chosen == "full" else {}
        for name, environment in (cases | {"cache": cached}).items():
            runs = [
                in_fresh_process(__file__, str(time.time()), *map(str, shape), **environment)
                for _ in range(1 if chosen == "small" else 5)
            ]
            seconds = {field: quartiles(np.array([run[field] for run in runs])) for field in runs[0]}
            report(benchmark="compile_first_call", **dict(zip("nzc", shape, strict=True)), compilation=name, **seconds)


def main() -> None:
    from problems import assert_leep_is_right, leep_of

    import leepjax as lj

    chosen = size()
    assert_leep_is_right()
    jax.config.update("jax_enable_compilation_cache", False)
    for n, z, c in SHAPES[chosen]:
        shapes = jax.ShapeDtypeStruct((n, z), np.float32), jax.ShapeDtypeStruct((n,), np.int32)
        found = seconds_of_compiling(leep_of(c), shapes, REPEATS[chosen])
        report(benchmark="compile_leep", n=n, z=z, c=c, **found)

    n, z, c = SHAPES[chosen][1 if chosen == "full" else 0]
    evidence = {
        "probs": jax.ShapeDtypeStruct((n, z), np.float32),
        "features": jax.ShapeDtypeStruct((n, z), np.float32),
        "source_labels": jax.ShapeDtypeStruct((n,), np.int32),
    }
    for measure in list(lj.MEASURES.values())[: 1 if chosen == "small" else None]:

        def score(evidence, labels, measure=measure):
            sources = {"num_source_classes": z} if measure.reads == "source_labels" else {}
            return measure.function(evidence, labels, num_classes=c, **sources)

        shapes = evidence[measure.reads], jax.ShapeDtypeStruct((n,), np.int32)
        found = seconds_of_compiling(score, shapes, REPEATS[chosen])
        report(benchmark="compile_measure", measure=measure.name, n=n, z=z, c=c, **found)
    start(chosen)


if __name__ == "__main__":
    child(*arguments) if (arguments := child_arguments()) else main()
