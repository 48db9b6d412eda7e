# ruff: noqa: T201
"""The program that test_distributed.py launches: each process scores its part of the rows, or fails as requested."""

import os
import signal
import sys
import time
from pathlib import Path

import jax
import numpy as np

import leepjax as lj
from leepjax.distributed import initialize
from leepjax.storage.files import write_atomically
from leepjax.types import InputError

NUM_CLASSES = 3


def rows():
    rng = np.random.default_rng(0)
    return rng.dirichlet(np.ones(5), 103).astype(np.float32), rng.integers(0, NUM_CLASSES, 103)


def score(probs, labels, where):
    return float(lj.leep(probs, labels, num_classes=NUM_CLASSES, where=where))


def main(out, deed):
    initialize()
    initialize()  # which does nothing
    me = jax.process_index()
    sharded = lj.shard_rows(*(np.array_split(array, jax.process_count())[me] for array in rows()))
    result = score(*sharded)
    print(f"process {me} is {os.getpid()}", file=sys.stderr)
    if deed == "raise" and me == 1:
        raise InputError("job: expected good rows, got bad ones; mend them.")
    if deed == "die" and me == 1:
        os.kill(os.getpid(), signal.SIGKILL)
    if deed == "die":
        time.sleep(60)  # in no collective, so that only the heartbeat reveals the death of a peer
    while deed == "go on for ever":
        score(*sharded)
    print(f"process {me} of {jax.process_count()} on {jax.device_count()} devices: {result}")
    if me == 0:
        write_atomically(out, str(result).encode())


if __name__ == "__main__":
    main(Path(sys.argv[1]), " ".join(sys.argv[2:]))
