"""What do the measures of features cost, relative to one Gram matrix and one eigendecomposition?

python benchmarks --size full moments
"""

import os
import time
from functools import partial

# OpenBLAS keeps its threads spinning for 26 ms after a decomposition, which would be charged to the next program.
os.environ.setdefault("OPENBLAS_THREAD_TIMEOUT", "4")

import jax
import jax.numpy as jnp
import numpy as np
import reference
from measuring import quartiles, report, size, timings

import leepjax as lj
from leepjax.measures import MEASURES, scores_from_moments

# n examples, d features, c classes.
SHAPES = {
    "small": [(200, 16, 5)],
    "full": [(10_000, 512, 10), (10_000, 512, 100), (50_000, 512, 100), (10_000, 2048, 100)],
}
REPEATS = {"small": 2, "full": 7}
# Examples that the oracles see: their decompositions of [n d] in float64 take minutes otherwise. The small size checks
# all that it times, by the same programs.
CHECKED = {"small": 200, "full": 4_000}

NAMES = [name for name, row in MEASURES.items() if row.from_moments is not None]


def gram_and_eigh(features: jax.Array) -> tuple[jax.Array, jax.Array]:
    values, vectors = jnp.linalg.eigh(jnp.matmul(features.T, features, precision=jax.lax.Precision.HIGHEST))
    return values, vectors


def shared(features: jax.Array, labels: jax.Array, num_classes: int) -> dict[str, jax.Array]:
    return scores_from_moments(lj.Moments.of(features, labels, num_classes))


def check(features: np.ndarray, labels: np.ndarray, num_classes: int) -> None:
    few = CHECKED[size()]
    features, labels = features[:few], labels[:few]
    on_device = jnp.asarray(features), jnp.asarray(labels)
    scores = shared(*on_device, num_classes)
    for name in NAMES:
        truth = getattr(reference, name)(features.astype(np.float64), labels)
        alone = MEASURES[name].function(*on_device, num_classes=num_classes)
        # Noise is shrunk by α = 0.995 at d = 2048 and c = 100: float32's 1e-7 of α is 2e-5 of the 1 − α that is left.
        rtol = 5e-5 if name == "shrunk_h_score" else 1e-5
        np.testing.assert_allclose((alone, scores[name]), truth, rtol=rtol, atol=1e-6)
    source_labels = labels[::-1]
    truth = reference.nce(source_labels, labels, num_classes, num_classes)
    np.testing.assert_allclose(lj.nce(source_labels, labels), truth, rtol=1e-5)


def compare(n: int, d: int, c: int, repeats: int) -> None:
    rng = np.random.default_rng(0)
    labels = rng.integers(0, c, n)
    features = np.maximum(rng.normal(0.5, 1, (n, d)) + 0.1 * rng.normal(size=(c, d))[labels], 0).astype(np.float32)
    check(features, labels, c)

    x, y = jnp.asarray(features), jnp.asarray(labels)
    programs = {name: partial(MEASURES[name].function, num_classes=c) for name in NAMES}
    programs |= {"all_three": partial(shared, num_classes=c), "gram_and_eigh": lambda x, _: gram_and_eigh(x)}
    compiled, compiling = {}, {}
    for name, program in programs.items():
        started = time.perf_counter()
        compiled[name] = jax.jit(program).lower(x, y).compile()
        compiling[name] = round(time.perf_counter() - started, 3)

    seconds = timings(
        {name: partial(program, x, y) for name, program in compiled.items()}
        | {f"{name}_with_checks": partial(MEASURES[name].function, x, y, num_classes=c) for name in NAMES}
        | {"nce_with_checks": partial(lj.nce, y, y, num_source_classes=c, num_classes=c)},
        repeats,
    )
    rival = seconds["gram_and_eigh"]
    report(
        benchmark="moments",
        n=n,
        d=d,
        c=c,
        compile_seconds=compiling,
        temporary_mib={k: round(p.memory_analysis().temp_size_in_bytes / 2**20, 1) for k, p in compiled.items()},
        seconds={name: quartiles(values) for name, values in seconds.items()},
        over_gram_and_eigh={name: quartiles(values / rival) for name, values in seconds.items() if values is not rival},
    )


def main() -> None:
    chosen = size()
    for shape in SHAPES[chosen]:
        compare(*shape, REPEATS[chosen])


if __name__ == "__main__":
    main()
