"""Files at URLs: download once, compare with a SHA-256, and resume interrupted downloads."""

import os
import re
import ssl
import time
import urllib.error
from collections.abc import Callable
from http.client import HTTPException, HTTPResponse
from pathlib import Path
from typing import BinaryIO
from urllib.parse import unquote, urlsplit

from leepjax.models.requests import SLOWEST, Pace, TooSlowError, open_url
from leepjax.printable import printable
from leepjax.storage.files import ADVICE, digest, sha256_of
from leepjax.types import InputError

_PAUSES = (0.0, 0.5, 2.0)
"""Seconds before each attempt."""
_TIMEOUT = 30.0
"""Seconds within which the headers and each part of a body must arrive."""
_DROPPED = (urllib.error.URLError, HTTPException, ConnectionError, TimeoutError, ssl.SSLError)
_TEMPORARY = {408, 425, 429, 500, 502, 503, 504}
_REFUSALS = {
    401: "no access; log in on the site, download the file there, and pass its path",
    403: "no access; log in on the site, download the file there, and pass its path",
    404: "no such file; correct the address",
    410: "no such file any more; look for another address",
    **dict.fromkeys((301, 302, 303, 307, 308), "redirects that lead to no file; look for another address"),
}

Check = Callable[[Path, bytes], object]


def url_file(
    url: str,
    *,
    sha256: str | None = None,
    cache: Path,
    offline: bool = False,
    check: Check = lambda path, content: None,
) -> Path:
    """Download the file at a URL into `cache`, unless it is already there.

    An interrupted download is resumed if the server supports it and the file hasn't changed.

    Args:
        url: an http or https URL.
        sha256: hexadecimal SHA-256, or its beginning as in torch hub's file names; a file that doesn't match is
            downloaded once more. By default a cached file is compared with the SHA-256 at the time of the download.
        cache: folder in which the file gets a folder of its own.
        offline: use only the cache.
        check: called with the path and the content of a new download; if it raises an InputError, nothing is kept.

    Raises:
        InputError: when the file doesn't exist, without access, network or disk space, or if the content doesn't match
            `sha256` or is that of a web page.
    """
    from huggingface_hub.utils import WeakFileLock

    path = _cached_path(url, cache)
    try:
        if _intact(path, sha256):
            return path
        if offline:
            got = f"other content in {path}" if path.exists() else f"nothing in the cache {cache}"
            raise InputError(f"url_file: expected {url}, got {got}; run once online to download it.")
        path.parent.mkdir(parents=True, exist_ok=True)
        with WeakFileLock(path.with_name(f"{path.name}.lock")):
            return path if _intact(path, sha256) else _fetch(url, path, sha256, check)
    except OSError as error:
        advice = ADVICE.get(error.errno or 0, "check the folder's permissions")
        raise InputError(
            f"url_file: expected room for {url} in {path.parent}, got {error.strerror or error}; {advice}, and run it "
            "again."
        ) from error


def url_size(url: str, *, cache: Path, offline: bool = False) -> int | None:
    """Bytes that ``url_file`` would download: 0 if the file is cached, None if unknown (offline).

    Raises:
        InputError: when the file doesn't exist, or without access.
    """
    path = _cached_path(url, cache)
    if _intact(path, None):
        return 0
    if offline:
        return None
    try:
        with _open(url, {}, "HEAD") as response:
            return _length(response)
    except _DROPPED as error:
        _close(error)
        if (code := getattr(error, "code", None)) in _REFUSALS:
            raise _refused(url, code) from None
        return None


def _cached_path(url: str, cache: Path) -> Path:
    """The path of a URL's file in the cache: its own name, in a folder named after a digest of the URL."""
    try:
        parts = urlsplit(url)
    except ValueError:
        parts = urlsplit("")
    name = unquote(parts.path).rpartition("/")[2]
    plain = url.isascii() and " " not in url and url.isprintable() and name.isprintable()
    if not plain or parts.scheme not in ("http", "https") or not parts.netloc or name in ("", ".", ".."):
        raise InputError(f"url_file: expected the http or https URL of a file, got {url!r}; begin it with https://.")
    return cache / digest(url.encode())[:16] / name


def _fetch(url: str, path: Path, sha256: str | None, check: Check) -> Path:
    """Download the file to `path`; until it is complete, the part and its ETag are kept in files beside it."""
    part, etag = path.with_name(f"{path.name}.part"), path.with_name(f"{path.name}.etag")
    found = ""
    for _ in range(2):
        _persist(url, part, etag)
        if _intact(part, sha256):
            try:
                check(path, part.read_bytes())
            except InputError:  # a server that doesn't state the length may have sent only a part
                part.unlink()
                raise
            _stated(path).write_text(sha256_of(part))
            os.replace(part, path)
            etag.unlink(missing_ok=True)
            return path
        found = sha256_of(part)
        part.unlink()
    raise InputError(
        f"url_file: expected {url} of SHA-256 {sha256}, got {found} twice; correct the SHA-256 or the address."
    )


