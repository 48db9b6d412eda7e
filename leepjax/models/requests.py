"""HTTP requests that end: a server that trickles, or redirects to where it shouldn't, is refused in a sentence."""

import contextlib
import http.client
import ipaddress
import socket
import threading
import time
import urllib.request
from http.client import HTTPResponse
from typing import Any
from urllib.parse import urlsplit

from leepjax.types import InputError

SLOWEST = 1024
"""Bytes per second, on average over the timeout, below which a download ends."""


def open_url(url: str, headers: dict[str, str], method: str, timeout: float) -> HTTPResponse:
    """The response to a request; its headers and each read of its body arrive within `timeout` seconds.

    Raises:
        InputError: for a redirect from https to http, or to a private address outside the server that sends it.
        OSError or HTTPException: as ``urllib`` does.
    """
    opener = urllib.request.build_opener(_Http, _Https, _Redirects)
    return opener.open(urllib.request.Request(url, headers=headers, method=method), timeout=timeout)


class TooSlowError(Exception):
    """How much of a body arrived in which time."""


class Pace:
    """Ends a download of fewer than `SLOWEST` bytes per second: to a socket's timeout, any byte is progress."""

    def __init__(self, timeout: float):
        self.timeout, self.began, self.received = timeout, time.monotonic(), 0

    def count(self, size: int) -> None:
        """Count `size` bytes that arrived just now.

        Raises:
            TooSlowError: when there were too few in the last `timeout` seconds.
        """
        self.received += size
        seconds = time.monotonic() - self.began
        if seconds <= self.timeout:
            return
        if self.received < SLOWEST * seconds:
            raise TooSlowError(f"{self.received:,} bytes in {seconds:.0f} seconds")
        self.began, self.received = time.monotonic(), 0


class _Deadline(http.client.HTTPConnection):
    """The timeout of a socket begins anew with each byte; that of the headers doesn't here."""

    def getresponse(self) -> HTTPResponse:
        # Not the method of an SSL socket, which can't be called while another thread reads.
        timer = threading.Timer(self.timeout or 30, _shut_down, [self.sock])
        timer.daemon = True
        timer.start()
        try:
            return super().getresponse()
        finally:
            timer.cancel()


class _SecureDeadline(_Deadline, http.client.HTTPSConnection):
    pass


def _shut_down(connection: socket.socket) -> None:
    with contextlib.suppress(OSError):  # it is closed already
        socket.socket.shutdown(connection, socket.SHUT_RDWR)


class _Http(urllib.request.HTTPHandler):
    def http_open(self, req: urllib.request.Request) -> HTTPResponse:
        return self.do_open(_Deadline, req)


class _Https(urllib.request.HTTPSHandler):
    def https_open(self, req: urllib.request.Request) -> HTTPResponse:
        return self.do_open(_SecureDeadline, req, context=self._context)  # pyright: ignore[reportAttributeAccessIssue]


class _Redirects(urllib.request.HTTPRedirectHandler):
    def redirect_request(
        self, req: urllib.request.Request, fp: Any, code: int, msg: str, headers: Any, newurl: str
    ) -> urllib.request.Request | None:
        before, after = urlsplit(req.full_url), urlsplit(newurl)
        elsewhere = (after.hostname, after.port) != (before.hostname, before.port)
        if (before.scheme, after.scheme) == ("https", "http") or (elsewhere and _is_private(after.hostname or "")):
            fp.close()
            raise InputError(
                f"url_file: expected a redirect of {req.full_url} to a public address and not from https to http, got "
                f"{newurl!r}; if you trust it, pass that address."
            )
        return super().redirect_request(req, fp, code, msg, headers, newurl)


def _is_private(host: str) -> bool:
    """Whether a name or address is of this machine or a private network."""
    try:
        addresses = {entry[4][0] for entry in socket.getaddrinfo(host, None)}
    except OSError:  # the request itself will say so
        return False
    return not all(ipaddress.ip_address(str(address).partition("%")[0]).is_global for address in addresses)
