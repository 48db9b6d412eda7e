"""What RAY_ADDRESS may name, and how soon leepjax notices that there is no cluster."""

import signal
import socket
import threading
import time
from contextlib import contextmanager
from types import SimpleNamespace

import pytest

from leepjax.engines import ray_start
from leepjax.engines.ray_start import check_cluster, start_ray
from leepjax.types import InputError

SETTINGS = bytes([0, 0, 0, 4, 0, 0, 0, 0, 0])


class Ray:
    """The parts of Ray that are needed to start it."""

    def __init__(self, auto=None, error=None):
        self._private = SimpleNamespace(
            services=SimpleNamespace(canonicalize_bootstrap_address=lambda address: auto),
            ray_constants=SimpleNamespace(ENABLE_RAY_CLUSTER=True),
        )
        self.error, self.started = error, []

    def is_initialized(self):
        return False

    def init(self, *args, **options):
        self.started.append((args, self._private.ray_constants.ENABLE_RAY_CLUSTER))
        signal.signal(signal.SIGTERM, signal.SIG_IGN)
        if self.error:
            raise self.error


@contextmanager
def listening(answer):
    """The address of a server that answers the first line it reads, or, with None, never answers."""
    with socket.create_server(("127.0.0.1", 0)) as server:

        def serve():
            connection, _ = server.accept()
            with connection:
                connection.recv(1000)
                if answer is None:
                    time.sleep(1)
                else:
                    connection.sendall(answer)

        thread = threading.Thread(target=serve)
        thread.start()
        yield f"127.0.0.1:{server.getsockname()[1]}"
        thread.join()


def refused(monkeypatch, address, ray=None):
    monkeypatch.setenv("RAY_ADDRESS", address)
    with pytest.raises(InputError) as raised:
        check_cluster("sweep", ray or Ray())
    message = str(raised.value)
    assert message.startswith(f"sweep: expected a Ray cluster at RAY_ADDRESS={address!r}, got ")
    assert message.endswith("; start one there, correct the address, or unset RAY_ADDRESS to run Ray on this machine.")
    return message


@pytest.mark.parametrize("address", ["127.0.0.1:1", "ray://127.0.0.1:1", "localhost:1", "[::1]:1"])
def test_an_address_where_nothing_listens(monkeypatch, address):
    refused(monkeypatch, address)


@pytest.mark.parametrize("address", ["head", "head:", ":6379", "head:port", "127.0.0.1:99999", "ray://", "[::1:6379"])
def test_an_address_that_is_malformed(monkeypatch, address):
    refused(monkeypatch, address)


@pytest.mark.parametrize("answer", [None, b"", b"HTTP/1.1 400 Bad Request\r\n\r\n", b"220 mail\r\n"])
def test_an_address_where_something_else_answers_or_nothing(monkeypatch, answer):
    monkeypatch.setattr(ray_start, "PROBE_SECONDS", 0.2)
    with listening(answer) as address:
        refused(monkeypatch, address)


def test_auto_is_what_ray_noted_even_if_it_has_ended(monkeypatch):
    assert "got none on this machine" in refused(monkeypatch, "auto")
    assert "refused" in refused(monkeypatch, "auto", Ray(auto="127.0.0.1:1"))


def test_a_cluster_that_answers_is_joined_without_a_change_of_handlers(monkeypatch):
    handler, ray = signal.getsignal(signal.SIGTERM), Ray()
    with listening(SETTINGS) as address:
        monkeypatch.setenv("RAY_ADDRESS", address)
        assert start_ray("sweep", ray, 2)
    assert ray.started == [((), True)]
    assert signal.getsignal(signal.SIGTERM) is handler


def test_what_ray_says_of_a_cluster_that_it_cannot_join_is_one_sentence(monkeypatch):
    with listening(SETTINGS) as address:
        monkeypatch.setenv("RAY_ADDRESS", address)
        with pytest.raises(InputError, match=r"^sweep: .*, got Version mismatch: 1 and 2; start"):
            start_ray("sweep", Ray(error=RuntimeError("Version mismatch: 1 and 2.\n  Ray: 1")), 2)


@pytest.mark.parametrize("address", ["", "local"])
def test_without_a_cluster_ray_starts_here_and_listens_to_this_machine_alone(monkeypatch, address):
    monkeypatch.setenv("RAY_ADDRESS", address)
    ray = Ray()
    check_cluster("sweep", ray)
    assert start_ray("sweep", ray, 2)
    assert ray.started == [(("local",), False)]
    assert ray._private.ray_constants.ENABLE_RAY_CLUSTER