def _persist(url: str, part: Path, etag: Path) -> None:
    failure = ""
    for pause in _PAUSES:
        time.sleep(pause)
        try:
            return _receive(url, part, etag)
        except TooSlowError as error:
            kept, _ = _kept(part, etag)
            raise InputError(
                f"url_file: expected {url} at {SLOWEST:,} bytes per second or more, got {error}; run it again later "
                f"({kept:,} bytes are kept)."
            ) from None
        except _DROPPED as error:
            _close(error)
            code = getattr(error, "code", None)
            if code == 416:  # the part is longer than the file
                part.unlink(missing_ok=True)
            elif code is not None and code not in _TEMPORARY:
                raise _refused(url, code) from None
            words = str(getattr(error, "reason", None) or error) or type(error).__name__
            failure = printable(" ".join(words.split()))
    kept, _ = _kept(part, etag)
    raise InputError(
        f"url_file: expected {url}, got {failure} in {len(_PAUSES)} attempts; check the network and run it again "
        f"({kept:,} bytes are kept)."
    )


def _receive(url: str, part: Path, etag: Path) -> None:
    """Request the rest of a partial file, or all of it if the file at the URL has changed."""
    have, tag = _kept(part, etag)
    with _open(url, {"Range": f"bytes={have}-", "If-Range": tag} if have else {}) as response:
        _check_content(url, response)
        length = _length(response)
        partial = response.status == 206
        size = _continued(response, have, tag) if partial else length
        if partial and size is None:
            part.unlink(missing_ok=True)
            raise ConnectionError("another range than requested")
        with part.open("ab" if partial else "wb") as file:
            tag = response.headers.get("ETag", "")
            etag.write_text("" if tag.startswith("W/") else tag)  # a weak ETag doesn't guarantee the same bytes
            begin = file.tell()
            _copy(response, file)
            received = file.tell() - begin
    if length is not None and received != length:
        raise ConnectionError(f"a connection that closed after {received:,} of {length:,} bytes")
    if size is not None and begin + received != size:  # a server may send less than the rest
        raise ConnectionError(f"{begin + received:,} of {size:,} bytes")
    if not begin + received:
        raise InputError(f"url_file: expected {url}, got an empty file; look for another address.")


def _check_content(url: str, response: HTTPResponse) -> None:
    """Check that a response has the bytes of a file.

    Raises:
        InputError: for a status without a file, a compressed body, or a web page such as that of a login.
    """
    got = None
    if response.status not in (200, 206):
        got = f"HTTP {response.status}, no file"
    elif (encoding := response.headers.get("Content-Encoding", "identity").lower()) != "identity":
        got = f"a Content-Encoding of {encoding[:40]!r}"
    elif response.headers.get_content_type() == "text/html":
        got = "a web page"
    if got:
        raise InputError(
            f"url_file: expected {url}, got {got}; open the address in a browser, download the file there, and pass "
            "its path."
        )


def _continued(response: HTTPResponse, have: int, tag: str) -> int | None:
    """The size of the whole file of a 206 response; None if it doesn't continue the part, of `have` bytes and ETag."""
    stated = re.fullmatch(r"bytes ([0-9]{1,18})-[0-9]{1,18}/([0-9]{1,18})", response.headers.get("Content-Range", ""))
    if not have or stated is None or int(stated[1]) != have or response.headers.get("ETag") != tag:
        return None
    return int(stated[2])


def _copy(response: HTTPResponse, file: BinaryIO) -> None:
    """Write the body to the file while it is received, so that an interrupted download can be resumed."""
    pace = Pace(_TIMEOUT)
    while block := response.read1(1 << 16):
        file.write(block)
        file.flush()
        pace.count(len(block))


def _length(response: HTTPResponse) -> int | None:
    """Bytes of the body, None if the server doesn't state them."""
    length = response.headers["Content-Length"]
    if length is not None and not (length.isascii() and length.isdigit() and len(length) < 19):
        raise ConnectionError(f"a Content-Length of {length[:40]!r}")
    return None if length is None else int(length)


def _kept(part: Path, etag: Path) -> tuple[int, str]:
    """Number of bytes already downloaded, and the ETag that identifies their version of the file."""
    tag = etag.read_text() if etag.exists() else ""
    return part.stat().st_size if tag and part.exists() else 0, tag


def _open(url: str, headers: dict[str, str], method: str = "GET") -> HTTPResponse:
    headers = {"User-Agent": "leepjax", "Accept-Encoding": "identity"} | headers
    return open_url(url, headers, method, _TIMEOUT)


def _refused(url: str, code: int) -> InputError:
    got = _REFUSALS.get(code, "a refusal; try again later")
    return InputError(f"url_file: expected {url}, got HTTP {code}, {got}.")


def _close(error: BaseException) -> None:
    if isinstance(error, urllib.error.HTTPError):
        error.close()


def _intact(path: Path, sha256: str | None) -> bool:
    if sha256 is None:
        sha256 = _stated(path).read_text() if _stated(path).exists() else ""
    return path.exists() and sha256_of(path).startswith(sha256.lower())


def _stated(path: Path) -> Path:
    """Path of the file that stores the SHA-256 of the download."""
    return path.with_name(f"{path.name}.sha256")
