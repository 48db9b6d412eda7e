"""How does `leep` scale over processes, measured on two, and where should it stop scaling on thousands of devices?

python benchmarks --size full scaling

Measured: real processes through `leepjax launch`, each on one core, over Gloo. Predicted: each device reads its rows
twice, LEEP then adds up 4(cz + c + 2) bytes and `Moments` 4(d² + cd + d + c + 2) over a ring, which takes
2(p−1)/p · bytes/bandwidth + 2(p−1) · latency.
"""

import json
import os

import jax
import numpy as np
from accuracy import leep_in_float64
from jax.sharding import NamedSharding, PartitionSpec
from measuring import all_quartiles, child_arguments, compiled, in_fresh_process, report, size, timings
from problems import leep_of, probs_of

import leepjax as lj
from leepjax.distributed.peers import PROCESS_ID, initialize

# Rows of a part, z, c, repeats. There are two parts: a process holds one or both.
SIZES = {"small": (2_000, 50, 10, 3), "full": (50_000, 1000, 100, 15)}
PARTS = 2
# Parts in all, processes, cores of each.
CASES = {
    "small": [("2", 2, "one")],
    "full": [("1", 1, "one"), ("2", 1, "one"), ("2", 1, "all"), ("2", 2, "one")],
}

# Memory bandwidth and float32 arithmetic of a device; bandwidth and latency of a link to a neighbour. In bytes and
# operations per second, and seconds; from data sheets except the first device, measured by limit.py on this machine.
SYSTEMS = {
    "two-core CPUs, 100 Gb/s Ethernet": (37e9, 0.2e12, 12.5e9, 20e-6),
    "H100, NVLink and 400 Gb/s InfiniBand": (3.35e12, 50e12, 50e9, 5e-6),
    "TPU v5e, ICI": (0.82e12, 33e12, 45e9, 1e-6),
}
DEVICES = [2**i for i in range(13)]


def child(parts: str, cores: str, *sizes: str) -> None:
    """Score this process's parts of the rows together with its peers'; the first process prints the seconds."""
    process = int(os.environ.get(PROCESS_ID, 0))
    if cores == "one":
        os.sched_setaffinity(0, {sorted(os.sched_getaffinity(0))[process]})
    initialize()
    rows, z, c, repeats = map(int, sizes)
    mine = [probs_of(rows, z, c, seed) for seed in range(process, int(parts), jax.process_count())]
    probs, labels = (np.concatenate(arrays) for arrays in zip(*mine, strict=True))
    sharded = lj.shard_rows(probs, labels)[:2]
    leep = compiled(leep_of(c), *sharded)
    everywhere = NamedSharding(sharded[0].sharding.mesh, PartitionSpec())
    tables = lj.shard_rows(np.ones((1, c * z), np.float32), np.zeros(1, np.int32))[0]
    add_up = jax.jit(lambda tables: tables.sum(axis=0), out_shardings=everywhere).lower(tables).compile()
    seconds = timings({"leep": lambda: leep(*sharded), "all_reduce": lambda: add_up(tables)}, repeats)
    score = float(leep(*sharded))
    if process == 0:
        print(json.dumps({"seconds": all_quartiles(seconds), "score": score}))


def measure(cases: list[tuple[str, int, str]], rows: int, z: int, c: int, repeats: int) -> None:
    parts = [probs_of(rows, z, c, seed) for seed in range(PARTS)]
    truth = [leep_in_float64(*(np.concatenate(arrays) for arrays in zip(*parts[:k], strict=True)), c) for k in (1, 2)]
    alone: dict[str, float] = {}
    for held, processes, cores in cases:
        launch = ("-m", "leepjax", "launch", "--processes", str(processes))
        found = in_fresh_process(__file__, held, cores, *map(str, (rows, z, c, repeats)), command=launch)
        np.testing.assert_allclose(found["score"], truth[int(held) - 1], rtol=1e-5)
        median = found["seconds"]["leep"][1]
        alone.setdefault(held, median)
        report(
            benchmark="scaling",
            n=rows * int(held),
            z=z,
            c=c,
            processes=processes,
            cores_of_each=cores,
            seconds=found["seconds"],
            speedup_at_fixed_total=round(alone["2"] / median, 3) if held == "2" else None,
            efficiency_at_fixed_share=round(alone["1"] / median, 3) if processes == 2 and "1" in alone else None,
        )


def predict(n: int, z: int, c: int, d: int) -> None:
    """Seconds on p devices by the model above, for LEEP of probabilities and for the moments of features."""
    for name, (memory, arithmetic, link, latency) in SYSTEMS.items():
        for statistic, work, travels in (
            ("leep", 2 * 4 * n * z / memory, 4 * (c * z + c + 2)),
            ("moments", max(4 * n * d / memory, 2 * n * d * d / arithmetic), 4 * (d * d + c * d + d + c + 2)),
        ):
            p = np.array(DEVICES)
            adding = 2 * (p - 1) / p * travels / link + 2 * (p - 1) * latency
            seconds = work / p + adding
            report(
                benchmark="scaling_model",
                system=name,
                statistic=statistic,
                n=n,
                z=z,
                c=c,
                d=d,
                bytes_added_up=travels,
                devices=DEVICES,
                seconds=[float(f"{value:.4g}") for value in seconds],
                efficiency=[float(f"{value:.3g}") for value in work / p / seconds],
                fastest_at=int(p[seconds.argmin()]),
                half_efficient_up_to=int(p[work / p >= adding].max()),
            )


def main() -> None:
    chosen = size()
    measure(CASES[chosen], *SIZES[chosen])
    for n in (50_000, 1_280_000, 100_000_000):
        predict(n, z=1000, c=100, d=2048)


if __name__ == "__main__":
    child(*arguments) if (arguments := child_arguments()) else main()
