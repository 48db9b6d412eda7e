"""The start of a program of many processes: each finds its peers, or ends soon and clearly."""

import os
import sys
from functools import cache
from pathlib import Path

# What `leepjax launch` tells the processes that it starts.
COORDINATOR = "LEEPJAX_COORDINATOR"
NUM_PROCESSES = "LEEPJAX_NUM_PROCESSES"
PROCESS_ID = "LEEPJAX_PROCESS_ID"
TIMEOUT = "LEEPJAX_TIMEOUT"
CONNECTED = "LEEPJAX_CONNECTED"

DEFAULT_TIMEOUT = 20
_HEARTBEAT_TIMEOUT = 10  # seconds of silence after which a peer counts as lost; JAX's own 100 keep the others waiting


@cache
def initialize() -> None:
    """Connect this process to its peers; call it first, before any JAX computation. A second call does nothing.

    The peers are those of `leepjax launch`, or those that `jax.distributed` detects (Slurm, TPU pods, Open MPI,
    Kubernetes). Where there are none, as under plain ``python script.py``, it returns and the program runs alone.

    Where a peer doesn't come within $LEEPJAX_TIMEOUT seconds (20 by default), or later falls silent for 10, the JAX
    runtime aborts the process; `leepjax launch` says so in a sentence. An uncaught exception ends the process at once,
    with its traceback and exit code 1. So end a process by raising: after ``sys.exit`` JAX waits for all peers to end.

    Raises:
        RuntimeError: a JAX computation came first.
    """
    import jax

    if os.environ.get("SLURM_NTASKS") == "1" and COORDINATOR not in os.environ:
        return  # nobody to wait for, and the steps of one job would share one port
    peers = _launched()
    try:
        jax.distributed.initialize(
            **peers,
            initialization_timeout=int(os.environ.get(TIMEOUT, DEFAULT_TIMEOUT)),
            heartbeat_timeout_seconds=_HEARTBEAT_TIMEOUT,
        )
    except ValueError as error:
        if peers or "coordinator_address" not in str(error):
            raise
        return  # JAX detected no cluster
    sys.excepthook = _end_at_once
    if CONNECTED in os.environ:
        Path(os.environ[CONNECTED]).touch()
        _keep_stdout_to_python()


def _launched():
    """The arguments of `jax.distributed.initialize` that the launcher gave; none where JAX is to detect them."""
    coordinator = os.environ.get(COORDINATOR)
    if coordinator is None:
        return {}
    peers = {
        "coordinator_address": coordinator,
        "num_processes": int(os.environ[NUM_PROCESSES]),
        "process_id": int(os.environ[PROCESS_ID]),
        "cluster_detection_method": "deactivate",
    }
    if coordinator.startswith(("127.0.0.1:", "localhost:")):
        peers["coordinator_bind_address"] = coordinator  # the network need not reach it
    return peers


def _keep_stdout_to_python():
    """Send what native code and subprocesses print to stderr: Gloo announces each connection where results go."""
    results = os.dup(1)
    os.dup2(2, 1)
    sys.stdout = open(results, "w", buffering=1, encoding=sys.stdout.encoding, errors=sys.stdout.errors)  # noqa: SIM115


def _end_at_once(kind, error, trace):
    """Print the traceback and leave: JAX's clean exit waits for the peers, which wait for this process's rows."""
    sys.__excepthook__(kind, error, trace)
    sys.stdout.flush()
    sys.stderr.flush()
    os._exit(1)
