"""Files from the Hub and from URLs, by a server on this machine that behaves as they do or fails on request."""

import errno
import hashlib
import io
import json
import logging
import re
import signal
import socket
import subprocess
import sys
import threading
import time
import urllib.request
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress

import huggingface_hub
import numpy as np
import pytest
import safetensors.numpy
from hub_server import COMMIT, CONTENT, REPO
from huggingface_hub import constants
from profiles import only_long
from timm_layout import CONFIG, computed, filled, torch_layout
from torch_pickles import tensor, torch_zip

from leepjax.data.preprocessing import Preprocessing
from leepjax.models import opening, urls, weights
from leepjax.models.architectures import abstract
from leepjax.models.hub import hub_file, hub_revision, hub_size
from leepjax.models.opening import describe, load_source
from leepjax.models.published import Published
from leepjax.models.requests import _Redirects
from leepjax.models.urls import url_file, url_size
from leepjax.storage import files
from leepjax.types import InputError

SHA256 = hashlib.sha256(CONTENT).hexdigest()


def parts(cache):
    return [path for path in cache.rglob("*") if path.suffix in (".part", ".etag")]


def test_a_url_is_fetched_once(server, site, tmp_path):
    url = f"{server.url}/model.pth"
    assert url_size(url, cache=tmp_path) == len(CONTENT)
    path = url_file(url, sha256=SHA256[:8], cache=tmp_path)
    assert (path.name, path.read_bytes()) == ("model.pth", CONTENT)
    assert not parts(tmp_path)
    server.stop()
    assert url_file(url, sha256=SHA256.upper(), cache=tmp_path) == path
    assert url_file(url, cache=tmp_path, offline=True) == path
    assert url_size(url, cache=tmp_path) == 0
    assert len(site.gets()) == 1


def test_redirects_are_followed(server, site, tmp_path):
    site.redirects = {"/latest/model.pth": ("/second", {}), "/second": ("/model.pth", {})}
    path = url_file(f"{server.url}/latest/model.pth", cache=tmp_path)
    assert (path.name, path.read_bytes()) == ("model.pth", CONTENT)


@pytest.fixture
def trickle(monkeypatch):
    """The address of a server that sends its bytes one after another: the headers, or the body after them."""
    monkeypatch.setattr(urls, "_TIMEOUT", 0.3)
    listener, stop = socket.create_server(("127.0.0.1", 0)), threading.Event()
    listener.settimeout(0.05)
    connections = []

    def serve():
        head = b"HTTP/1.1 200 OK\r\nContent-Length: 9999\r\n\r\n"
        while not stop.is_set():
            with suppress(TimeoutError):
                connections.append(listener.accept()[0])
                connections[-1].settimeout(5)
                asked = connections[-1].recv(4096)
                at_once = head if b"/body" in asked else b""
                with suppress(OSError):
                    connections[-1].sendall(at_once)
                    for byte in head * 9:
                        connections[-1].sendall(bytes([byte]))
                        if stop.wait(0.05):
                            break

    thread = threading.Thread(target=serve)
    thread.start()
    yield f"http://127.0.0.1:{listener.getsockname()[1]}"
    stop.set()
    thread.join()
    for connection in (*connections, listener):
        connection.close()


@pytest.mark.parametrize(
    ("part", "got"),
    [
        ("body", "expected .* at 1,024 bytes per second or more, got .* seconds; run it"),
        *only_long(("headers", "got .* 3 attempts")),
    ],
)
def test_a_server_that_trickles_ends_in_a_sentence(trickle, tmp_path, part, got):
    started = time.monotonic()
    with pytest.raises(InputError, match=f"url_file: .*{got}"):
        url_file(f"{trickle}/{part}.pth", cache=tmp_path)
    assert time.monotonic() - started < 20


