"""Connect a process to its peers at the start of a program of many processes."""

import os
import sys
from functools import cache
from pathlib import Path

# Environment variables that `leepjax launch` sets for its processes.
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
    Kubernetes). Without peers, as under plain ``python script.py``, it returns and the program runs as one process.

    If a peer doesn't connect within $LEEPJAX_TIMEOUT seconds (20 by default), or later doesn't respond for 10 seconds,
    the JAX runtime aborts the process; `leepjax launch` reports it in a sentence. An uncaught exception ends the
    process at once, with its traceback and exit code 1. So end a process by raising: after ``sys.exit`` JAX waits for
    all peers to end.

    Raises:
        RuntimeError: if a JAX computation came first.
    """
    import jax

    if os.environ.get("SLURM_NTASKS") == "1" and COORDINATOR not in os.environ:
        return  # no peers; and all steps of a Slurm job would use the same port
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
    """Arguments of `jax.distributed.initialize` set by the launcher; empty if JAX should detect them."""
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
        peers["coordinator_bind_address"] = coordinator  # needn't be reachable from the network
    return peers


def _keep_stdout_to_python():
    """Redirect output of native code and subprocesses to stderr: Gloo prints its connections to stdout."""
    results = os.dup(1)
    os.dup2(2, 1)
    sys.stdout = open(results, "w", buffering=1, encoding=sys.stdout.encoding, errors=sys.stdout.errors)  # noqa: SIM115


def _end_at_once(kind, error, trace):
    """Print the traceback and exit at once: JAX's clean exit waits for the peers, which wait for this process."""
    sys.__excepthook__(kind, error, trace)
    sys.stdout.flush()
    sys.stderr.flush()
    os._exit(1)
