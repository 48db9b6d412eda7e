"""Models of the hub found by filters and patterns, against a server on this machine that lists as the hub does."""

import logging
from urllib.parse import parse_qs, urlsplit

import pytest
from hub_server import listed, publish_networks
from huggingface_hub import constants

from leepjax.cli.options import sources_of
from leepjax.models import hub_listing
from leepjax.models.hub_listing import hub_models, read_filter
from leepjax.opening.names import expand
from leepjax.opening.sources import chosen_sources, open_each
from leepjax.ranking.estimate import estimate
from leepjax.types import InputError


@pytest.fixture
def models(hub):
    """A hub that lists some models, two of which aren't for leepjax."""
    hub.site.models = [
        listed("timm/resnet18.a1_in1k", 11_700_000, downloads=5),
        listed("timm/resnet50.gluon_in1k", 25_600_000, downloads=7, licence="cc-by-nc-4.0"),
        listed("timm/vit_small_patch16_224.augreg_in1k", 22_100_000, task="image-feature-extraction"),
        listed("timm/resnet34", None, downloads=1),
        listed("timm/an_architecture_of_the_future.in1k", 3),
        listed("someone/other", 9, tags=("transformers",)),
    ]
    return hub


def names(*conditions):
    return [row["source"].removeprefix("timm/") for row in hub_models(read_filter(conditions))]


def queries(hub):
    return [parse_qs(urlsplit(path).query) for _, path, _ in hub.site.seen if path.startswith("/api/models?")]


def test_models_of_known_architectures_are_listed_with_what_the_hub_states(models):
    rows = hub_models([])
    assert [row["source"] for row in rows] == [
        *("timm/vit_small_patch16_224.augreg_in1k", "timm/resnet50.gluon_in1k", "timm/resnet18.a1_in1k"),
        "timm/resnet34",
    ]
    assert rows[1] == {
        "source": "timm/resnet50.gluon_in1k",
        "name": "resnet50.gluon_in1k",
        "author": "timm",
        "family": "resnet",
        "architecture": "resnet50",
        "parameters": 25_600_000,
        "megabytes": 102,
        "licence": "cc-by-nc-4.0",
        "task": "image-classification",
        "downloads": 7,
        "access": "open",
    }
    assert rows[3]["parameters"] is rows[3]["megabytes"] is None


@pytest.mark.parametrize(
    ("conditions", "found"),
    [
        (["parameters<30e6", "licence=apache-2.0", "task=image-classification"], ["resnet18.a1_in1k"]),
        (["parameters>=22100000"], ["vit_small_patch16_224.augreg_in1k", "resnet50.gluon_in1k"]),
        (["licence!=apache*"], ["resnet50.gluon_in1k"]),
        (["name=resnet?8*"], ["resnet18.a1_in1k"]),
        (["name~GLUON"], ["resnet50.gluon_in1k"]),
        (["family=vit"], ["vit_small_patch16_224.augreg_in1k"]),
        (["architecture!=vit*", "downloads<=5"], ["resnet18.a1_in1k", "resnet34"]),
        (["augreg"], ["vit_small_patch16_224.augreg_in1k"]),
        (["access=gated"], []),
    ],
)
def test_a_filter(models, conditions, found):
    assert names(*conditions) == found


def test_the_hub_applies_what_it_can_itself(models):
    names("task=image-classification", "licence=Apache-2.0", "name=resnet*")
    (query,) = queries(models)
    assert query["author"] == ["timm"]
    assert query["filter"] == ["image-classification", "license:apache-2.0"]
    assert names("licence=apache*", "author=*")
    assert queries(models)[1]["filter"] == ["timm"]
    assert "author" not in queries(models)[1]


def test_pages_are_followed_to_the_last(models):
    whole, models.site.page = names(), 2
    assert names() == whole
    assert len(queries(models)) == 1 + 3


@pytest.mark.parametrize(
    ("condition", "message"),
    [
        ("licens=mit", r"filter: column: expected one of 11 known names, got 'licens'; did you mean licence\?"),
        (
            "parameters==3",
            r"filter: expected a column, one of = != < <= > >= ~ and a value, got 'parameters==3'; w",
        ),
        ("parameters=>3", "got 'parameters=>3'"),
        ("name=", "got 'name='"),
        ("parameters<small", "filter: expected a number after parameters<, got 'small'; write one, such as 5e6"),
    ],
)
def test_a_wrong_filter_is_refused_before_a_request(models, condition, message):
    with pytest.raises(InputError, match=message):
        names(condition)
    assert not models.site.seen


def test_repositories_of_other_authors_are_looked_into(models, caplog, monkeypatch):
    publish_networks(models.site, ["someone/tuned", "someone/more"], licence="mit")
    models.site.models.append(listed("someone/closed", 5, gated="manual", downloads=99))
    models.site.status["/someone/closed/resolve/main/config.json"] = (403, {"X-Error-Code": "GatedRepo"})
    assert names("author=someone") == ["hf-hub:someone/more", "hf-hub:someone/tuned"]
    assert "hub: 1 gated or private models can't be read; get access, and run hf auth login." in caplog.text
    assert names("author!=timm", "licence=mit", "family=cifar_resnet", "name=t*") == ["hf-hub:someone/tuned"]
    monkeypatch.setattr(hub_listing, "MOST_CONFIGS", 1)
    with caplog.at_level(logging.WARNING, "leepjax"):
        assert names("author=*", "licence=mit") == ["hf-hub:someone/more"]
    assert "1 models of other authors weren't read, only the 1 most downloaded; add conditions." in caplog.text