@pytest.mark.parametrize("length", ["abc", "-1", "1e3", "9" * 50, "٣"])
def test_a_length_that_is_no_number(server, site, tmp_path, length):
    site.status["/model.pth"] = (200, {"Content-Length": length.encode().decode("latin-1")})
    with pytest.raises(InputError, match=r"got a Content-Length of '.*' in 3 attempts; check the network"):
        url_file(f"{server.url}/model.pth", cache=tmp_path)
    assert url_size(f"{server.url}/model.pth", cache=tmp_path) is None


@pytest.mark.parametrize(
    "place",
    ["http://localhost:1/x", "http://10.0.0.1/x", "http://[::1]/x", "http://169.254.169.254/x", "http://127.1/x"],
)
def test_a_redirect_to_a_private_address_is_refused(server, site, tmp_path, place):
    site.status["/model.pth"] = (302, {"Location": place})
    with pytest.raises(InputError, match=r"expected a redirect of .* to a public address and not from https to http"):
        url_file(f"{server.url}/model.pth", cache=tmp_path)
    assert len(site.gets()) == 1


def test_a_redirect_from_https_to_http_is_refused():
    request = urllib.request.Request("https://93.184.215.14/a")
    with pytest.raises(InputError, match=r"a public address and not from https to http"):
        _Redirects().redirect_request(request, io.BytesIO(), 302, "", {}, "http://93.184.215.14/b")
    redirected = _Redirects().redirect_request(request, io.BytesIO(), 302, "", {}, "https://1.1.1.1/b")
    assert redirected.full_url == "https://1.1.1.1/b"


def test_a_flipped_bit_in_the_cache_is_found_without_a_published_checksum(server, site, tmp_path):
    url = f"{server.url}/model.pth"
    path = url_file(url, cache=tmp_path)
    path.write_bytes(CONTENT[:-1] + bytes([CONTENT[-1] ^ 1]))
    with pytest.raises(InputError, match=r"got other content in \S+model\.pth; run once online to download it"):
        url_file(url, cache=tmp_path, offline=True)
    assert url_file(url, cache=tmp_path).read_bytes() == CONTENT
    assert len(site.gets()) == 2


def test_a_flipped_bit_in_a_small_file_of_the_hub_is_found(hub, site):
    blob = hub_file(REPO, "config.json").resolve()
    blob.write_bytes(b"{]")
    assert hub_file(REPO, "config.json").read_bytes() == b"{}"


def test_files_of_one_name_lie_apart(server, site, tmp_path):
    site.files["/other/model.pth"] = b"other"
    first = url_file(f"{server.url}/model.pth", cache=tmp_path)
    second = url_file(f"{server.url}/other/model.pth", cache=tmp_path)
    assert (first.read_bytes(), second.read_bytes()) == (CONTENT, b"other")


def test_a_dropped_download_resumes_where_it_stopped(server, site, tmp_path):
    site.cuts = [100_000, 50_000]
    path = url_file(f"{server.url}/model.pth", cache=tmp_path)
    assert path.read_bytes() == CONTENT
    ranges = [(headers.get("Range"), headers.get("If-Range")) for headers in site.gets()]
    assert ranges == [(None, None), ("bytes=100000-", '"first"'), ("bytes=150000-", '"first"')]


def test_attempts_end_and_the_next_call_resumes(server, site, tmp_path):
    url = f"{server.url}/model.pth"
    site.cuts = [1000, 0, 0]
    message = (
        r"url_file: expected http\S+model\.pth, got a connection that closed after 0 of 299,000 bytes in 3 attempts; "
        r"check the network and run it again \(1,000 bytes are kept\)\."
    )
    with pytest.raises(InputError, match=message):
        url_file(url, cache=tmp_path)
    assert url_file(url, cache=tmp_path).read_bytes() == CONTENT
    assert site.gets()[-1]["Range"] == "bytes=1000-"


FETCH = "import sys; from pathlib import Path; from leepjax.models.urls import url_file; "
FETCH += "url_file(sys.argv[1], cache=Path(sys.argv[2]))"


