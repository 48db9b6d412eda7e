"""How close is `leep` to the time that reading its input twice takes, by n, z, c and dtype?

python benchmarks --size full limit

XLA's CPU backend runs the loops of `leep` on one core of a device, and a read on all of them. So `limit_devices`
measures the same with each core as a device of its own, which holds a part of the rows.
"""

import json
import math
import os

import jax
import jax.numpy as jnp
from measuring import (
    all_quartiles,
    child_arguments,
    compiled,
    in_fresh_process,
    quartiles,
    report,
    size,
    timings,
)
from problems import assert_leep_is_right, leep_of, logits_of, probs_of

import leepjax as lj

CASES = {
    "small": {
        "probs": [(2_000, 50, 10, "float32"), (2_000, 50, 10, "bfloat16"), (2_000, 50, 10, "float64")],
        "logits": [(2_000, 50, 10)],
        "devices": [(2_000, 50, 10, "float32")],
    },
    "full": {
        "probs": [
            # By the number of target classes,
            *((50_000, 1000, c, "float32") for c in (10, 30, 100, 300, 1000, 3000)),
            # of examples,
            *((n, 1000, 100, "float32") for n in (1_000, 3_000, 10_000, 20_000, 200_000)),
            # of source classes, with as many numbers in all,
            *((50_000_000 // z, z, 100, "float32") for z in (10, 30, 100, 300, 3_000, 10_000)),
            # and by the type.
            *((50_000, 1000, 100, dtype) for dtype in ("float16", "bfloat16", "float64")),
        ],
        "logits": [(50_000, 1000, c) for c in (10, 100, 1000)],
        "devices": [
            *((50_000, 1000, c, "float32") for c in (10, 30, 100, 300, 1000)),
            (200_000, 1000, 100, "float32"),
            *((50_000_000 // z, z, 100, "float32") for z in (10, 30, 100, 10_000)),
            *((50_000, 1000, 100, dtype) for dtype in ("float16", "bfloat16", "float64")),
        ],
    },
}
REPEATS = {"small": 3, "full": 15}


def probs_case(n: int, z: int, c: int, dtype: str, repeats: int, devices: int = 1) -> None:
    probs, labels = probs_of(n, z, c)
    with jax.enable_x64(dtype == "float64"):
        evidence, labels = jnp.asarray(probs, dtype), jnp.asarray(labels)
        # One read is a plain sum; for 16-bit numbers, which XLA's CPU backend adds up slowly, a sum of as many bytes.
        same_bytes = jnp.asarray(probs[:, : z // 2]) if evidence.dtype.itemsize == 2 else evidence
        if devices > 1:
            (same_bytes, _, _), (evidence, labels, _) = (lj.shard_rows(rows, labels) for rows in (same_bytes, evidence))
        leep, read = compiled(leep_of(c), evidence, labels), compiled(jnp.sum, same_bytes)
        seconds = timings(
            {
                "read": lambda: read(same_bytes),
                "leep": lambda: leep(evidence, labels),
                "leep_with_checks": lambda: lj.leep(evidence, labels, num_classes=c),
            },
            repeats,
        )
    limit = 2 * seconds["read"]
    report(
        benchmark="limit" if devices == 1 else "limit_devices",
        devices=devices,
        n=n,
        z=z,
        c=c,
        dtype=dtype,
        seconds=all_quartiles(seconds),
        read_gigabytes_per_second=quartiles(same_bytes.nbytes / 1e9 / seconds["read"]),
        leep_over_limit=quartiles(seconds["leep"] / limit),
        leep_with_checks_over_limit=quartiles(seconds["leep_with_checks"] / limit),
    )


def logits_case(n: int, z: int, c: int, repeats: int) -> None:
    logits, labels = map(jnp.asarray, logits_of(n, z, c))
    leep, softmax = compiled(leep_of(c, from_logits=True), logits, labels), compiled(jax.nn.softmax, logits)
    seconds = timings(
        {
            "softmax": lambda: softmax(logits),
            "leep": lambda: leep(logits, labels),
            "leep_with_checks": lambda: lj.leep(logits, labels, num_classes=c, from_logits=True),
        },
        repeats,
    )
    report(
        benchmark="limit_logits",
        n=n,
        z=z,
        c=c,
        seconds=all_quartiles(seconds),
        leep_over_softmax=quartiles(seconds["leep"] / seconds["softmax"]),
        leep_with_checks_over_softmax=quartiles(seconds["leep_with_checks"] / seconds["softmax"]),
    )


def child(*case: str) -> None:
    """Measure one case with a device for each core, or for as many as divide the rows evenly."""
    *sizes, dtype, repeats = case
    n, z, c = map(int, sizes)
    devices = math.gcd(n, len(os.sched_getaffinity(0)))
    jax.config.update("jax_num_cpu_devices", devices)
    probs_case(n, z, c, dtype, int(repeats), devices)


def main() -> None:
    chosen = size()
    assert_leep_is_right()
    for case in CASES[chosen]["probs"]:
        probs_case(*case, REPEATS[chosen])
    for case in CASES[chosen]["logits"]:
        logits_case(*case, REPEATS[chosen])
    for case in CASES[chosen]["devices"]:
        print(json.dumps(in_fresh_process(__file__, *map(str, (*case, REPEATS[chosen])))), flush=True)


if __name__ == "__main__":
    child(*arguments) if (arguments := child_arguments()) else main()