@pytest.mark.parametrize(
    ("status", "message"),
    [
        (401, r"got HTTP 401; run hf auth login with access to it\."),
        (429, r"got HTTP 429; try again later\."),
        (500, r"got HTTP 500; try again later\."),
    ],
)
def test_a_hub_that_refuses(models, status, message, monkeypatch):
    monkeypatch.setattr(models.RequestHandlerClass, "list_models", lambda self: self.answer(status, {}, b"no"))
    with pytest.raises(InputError, match=rf"hub: expected a list of models from {models.url}, {message}"):
        hub_models([])


def test_no_hub(models, monkeypatch):
    models.stop()
    with pytest.raises(InputError, match=rf"got no answer from {models.url}; check the network and HF_ENDPOINT\."):
        hub_models([])
    monkeypatch.setattr(constants, "HF_HUB_OFFLINE", True)
    with pytest.raises(InputError, match=r"got offline mode; name the sources, or unset HF_HUB_OFFLINE\."):
        hub_models([])


def test_sources_by_filters_and_patterns(models):
    assert expand("rank", "hub:parameters<20e6, licence=apache-2.0") == ("timm/resnet18.a1_in1k",)
    assert expand("rank", "timm/resnet*.*") == ("timm/resnet50.gluon_in1k", "timm/resnet18.a1_in1k")
    assert expand("rank", "resnet1*") == ("resnet18", "resnet101", "resnet152")
    assert expand("rank", "a[b].safetensors") == ("a[b].safetensors",)
    assert expand("rank", "local-dir:[x]*") == ("local-dir:[x]*",)
    assert chosen_sources("rank", ["resnet1*", "resnet18", "resnet*8"]) == ["resnet18", "resnet101", "resnet152"]


@pytest.mark.parametrize(
    ("name", "message"),
    [
        ("hub:", "rank: expected conditions after hub:, got none; write, for example, hub:parameters<5e6"),
        (
            "hub:parameters<1",
            r"rank: expected models on the hub that leepjax can open for 'hub:parameters<1', got",
        ),
        ("hub:size<1", "rank: filter: column: expected one of 11 known names, got 'size'"),
        ("timm/never*", "got none; see leepjax ls hub"),
        ("*/resnet*", "rank: expected a pattern timm/… or hf-hub:OWNER/…, got '\\*/resnet\\*'; name the owner"),
        (
            "never*",
            r"rank: expected names of sources like 'never\*', got none of \d+; see leepjax ls sources, or w",
        ),
    ],
)
def test_a_search_that_finds_nothing(models, name, message):
    with pytest.raises(InputError, match=message):
        expand("rank", name)


def test_conditions_after_hub_are_of_one_source(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    assert sources_of("a,hub:task=x, parameters<3,licence != mit,timm/b,c=1") == [
        *("a", "hub:task=x,parameters<3,licence != mit", "timm/b", "c=1"),
    ]
    assert sources_of(None) is None
    (tmp_path / "c=1").write_text("")
    assert sources_of("hub:a=1,c=1") == ["hub:a=1", "c=1"]


def test_models_found_are_opened_and_a_gated_one_is_left_out_with_what_to_do(models):
    models.site.models = []
    publish_networks(models.site, ["timm/resnet20.one", "timm/resnet20.two"])
    models.site.models.append(listed("timm/resnet20.closed", 270_000, gated="auto"))
    models.site.status["/timm/resnet20.closed/resolve/main/config.json"] = (403, {"X-Error-Code": "GatedRepo"})
    opened = open_each("rank", ["random", "hub:architecture=resnet20"])
    assert [source.name for source in opened.sources] == ["random", "timm/resnet20.one", "timm/resnet20.two"]
    (failed,) = opened.failed
    assert failed.source == "timm/resnet20.closed"
    assert f"got no access; accept its terms at {models.url}/timm/resnet20.closed and run hf auth" in str(failed.error)


def test_a_dry_run_sums_parameters_and_bytes_without_weights(models):
    models.site.models = []
    publish_networks(models.site, ["timm/resnet20.one", "timm/resnet20.two"])
    models.site.models.append(listed("timm/resnet20.closed", 270_000, gated="auto"))
    models.site.status["/timm/resnet20.closed/resolve/main/config.json"] = (403, {"X-Error-Code": "GatedRepo"})
    found = estimate(10, "hub:family=cifar_resnet")
    assert [row["source"] for row in found.rows] == ["timm/resnet20.one", "timm/resnet20.two"]
    assert found.total() == "2 sources of 0.5 million parameters, 2 megabytes to fetch"
    assert [each.source for each in found.failed] == ["timm/resnet20.closed"]
    fetched = [path for method, path, _ in models.site.seen if method == "GET" and not path.startswith("/api/")]
    assert fetched
    assert all("config.json" in path for path in fetched)
    with pytest.raises(InputError, match="got no access; accept its terms"):
        estimate(10, "timm/resnet20.closed")
    with pytest.raises(InputError, match="source: expected one of"):
        estimate(10, ["random", "randon"])