def test_the_download_of_a_killed_process_is_resumed(server, site, tmp_path):
    url, released = f"{server.url}/model.pth", threading.Event()
    site.stall = (200_000, released)
    process = subprocess.Popen([sys.executable, "-c", FETCH, url, str(tmp_path)])
    whole = 200_000 // 65_536 * 65_536
    deadline = time.monotonic() + 30
    while sum(path.stat().st_size for path in parts(tmp_path) if path.suffix == ".part") < whole:
        assert process.poll() is None
        assert time.monotonic() < deadline
        threading.Event().wait(0.02)
    process.send_signal(signal.SIGKILL)
    assert process.wait() == -signal.SIGKILL
    released.set()
    assert url_file(url, sha256=SHA256, cache=tmp_path).read_bytes() == CONTENT
    first, second = (headers.get("Range") for headers in site.gets())
    assert first is None
    assert whole <= int(second.removeprefix("bytes=").removesuffix("-")) <= 200_000
    assert not parts(tmp_path)


def interrupt(server, tmp_path):
    server.site.cuts = [1000, 0, 0]
    with pytest.raises(InputError, match="1,000 bytes are kept"):
        url_file(f"{server.url}/model.pth", cache=tmp_path)


def test_a_file_that_changed_is_fetched_from_the_start(server, site, tmp_path):
    interrupt(server, tmp_path)
    site.files["/model.pth"], site.etags["/model.pth"] = b"new" * 1000, '"second"'
    assert url_file(f"{server.url}/model.pth", cache=tmp_path).read_bytes() == b"new" * 1000
    assert site.gets()[-1]["If-Range"] == '"first"'


def test_a_server_without_ranges_sends_it_from_the_start(server, site, tmp_path):
    interrupt(server, tmp_path)
    site.ranges = False
    assert url_file(f"{server.url}/model.pth", cache=tmp_path).read_bytes() == CONTENT
    assert "Range" in site.gets()[-1]


@pytest.mark.parametrize("etag", [None, 'W/"weak"'])
def test_without_a_strong_etag_nothing_is_resumed(server, site, tmp_path, etag):
    site.etags["/model.pth"] = etag
    site.cuts = [1000]
    assert url_file(f"{server.url}/model.pth", cache=tmp_path).read_bytes() == CONTENT
    assert ["Range" in headers for headers in site.gets()] == [False, False]


def test_a_file_that_became_shorter_than_its_part(server, site, tmp_path):
    interrupt(server, tmp_path)
    site.files["/model.pth"] = b"short"
    assert url_file(f"{server.url}/model.pth", cache=tmp_path).read_bytes() == b"short"


def test_another_part_than_was_asked_for_is_not_joined(server, site, tmp_path):
    interrupt(server, tmp_path)
    (part,) = [path for path in parts(tmp_path) if path.suffix == ".part"]
    part.with_suffix(".etag").write_text('"other"')
    site.status["/model.pth"] = (206, {"Content-Range": "bytes 7-8/300000", "ETag": '"first"'})
    with pytest.raises(InputError, match="got another range than requested in 3 attempts"):
        url_file(f"{server.url}/model.pth", cache=tmp_path)
    del site.status["/model.pth"]
    assert url_file(f"{server.url}/model.pth", sha256=SHA256, cache=tmp_path).read_bytes() == CONTENT


def test_a_server_that_sends_less_than_the_rest_is_asked_for_more(server, site, tmp_path):
    interrupt(server, tmp_path)
    site.most = 150_000
    url = f"{server.url}/model.pth"
    assert url_file(url, cache=tmp_path).read_bytes() == CONTENT
    assert [headers.get("Range") for headers in site.gets()[-2:]] == ["bytes=1000-", "bytes=151000-"]


@pytest.mark.parametrize("etag", [{"ETag": '"second"'}, {}], ids=["another", "none"])
def test_a_part_of_another_version_is_not_joined(server, site, tmp_path, etag):
    interrupt(server, tmp_path)
    site.status["/model.pth"] = (206, {"Content-Range": "bytes 1000-1001/1002"} | etag)
    with pytest.raises(InputError, match=r"got another range than requested in 3 attempts; .* \(0 bytes are kept\)"):
        url_file(f"{server.url}/model.pth", cache=tmp_path)
    assert "If-Range" not in site.gets()[-1]


