"""A server on this machine that behaves like the Hugging Face Hub and web servers, or fails on request.

``python tests/making/hub_server.py`` serves a few small models until it is ended: set HF_ENDPOINT to what it prints.
"""

import hashlib
import http.server
import json
import re
import threading
import time
from contextlib import contextmanager, suppress
from urllib.parse import parse_qs, urlencode, urlsplit

import huggingface_hub
import numpy as np
import safetensors.numpy
from timm_layout import CONFIG, filled, torch_layout

from leepjax.models.architectures import abstract

pause = time.sleep  # the tests of repeated attempts replace it
CONTENT = np.random.default_rng(0).bytes(300_000)
COMMIT, REPO = "0123456789abcdef0123456789abcdef01234567", "owner/net"


class Site:
    """What the server serves, how it misbehaves, and the requests that it saw."""

    def __init__(self):
        self.files = {"/model.pth": CONTENT}
        self.etags = {"/model.pth": '"first"'}
        self.redirects = {}
        self.status = {}
        self.ranges = True
        self.most = None
        """How many bytes an answer to a request for a range has at most."""
        self.cuts = []
        """Bytes after which the next answers break off."""
        self.stall = None
        """The event for which the next answer waits after these bytes: (bytes, event)."""
        self.drip = None
        """Seconds between the bytes of large files."""
        self.seen = []
        self.repos = {REPO}
        self.models = []
        """What the hub lists, each with all fields; an answer has only those that were asked for."""
        self.page = 1000
        """How many models the hub lists per answer."""

    def gets(self, path="/model.pth"):
        return [headers for method, seen, headers in self.seen if (method, seen) == ("GET", path)]

    def publish(self, filename, content, *, large=True, repo=REPO):
        """Put a file in a repository, as the Hub does: a large one behind a redirect to where content lies."""
        self.repos.add(repo)
        address = f"/{repo}/resolve/main/{filename}"
        place = f"/cdn/{filename}" if repo == REPO else f"/cdn/{repo}/{filename}"
        digest = (
            hashlib.sha256(content).hexdigest()
            if large
            else hashlib.sha1(b"blob %d\0" % len(content) + content).hexdigest()
        )
        headers = {"X-Repo-Commit": COMMIT, "ETag": f'"{digest}"'}
        if large:
            headers |= {"X-Linked-Etag": f'"{digest}"', "X-Linked-Size": str(len(content))}
            self.redirects[address] = (place, headers)
        self.files[place if large else address] = content
        self.etags[place if large else address] = f'"{digest}"'


