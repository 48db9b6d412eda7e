"""HTTP requests with a time limit, a minimal speed and restricted redirects."""

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
"""Minimal bytes per second of a download, averaged over the timeout; a slower one is ended."""


def open_url(url: str, headers: dict[str, str], method: str, timeout: float) -> HTTPResponse:
    """Send a request; the headers and each read of the body must finish within `timeout` seconds.

    Raises:
        InputError: for an address that can't be requested, and for a redirect to one, from https to http, or from
            another server to a private address.
        OSError or HTTPException: as ``urllib`` does.
    """
    opener = urllib.request.build_opener(_Http, _Https, _Redirects)
    try:
        return opener.open(urllib.request.Request(url, headers=headers, method=method), timeout=timeout)
    except InputError:
        raise
    except ValueError as error:  # a name of a server that can't be encoded
        raise InputError(
            f"url_file: expected the address of a server, got {url!r}, {error}; correct the name."
        ) from None


class TooSlowError(Exception):
    """A download was too slow; the message has the bytes received and the time."""


class Pace:
    """Ends a download of fewer than `SLOWEST` bytes per second, since a socket's timeout restarts with every byte."""

    def __init__(self, timeout: float):
        self.timeout, self.began, self.received = timeout, time.monotonic(), 0

    def count(self, size: int) -> None:
        """Count `size` bytes just received.

        Raises:
            TooSlowError: when too few bytes were received in the last `timeout` seconds.
        """
        self.received += size
        seconds = time.monotonic() - self.began
        if seconds <= self.timeout:
            return
        if self.received < SLOWEST * seconds:
            raise TooSlowError(f"{self.received:,} bytes in {seconds:.0f} seconds")
        self.began, self.received = time.monotonic(), 0


class _Deadline(http.client.HTTPConnection):
    """A connection whose headers must arrive within the timeout, since a socket's timeout restarts with every byte."""

    def getresponse(self) -> HTTPResponse:
        # The plain socket's method: the SSL socket's can't be called while another thread reads.
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
    with contextlib.suppress(OSError):  # already closed
        socket.socket.shutdown(connection, socket.SHUT_RDWR)


class _Http(urllib.request.HTTPHandler):
    def http_open(self, req: urllib.request.Request) -> HTTPResponse:
        return self.do_open(_Deadline, req)


class _Https(urllib.request.HTTPSHandler):
    """Leaves it to each connection to read the system's certificates: requests without TLS don't wait for it."""

    def __init__(self) -> None:
        urllib.request.AbstractHTTPHandler.__init__(self)

    def https_open(self, req: urllib.request.Request) -> HTTPResponse:
        return self.do_open(_SecureDeadline, req)


class _Redirects(urllib.request.HTTPRedirectHandler):
    def http_error_302(self, req: urllib.request.Request, fp: Any, code: int, msg: str, headers: Any) -> Any:
        try:
            return super().http_error_302(req, fp, code, msg, headers)
        except InputError:
            raise
        except ValueError:
            fp.close()
            raise _wrong_redirect(req, headers["Location"]) from None

    http_error_301 = http_error_303 = http_error_307 = http_error_308 = http_error_302

    def redirect_request(
        self, req: urllib.request.Request, fp: Any, code: int, msg: str, headers: Any, newurl: str
    ) -> urllib.request.Request | None:
        before, after = urlsplit(req.full_url), urlsplit(newurl)
        if after.scheme == "ftp":  # which urllib would follow, without the time limits
            fp.close()
            raise _wrong_redirect(req, newurl)
        elsewhere = (after.hostname, after.port) != (before.hostname, before.port)
        if (before.scheme, after.scheme) == ("https", "http") or (elsewhere and _is_private(after.hostname or "")):
            fp.close()
            raise InputError(
                f"url_file: expected a redirect of {req.full_url} to a public address and not from https to http, got "
                f"{newurl!r}; if you trust that address, pass it directly."
            )
        return super().redirect_request(req, fp, code, msg, headers, newurl)


def _wrong_redirect(request: urllib.request.Request, address: str) -> InputError:
    return InputError(
        f"url_file: expected a redirect of {request.full_url} to the http or https URL of a file, got "
        f"{address[:200]!r}; look for another address."
    )


def _is_private(host: str) -> bool:
    """Whether a host name or address belongs to this machine or a private network."""
    try:
        addresses = {entry[4][0] for entry in socket.getaddrinfo(host, None)}
    except OSError:  # unknown host: the request itself will fail
        return False
    return not all(ipaddress.ip_address(str(address).partition("%")[0]).is_global for address in addresses)