@pytest.mark.parametrize(
    ("status", "headers", "got"),
    [
        (200, {"Content-Type": "text/html; charset=utf-8"}, "a web page; open the address in a browser"),
        (200, {"Content-Encoding": "gzip"}, "a Content-Encoding of 'gzip'; open the address in a browser"),
        (200, {"Content-Length": "0"}, "an empty file; look for another address"),
        (204, {"Content-Length": "0"}, "HTTP 204, no file; open the address in a browser"),
        (302, {"Location": "/model.pth"}, "HTTP 302, redirects that lead to no file; look for another address"),
    ],
)
def test_what_is_no_file_is_not_kept(server, site, tmp_path, status, headers, got):
    site.status["/model.pth"] = (status, headers)
    with pytest.raises(InputError, match=rf"^url_file: expected http\S+model\.pth, got {got}"):
        url_file(f"{server.url}/model.pth", cache=tmp_path)
    site.status.clear()
    assert url_file(f"{server.url}/model.pth", cache=tmp_path).read_bytes() == CONTENT


@pytest.mark.parametrize(
    "place", ["http://[bad", "http://1.1.1.1:99999999/x", "ftp://1.1.1.1/x", f"http://{70 * 'a'}/x"]
)
def test_a_redirect_that_cannot_be_followed_is_named(server, site, tmp_path, place):
    site.status["/model.pth"] = (302, {"Location": place})
    with pytest.raises(InputError, match=rf"^url_file: expected a redirect of .*, got '{re.escape(place)}'; look for"):
        url_file(f"{server.url}/model.pth", cache=tmp_path)


def test_a_name_of_a_server_that_cannot_be_encoded(tmp_path):
    with pytest.raises(InputError, match=r"^url_file: expected the address of a server, got 'http://a\.\.b/x\.pth', "):
        url_file("http://a..b/x.pth", cache=tmp_path)


def test_a_download_that_cannot_be_read_is_not_kept(server, site, tmp_path):
    def check(path, content):
        if content == b"half":
            raise InputError(f"read: expected a whole file in {path}, got half; download it again.")

    url = f"{server.url}/model.pth"
    site.files["/model.pth"] = b"half"
    with pytest.raises(InputError, match="got half"):
        url_file(url, cache=tmp_path, check=check)
    site.files["/model.pth"] = CONTENT
    assert url_file(url, cache=tmp_path, check=check).read_bytes() == CONTENT


def test_other_content_is_fetched_once_again(server, site, tmp_path):
    url = f"{server.url}/model.pth"
    path = url_file(url, sha256=SHA256, cache=tmp_path)
    path.write_bytes(CONTENT[:-1] + b"?")
    with pytest.raises(
        InputError, match=r"url_file: expected http\S+, got other content in \S+model\.pth; run once on"
    ):
        url_file(url, sha256=SHA256, cache=tmp_path, offline=True)
    assert url_file(url, sha256=SHA256, cache=tmp_path).read_bytes() == CONTENT
    assert len(site.gets()) == 2


def test_a_checksum_that_is_wrong_twice(server, site, tmp_path):
    message = rf"url_file: expected http\S+ of SHA-256 f37072fd, got {SHA256} twice; correct the SHA-256 or the address"
    with pytest.raises(InputError, match=message):
        url_file(f"{server.url}/model.pth", sha256="f37072fd", cache=tmp_path)
    assert len(site.gets()) == 2
    assert not [path for path in tmp_path.rglob("*") if path.suffix in (".part", ".pth")]