class Handler(http.server.BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    timeout = 30

    def log_message(self, *_):
        pass

    def do_HEAD(self):
        self.do_GET()

    def do_GET(self):
        site = self.server.site
        site.seen.append((self.command, self.path, dict(self.headers)))
        if self.path in site.status:
            status, headers = site.status[self.path]
            return self.answer(status, headers, b"no")
        if self.path in site.redirects:
            place, headers = site.redirects[self.path]
            return self.answer(302, {"Location": self.server.url + place} | headers, b"")
        if self.path.startswith("/api/models?"):
            return self.list_models()
        if self.path not in site.files:
            unknown = "/resolve/" in self.path and self.path[1:].partition("/resolve/")[0] not in site.repos
            code = "RepoNotFound" if unknown else "EntryNotFound"
            return self.answer(404, {"X-Error-Code": code, "X-Repo-Commit": COMMIT}, b"no such file")
        content, headers = site.files[self.path], {"X-Repo-Commit": COMMIT}
        if etag := site.etags.get(self.path):
            headers["ETag"] = etag
        asked = re.fullmatch(r"bytes=(\d+)-", self.headers.get("Range", ""))
        if asked and site.ranges and self.headers.get("If-Range", etag) == etag:
            begin = int(asked[1])
            if begin >= len(content):
                return self.answer(416, {"Content-Range": f"bytes */{len(content)}"}, b"")
            body = content[begin:][: site.most]
            headers["Content-Range"] = f"bytes {begin}-{begin + len(body) - 1}/{len(content)}"
            return self.answer(206, headers, body)
        return self.answer(200, headers, content)

    def list_models(self):
        """A page of the models that meet the query, with the address of the next page as the hub states it."""
        site, query = self.server.site, parse_qs(urlsplit(self.path).query)
        found = [
            model
            for model in site.models
            if model["id"].startswith(f"{query['author'][0]}/" if "author" in query else "")
            and set(query.get("filter", ())) <= set(model["tags"])
        ]
        begin = int(query.pop("cursor", ["0"])[0])
        page = [{k: model[k] for k in model if k in ("id", *query["expand"])} for model in found[begin:][: site.page]]
        headers = {"Content-Type": "application/json"}
        if begin + site.page < len(found):
            address = urlencode(query | {"cursor": [begin + site.page]}, doseq=True)
            headers["Link"] = f'<{self.server.url}/api/models?{address}>; rel="next"'
        self.answer(200, headers, json.dumps(page).encode())

    def answer(self, status, headers, body):
        self.send_response(status)
        for name, value in ({"Content-Length": str(len(body))} | headers).items():
            self.send_header(name, value)
        self.end_headers()
        if self.command == "HEAD":
            return
        site = self.server.site
        with suppress(ConnectionError):
            if site.stall and status in (200, 206):
                (count, event), site.stall = site.stall, None
                self.wfile.write(body[:count])
                self.wfile.flush()
                event.wait(30)
                body = body[count:]
            elif site.cuts and status in (200, 206):
                body = body[: site.cuts.pop(0)]
                self.close_connection = True
            elif site.drip and len(body) > 1000:
                for at in range(len(body)):
                    self.wfile.write(body[at : at + 1])
                    pause(site.drip)
            self.wfile.write(body)


class Server(http.server.ThreadingHTTPServer):
    daemon_threads = False  # joined when the server closes: no socket is left open

    def stop(self):
        huggingface_hub.close_session()  # it keeps connections open, which the server would wait for
        self.shutdown()
        self.server_close()


@contextmanager
def serving():
    """A server in a thread of its own, until the end of the block."""
    server = Server(("127.0.0.1", 0), Handler)
    server.url, server.site = f"http://127.0.0.1:{server.server_port}", Site()
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01})
    thread.start()
    try:
        yield server
    finally:
        server.stop()
        thread.join()


def listed(name, parameters=None, *, tags=("timm",), task="image-classification", licence="apache-2.0", **fields):
    """A model as the hub lists it."""
    stated = {"safetensors": {"parameters": {"F32": parameters}, "total": parameters}} if parameters else {}
    return {
        "id": name,
        "tags": [*tags, task, f"license:{licence}"],
        "pipeline_tag": task,
        "downloads": 10,
        "private": False,
        "gated": False,
        **stated,
        **fields,
    }


def publish_networks(site, names, **fields):
    """Put small networks with random weights into repositories, and list them."""
    for seed, name in enumerate(names):
        tensors = torch_layout(filled(abstract("resnet20", 10)))
        tensors["linear.weight"] = np.roll(tensors["linear.weight"], seed)
        site.publish("config.json", json.dumps(CONFIG).encode(), large=False, repo=name)
        site.publish("model.safetensors", safetensors.numpy.save(tensors), repo=name)
        site.models.append(listed(name, sum(array.size for array in tensors.values()), **fields))


if __name__ == "__main__":
    with serving() as server, suppress(KeyboardInterrupt):
        publish_networks(server.site, ["timm/resnet20.one", "timm/resnet20.two"])
        publish_networks(server.site, ["someone/tuned"], licence="mit", downloads=3)
        server.site.models += [
            listed("timm/resnet50.a1_in1k", 25_600_000, downloads=900),
            listed("timm/never_heard_of.in1k", 5_000_000, downloads=800),
            listed("timm/resnet18.closed", 11_700_000, gated="auto", downloads=2),
        ]
        server.site.status["/timm/resnet18.closed/resolve/main/config.json"] = (403, {"X-Error-Code": "GatedRepo"})
        print(f"HF_ENDPOINT={server.url}", flush=True)  # noqa: T201
        threading.Event().wait()
