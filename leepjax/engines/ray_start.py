"""Connecting to Ray: the cluster that RAY_ADDRESS names, or processes on this machine that nothing else can reach."""

import os
import socket
import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any
from urllib.parse import urlsplit

from leepjax.interrupts import kept_handlers
from leepjax.types import InputError

PROBE_SECONDS = 5.0
"""Seconds that a cluster may take to answer; Ray itself waits for minutes, during which Ctrl-C has no effect."""
_LOOPBACK = "RAY_ENABLE_WINDOWS_OR_OSX_CLUSTER"
"""Ray's setting for systems whose firewall asks about every open port: with 0 it listens on 127.0.0.1 alone."""
# The start of every HTTP/2 connection (RFC 9113, 3.4): the preface and an empty SETTINGS frame. gRPC is HTTP/2.
_SETTINGS_TYPE = 4
_HELLO = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n" + bytes([0, 0, 0, _SETTINGS_TYPE, 0, 0, 0, 0, 0])


def start_ray(caller: str, ray: Any, num_tasks: int) -> bool:
    """Join the cluster that RAY_ADDRESS names or start Ray on this machine; False if this process is connected.

    Raises:
        InputError: when RAY_ADDRESS names no cluster that can be joined, or Ray doesn't start here; it begins with
            `caller`.
    """
    if ray.is_initialized():
        return False
    quiet: dict[str, Any] = {"log_to_driver": False, "logging_level": "ERROR"}
    with kept_handlers(), warnings.catch_warnings():
        # JAX warns of the forks by which Ray starts its processes; they execute another program at once.
        warnings.filterwarnings("ignore", r"os\.fork\(\) was called", RuntimeWarning)
        if address := _cluster():
            check_cluster(caller, ray)
            try:
                ray.init(**quiet)
            except (ValueError, RuntimeError, OSError) as error:
                raise _no_cluster(caller, address, str(error).strip().partition("\n")[0]) from None
        else:
            here = {"include_dashboard": False, "_node_ip_address": "127.0.0.1"} | quiet
            with _on_loopback(ray):
                _start_here(caller, ray, num_cpus=min(num_tasks, os.cpu_count() or 1), **here)
    return True


def _start_here(caller: str, ray: Any, **options: Any) -> None:
    """Start Ray; try once more if its processes don't start in time, which happens on a busy machine."""
    for is_last in (False, True):
        try:
            ray.init("local", **options)
        except Exception as error:  # Ray raises a plain Exception here
            ray.shutdown()
            if is_last:
                reason = str(error).strip().partition("\n")[0].rstrip(".")
                raise InputError(
                    f"{caller}: expected Ray to start on this machine, got {reason}; try again when the machine has "
                    "less to do, or take another engine."
                ) from None
        else:
            return


def check_cluster(caller: str, ray: Any) -> None:
    """Check that the cluster at RAY_ADDRESS, if it is set, answers.

    Raises:
        InputError: when the address is malformed, or nothing that speaks Ray's protocol answers there.
    """
    address = _cluster()
    if not address or ray.is_initialized():
        return
    try:
        _probe(*_place(ray, address))
    except (ValueError, OSError) as error:
        raise _no_cluster(caller, address, str(error) or type(error).__name__) from None


def _cluster() -> str | None:
    """RAY_ADDRESS; None if it is ``local``, by which Ray means no cluster."""
    address = os.environ.get("RAY_ADDRESS", "").strip()
    return None if address in ("", "local") else address


def _place(ray: Any, address: str) -> tuple[str, int]:
    """The host and port of a Ray address."""
    if address == "auto":
        # The address that the last `ray start` on this machine stored, even if that cluster no longer runs.
        address = ray._private.services.canonicalize_bootstrap_address(address)
        if not address:
            raise ConnectionError("none on this machine")
    place = urlsplit(address if "://" in address else f"//{address}")
    if not (place.hostname and place.port):
        raise ValueError("no HOST:PORT")
    return place.hostname, place.port


def _probe(host: str, port: int) -> None:
    with socket.create_connection((host, port), PROBE_SECONDS) as connection:
        if os.environ.get("RAY_USE_TLS", "0") not in ("", "0"):
            return
        connection.sendall(_HELLO)
        answer = connection.recv(9)
    if len(answer) < 4 or answer[3] != _SETTINGS_TYPE:
        raise ConnectionError("an answer that isn't Ray's")


def _no_cluster(caller: str, address: str, got: str) -> InputError:
    return InputError(
        f"{caller}: expected a Ray cluster at RAY_ADDRESS={address!r}, got {got.rstrip('.')}; start one there, correct "
        "the address, or unset RAY_ADDRESS to run Ray on this machine."
    )


@contextmanager
def _on_loopback(ray: Any) -> Iterator[None]:
    """Make Ray's processes listen only on 127.0.0.1, because they run the tasks of anybody who can connect."""
    constants = ray._private.ray_constants
    before = {name: os.environ.get(name) for name in (_LOOPBACK, "RAY_USAGE_STATS_ENABLED")}
    clusters, constants.ENABLE_RAY_CLUSTER = constants.ENABLE_RAY_CLUSTER, False
    os.environ[_LOOPBACK] = "0"  # for the processes that Ray starts
    os.environ.setdefault("RAY_USAGE_STATS_ENABLED", "0")
    try:
        yield
    finally:
        constants.ENABLE_RAY_CLUSTER = clusters
        for name, value in before.items():
            if value is None:
                os.environ.pop(name, None)
            else:
                os.environ[name] = value