@pytest.mark.parametrize(
    ("status", "message"),
    [
        (404, r"url_file: expected http\S+, got HTTP 404, no such file; correct the address\."),
        (401, r"got HTTP 401, no access; log in on the site, download the file there, and pass its path\."),
        (403, r"got HTTP 403, no access; log in"),
        (410, r"got HTTP 410, no such file any more; look for another address\."),
        (418, r"got HTTP 418, a refusal; try again later\."),
    ],
)
def test_a_refusal_is_final(server, site, tmp_path, status, message):
    site.status["/model.pth"] = (status, {})
    with pytest.raises(InputError, match=message):
        url_file(f"{server.url}/model.pth", cache=tmp_path)
    assert len(site.gets()) == 1
    if status == 418:
        assert url_size(f"{server.url}/model.pth", cache=tmp_path) is None
    else:
        with pytest.raises(InputError, match=message):
            url_size(f"{server.url}/model.pth", cache=tmp_path)


def test_a_busy_server_is_asked_again(server, site, tmp_path):
    site.status["/model.pth"] = (503, {})
    with pytest.raises(InputError, match="got Service Unavailable in 3 attempts; check the network"):
        url_file(f"{server.url}/model.pth", cache=tmp_path)
    assert len(site.gets()) == 3


def test_no_network(server, tmp_path):
    server.stop()
    url = f"{server.url}/model.pth"
    with pytest.raises(InputError, match=r"got .*Connection refused in 3 attempts; check the network and run it again"):
        url_file(url, cache=tmp_path)
    assert url_size(url, cache=tmp_path) is None


def test_offline_and_not_cached(tmp_path):
    url = "https://nowhere.invalid/model.pth"
    with pytest.raises(InputError, match=rf"url_file: expected {url}, got nothing in the cache .*; run once online to"):
        url_file(url, cache=tmp_path, offline=True)
    assert url_size(url, cache=tmp_path, offline=True) is None


@pytest.mark.parametrize(
    "url",
    [
        "file:///etc/passwd",
        "ftp://a/b.pth",
        "model.pth",
        "https://a.invalid/",
        "http://a/%2e%2e",
        "http://a/b%00",
        "http:///b.pth",
        "http://[a/b.pth",
        "http://a/ü.pth",
        "http://a/b c.pth",
    ],
)
def test_only_urls_of_files(tmp_path, url):
    with pytest.raises(InputError, match=r"url_file: expected the http or https URL of a file, got '.*'; begin it"):
        url_file(url, cache=tmp_path)


def test_a_full_disk(server, monkeypatch, tmp_path):
    def full(*_):
        raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr(urls, "_copy", full)
    with pytest.raises(
        InputError, match=r"url_file: expected room for http\S+ in .*, got No space left on device; free"
    ):
        url_file(f"{server.url}/model.pth", cache=tmp_path)


def test_processes_that_need_a_file_at_once_download_it_once(server, site, tmp_path):
    with ThreadPoolExecutor(4) as pool:
        paths = list(pool.map(lambda _: url_file(f"{server.url}/model.pth", cache=tmp_path), range(8)))
    assert len(set(paths)) == 1
    assert len(site.gets()) == 1


def test_a_hub_file_is_fetched_once(hub, site):
    assert hub_size(REPO, "model.safetensors") == len(CONTENT)
    path = hub_file(REPO, "model.safetensors")
    assert path.read_bytes() == CONTENT
    assert path.resolve().name == SHA256
    assert hub_revision(path) == COMMIT
    assert hub_file(REPO, "model.safetensors") == path
    assert hub_size(REPO, "model.safetensors") == 0
    assert len(site.gets("/cdn/model.safetensors")) == 1
    assert hub_file(REPO, "config.json").read_bytes() == b"{}"


def test_a_cached_hub_file_needs_no_server(hub):
    path = hub_file(REPO, "model.safetensors")
    hub.stop()
    for offline in (True, False, None):
        assert hub_file(REPO, "model.safetensors", offline=offline) == path
        assert hub_size(REPO, "model.safetensors", offline=offline) == 0
    assert hub_file(REPO, "model.safetensors", revision=COMMIT) == path


def test_a_dropped_hub_download_resumes_where_it_stopped(hub, site, monkeypatch):
    monkeypatch.setattr(constants, "DOWNLOAD_CHUNK_SIZE", 1000)
    site.cuts = [100_000]
    with suppress(InputError):  # the first versions of the library leave it to the next call
        hub_file(REPO, "model.safetensors")
    assert hub_file(REPO, "model.safetensors").read_bytes() == CONTENT
    assert [headers.get("Range") for headers in site.gets("/cdn/model.safetensors")] == [None, "bytes=100000-"]


