"""The server of tests that download, and the settings of huggingface_hub that lead to it."""

import time

import pytest
from hub_server import CONTENT, serving
from huggingface_hub import constants


@pytest.fixture
def server(monkeypatch):
    for name in ("NO_PROXY", "no_proxy"):
        monkeypatch.setenv(name, "127.0.0.1")
    monkeypatch.setattr(time, "sleep", lambda _: None)
    with serving() as server:
        yield server


@pytest.fixture
def site(server):
    return server.site


@pytest.fixture
def hub(server, monkeypatch, tmp_path):
    monkeypatch.setattr(constants, "ENDPOINT", server.url)
    monkeypatch.setattr(
        constants, "HUGGINGFACE_CO_URL_TEMPLATE", server.url + "/{repo_id}/resolve/{revision}/{filename}"
    )
    monkeypatch.setattr(constants, "HF_HUB_CACHE", str(tmp_path / "hub"))
    monkeypatch.setattr(constants, "HF_TOKEN_PATH", str(tmp_path / "token"))
    monkeypatch.delenv("HF_TOKEN", raising=False)
    server.site.publish("model.safetensors", CONTENT)
    server.site.publish("config.json", b"{}", large=False)
    return server