def test_a_corrupt_hub_file_is_fetched_once_again(hub, site, caplog):
    path = hub_file(REPO, "model.safetensors")
    blob = path.resolve()
    blob.write_bytes(CONTENT[:-1] + b"?")
    with pytest.raises(
        InputError, match=rf"hub_file: expected .*, got other content in {blob}; delete that file and run again online"
    ):
        hub_file(REPO, "model.safetensors", offline=True)
    with caplog.at_level(logging.WARNING, "leepjax"):
        assert hub_file(REPO, "model.safetensors").read_bytes() == CONTENT
    assert f"{blob} doesn't match the SHA-256 of model.safetensors of owner/net at main; it is deleted." in caplog.text
    assert len(site.gets("/cdn/model.safetensors")) == 2


def test_hub_content_that_is_wrong_twice(hub, site):
    site.files["/cdn/model.safetensors"] = CONTENT[:-1] + b"?"
    message = "hub_file: expected model.safetensors of owner/net at main with its SHA-256, got other content twice; try"
    with pytest.raises(InputError, match=message):
        hub_file(REPO, "model.safetensors")
    assert len(site.gets("/cdn/model.safetensors")) == 2


def address(filename, repo=REPO):
    return f"/{repo}/resolve/main/{filename}"


@pytest.mark.parametrize(
    ("repo", "filename", "status", "code", "message"),
    [
        (
            REPO,
            "x.bin",
            None,
            None,
            r"hub_file: expected x\.bin of owner/net at main, got no such file; correct its name\.",
        ),
        (
            "no/net",
            "x.bin",
            None,
            None,
            r"got no such repository; correct its name, or run hf auth login if it is private\.",
        ),
        ("no/net", "x.bin", 401, "RepoNotFound", r"got no such repository; "),
        (
            REPO,
            "x.bin",
            403,
            "GatedRepo",
            r"got no access; accept its terms at http://\S+/owner/net and run hf auth log",
        ),
        (REPO, "x.bin", 401, "GatedRepo", r"got no access; accept its terms"),
        (REPO, "x.bin", 404, "RevisionNotFound", r"got no such revision; correct its name\."),
        ("a/b/c", "x.bin", None, None, r"got no name of a repository; write owner/name\."),
    ],
)
def test_what_the_hub_refuses(hub, site, repo, filename, status, code, message):
    if status:
        site.status[address(filename, repo)] = (status, {"X-Error-Code": code})
    with pytest.raises(InputError, match=message):
        hub_file(repo, filename)
    with pytest.raises(InputError, match=message):
        hub_size(repo, filename)


def test_a_hub_that_cannot_be_reached(hub, monkeypatch):
    hub.stop()
    message = rf"hub_file: expected .*, got no answer from {hub.url}; check the network and HF_ENDPOINT\."
    with pytest.raises(InputError, match=message):
        hub_file(REPO, "model.safetensors")
    message = r"got nothing in the cache \S+; run once online to download it\."
    with pytest.raises(InputError, match=message):
        hub_file(REPO, "model.safetensors", offline=True)
    assert hub_size(REPO, "model.safetensors", offline=True) is None
    monkeypatch.setattr(constants, "HF_HUB_OFFLINE", True)
    with pytest.raises(InputError, match=message):
        hub_file(REPO, "model.safetensors")
    assert hub_size(REPO, "model.safetensors") is None


def test_a_full_disk_of_the_hub(hub, monkeypatch):
    def full(*_, **__):
        raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr(huggingface_hub.file_download, "http_get", full)
    with pytest.raises(InputError, match=r"got No space left on device; make room in \S+ and run it again\."):
        hub_file(REPO, "model.safetensors")


def test_a_cache_of_the_hub_that_cannot_be_written_is_a_warning(hub, monkeypatch, tmp_path, caplog):
    (tmp_path / "file").write_text("")
    monkeypatch.setattr(constants, "HF_HUB_CACHE", str(tmp_path / "file"))
    monkeypatch.setattr(huggingface_hub.file_download, "HF_HUB_CACHE", str(tmp_path / "file"), raising=False)
    files.warn_unkept.cache_clear()
    assert hub_file(REPO, "model.safetensors").is_file()
    assert f"{tmp_path / 'file'} can't be written (Not a directory)" in caplog.text


HUB = "from leepjax.models.hub import hub_file; print(hub_file('owner/net', 'model.safetensors'))"


def test_the_settings_of_the_hub_are_respected_and_a_killed_download_leaves_no_file(hub, site, tmp_path, monkeypatch):
    monkeypatch.setenv("HF_ENDPOINT", hub.url)
    monkeypatch.setenv("HF_HOME", str(tmp_path / "home"))
    released = threading.Event()
    site.stall = (200_000, released)
    process = subprocess.Popen([sys.executable, "-c", HUB], stderr=subprocess.DEVNULL)
    while not site.gets("/cdn/model.safetensors"):
        assert process.poll() is None
        threading.Event().wait(0.02)
    process.kill()
    process.wait()
    released.set()
    run = subprocess.run([sys.executable, "-c", HUB], capture_output=True, text=True, check=True)
    assert run.stdout.startswith(str(tmp_path / "home" / "hub" / "models--owner--net" / "snapshots" / COMMIT))
    hub.stop()
    monkeypatch.setenv("HF_HUB_OFFLINE", "1")
    assert subprocess.run([sys.executable, "-c", HUB], capture_output=True, text=True, check=True).stdout == run.stdout


def test_a_path_of_no_hub(tmp_path):
    with pytest.raises(
        InputError, match=r"hub_revision: expected a path in the Hub's cache, got .*; pass a path returned by"
    ):
        hub_revision(tmp_path / "model.safetensors")


def test_the_library_is_loaded_only_when_it_is_used():
    code = "import sys, leepjax.models.hub; print('huggingface_hub' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True).stdout == "False\n"


def test_a_source_of_the_hub_from_its_name_to_its_logits(hub, site):
    network = filled(abstract("resnet20", 10))
    network.eval()
    site.publish("config.json", json.dumps(CONFIG).encode(), large=False)
    site.publish("model.safetensors", safetensors.numpy.save(torch_layout(network)))
    card, to_fetch = describe(f"hf-hub:{REPO}")
    assert to_fetch == len(site.files["/cdn/model.safetensors"])
    source = load_source(f"hf-hub:{REPO}")
    assert (source.name, source.card.revision) == (f"hf-hub:{REPO}", COMMIT)
    assert source.card.preprocessing == card.preprocessing
    assert source.card.origin == f"https://huggingface.co/{REPO}"
    images = np.random.default_rng(0).integers(0, 256, (2, 32, 32, 3), np.uint8)
    expected = computed(network, source.card.preprocessing.normalise(images)).logits
    np.testing.assert_allclose(source(images).logits, expected, rtol=1e-4, atol=1e-5)
    assert describe(f"hf-hub:{REPO}")[1] == 0


def test_a_published_url_from_its_name_to_its_logits(server, site, tmp_path, monkeypatch):
    network = filled(abstract("resnet20", 10))
    content = safetensors.numpy.save(torch_layout(network))
    site.files["/net.safetensors"] = content[:-1]
    row = Published(
        "theirs",
        f"{server.url}/net.safetensors",
        "resnet20",
        weights.num_parameters(network),
        0.5,
        "MIT",
        num_classes=10,
        preprocessing=Preprocessing(image_size=32),
    )
    monkeypatch.setitem(opening.PUBLISHED, "theirs", row)
    monkeypatch.setenv("LEEPJAX_CACHE", str(tmp_path))
    with pytest.raises(InputError, match=r"in .*net\.safetensors, got a file that ends at byte .*; download it again"):
        load_source("theirs")
    site.files["/net.safetensors"] = content  # and what couldn't be read wasn't kept
    card, to_fetch = describe("theirs")
    assert (card.accuracy, card.licence, to_fetch) == (0.5, "MIT", len(content))
    source = load_source("theirs")
    assert source(np.zeros((1, 32, 32, 3), np.uint8)).logits.shape == (1, 10)
    assert describe("theirs") == (card, 0)
    site.files.clear()
    monkeypatch.setattr(constants, "HF_HUB_OFFLINE", True)
    assert load_source("theirs").card == source.card


def sharded(tensors, count=2):
    """An index and the shards of a state dict, as transformers saves one that is too large for a file."""
    names = sorted(tensors)
    places = {name: f"model-{i % count + 1:05}-of-{count:05}.safetensors" for i, name in enumerate(names)}
    shards = {place: {n: tensors[n] for n in names if places[n] == place} for place in set(places.values())}
    return json.dumps({"weight_map": places}).encode(), {k: safetensors.numpy.save(v) for k, v in shards.items()}


def torch_state_dict(tensors):
    arrays = {name: np.ascontiguousarray(array) for name, array in tensors.items()}
    entries = {
        name: tensor(name, "Float", array.size, 0, array.shape, [s // 4 for s in array.strides])
        for name, array in arrays.items()
    }
    return torch_zip(entries, {name: array.tobytes() for name, array in arrays.items()})


@pytest.mark.parametrize("form", ["shards", "torch"])
def test_weights_of_a_repository_in_other_files(hub, site, form, tmp_path):
    network = filled(abstract("resnet20", 10))
    network.eval()
    del site.redirects[f"/{REPO}/resolve/main/model.safetensors"]
    site.publish("config.json", json.dumps(CONFIG).encode(), large=False)
    if form == "shards":
        index, shards = sharded(torch_layout(network))
        site.publish("model.safetensors.index.json", index, large=False)
    else:
        shards = {"pytorch_model.bin": torch_state_dict(torch_layout(network))}
    for name, content in shards.items():
        site.publish(name, content)
    assert describe(f"hf-hub:{REPO}")[1] == sum(map(len, shards.values()))
    source = load_source(f"hf-hub:{REPO}")
    images = np.random.default_rng(0).integers(0, 256, (2, 32, 32, 3), np.uint8)
    expected = computed(network, source.card.preprocessing.normalise(images)).logits
    np.testing.assert_allclose(source(images).logits, expected, rtol=1e-4, atol=1e-5)
    assert describe(f"hf-hub:{REPO}")[1] == 0


def test_a_repository_without_weights(hub, site):
    del site.redirects[f"/{REPO}/resolve/main/model.safetensors"]
    site.publish("config.json", json.dumps(CONFIG).encode(), large=False)
    for open_ in (describe, load_source):
        with pytest.raises(
            InputError, match=rf"expected one of model.safetensors, .* in {REPO}, got none of them; choose"
        ):
            open_(f"hf-hub:{REPO}")


def test_a_download_of_the_hub_that_trickles_ends_in_a_sentence(hub, site, monkeypatch):
    monkeypatch.setattr(urls, "_TIMEOUT", 0.3)
    site.drip = 0.05
    started = time.monotonic()
    with pytest.raises(InputError, match=r"got \d+ bytes in \d seconds, below 1,024 per second; run it again later"):
        hub_file(REPO, "model.safetensors")
    assert time.monotonic() - started < 5
    site.drip = None
    assert hub_file(REPO, "model.safetensors").read_bytes() == CONTENT


def test_a_source_that_is_not_ours_is_refused_before_its_weights_are_fetched(hub, site):
    site.publish("config.json", json.dumps(CONFIG | {"architecture": "swin"}).encode(), large=False)
    site.publish("model.safetensors", CONTENT)
    with pytest.raises(InputError, match=rf"hf-hub:{REPO}: architecture: expected one of \d+ known names, got 'swin'"):
        load_source(f"hf-hub:{REPO}")
    assert not site.gets("/cdn/model.safetensors")
