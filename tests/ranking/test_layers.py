"""Layers of sources are candidates of a ranking and of a choice: rows, costs, remarks and the written network."""

import gc
import weakref

import jax
import numpy as np
import pytest
from cheap_heads import least_squares, use_heads
from layered import NETWORKS, SIZE, layered_source

import leepjax as lj
from leepjax.choosing.passes import Passes
from leepjax.data.target import from_arrays
from leepjax.engines.serial import serial
from leepjax.extraction import forward, shared_pass
from leepjax.models import architectures
from leepjax.models.source import WeightsFile
from leepjax.models.tap_names import selection
from leepjax.models.tapped import candidates_of, read_layers
from leepjax.ranking.estimate import estimate
from leepjax.types import InputError

LABELS = np.random.default_rng(1).permutation(np.arange(120) % 3).astype(np.int32)
_COLOURS = np.array([[60, 90, 120], [120, 60, 90], [90, 120, 60]])[LABELS]
_NOISE = np.random.default_rng(0).normal(0, 60, (120, SIZE, SIZE, 3))
IMAGES = np.clip(_COLOURS[:, None, None] + _NOISE, 0, 255).astype(np.uint8)
TARGET = from_arrays(IMAGES, LABELS, name="colours")


@pytest.fixture(autouse=True)
def networks(monkeypatch):
    for name, build in NETWORKS.items():
        monkeypatch.setitem(architectures.ARCHITECTURES, name, build)


@pytest.fixture(autouse=True)
def fast_heads(monkeypatch):
    use_heads(monkeypatch, least_squares)


@pytest.fixture
def sources(tmp_path):
    return [layered_source(tmp_path, "tokens"), layered_source(tmp_path, "maps")]


@pytest.fixture
def passes(monkeypatch):
    """The numbers of images that each pass of the test decodes."""
    seen = []
    plain = forward.forward_batches

    def counted(apply, target, *arguments, start=0, **options):
        seen.append(len(target) - start)
        return plain(apply, target, *arguments, start=start, **options)

    monkeypatch.setattr(shared_pass, "forward_batches", counted)
    return seen


def test_every_layer_is_a_row_and_each_source_makes_one_pass(sources, passes, tmp_path):
    options = {"features": ["all-blocks", "last"], "verify": "ridge", "resamples": 0, "out": tmp_path / "out"}
    ranking = lj.rank(TARGET, sources, ["lfc", "nce"], **options)
    assert passes == [120, 120]
    layers = {f"tokens@blocks.{i}:mean" for i in range(3)} | {f"maps@stages.{i}:mean" for i in range(3)}
    assert set(ranking.sources) == layers | {"tokens", "maps"}
    assert all(np.isfinite(score) for score in ranking.scores("lfc").values())
    with_nce = {name for name, score in ranking.scores("nce").items() if np.isfinite(score)}
    assert with_nce == {"tokens", "maps"}
    assert set(ranking.accuracies) == set(ranking.sources)
    seconds = {name: cost.seconds_per_image for name, cost in ranking.costs.items()}
    assert seconds["maps@stages.0:mean"] < seconds["maps@stages.1:mean"] < seconds["maps@stages.2:mean"]
    shown = str(ranking)
    assert "Selected among 8 candidates, among them layers of 2 sources: the best of many owes part" in shown
    assert "undefined for sources without a head, such as layers" in shown
    assert lj.rank(TARGET, sources, ["lfc", "nce"], **options).to_records() == ranking.to_records()
    assert len(passes) == 2


@pytest.fixture
def held(monkeypatch):
    """A function that returns how many networks have their parameters in memory."""
    parameters = []
    plain = WeightsFile.open

    def opened(network):
        apply, params = plain(network)
        parameters.append(weakref.ref(jax.tree.leaves(params)[0]))
        return apply, params

    def count():
        gc.collect()
        return sum(each() is not None for each in parameters)

    monkeypatch.setattr(WeightsFile, "open", opened)
    return count


def test_one_network_at_a_time_is_in_memory(sources, held, tmp_path):
    seen = []
    options = {"features": ["all-blocks", "last"], "verify": "none", "resamples": 0}
    lj.rank(TARGET, sources, "lfc", on_record=lambda record: seen.append(held()), **options)
    assert seen == [1] * 8
    assert held() == 0
    lj.extract(TARGET, sources, out=tmp_path / "tables", features="last")
    assert held() == 0
    assert sources[0](IMAGES[:2]).features.shape == (2, 6), "a source that was let go is read again"


def test_a_layer_scores_in_a_ranking_as_it_does_alone(sources):
    options = {"verify": "none", "resamples": 0}
    together = lj.rank(TARGET, sources[:1], ["lfc"], features="blocks.*", pooling=["cls", "mean"], **options)
    assert len(together.sources) == 6
    alone = lj.rank(TARGET, sources[:1], ["lfc"], features="blocks.1", pooling="cls", **options)
    assert alone.scores("lfc")["tokens@blocks.1:cls"] == pytest.approx(
        together.scores("lfc")["tokens@blocks.1:cls"], abs=1e-4
    )
    assert "Selected" not in str(lj.rank(TARGET, sources[:1], ["lfc"], **options))


def test_a_source_without_the_layer_is_left_out_and_the_others_are_ranked(sources):
    ranking = lj.rank(TARGET, sources, ["lfc"], features="stages.0", verify="none", resamples=0)
    assert ranking.sources == ("maps@stages.0:mean",)
    (failure,) = ranking.failures
    assert failure.source == "tokens"
    assert "expected one of 3 layers (blocks.0, blocks.1, blocks.2" in failure.reason
    with pytest.raises(InputError, match="got cls; choose one of these"):
        lj.rank(TARGET, sources[1:], ["lfc"], features="all-blocks", pooling="cls", verify="none")


def test_a_layer_that_is_not_finite_does_not_end_the_others(sources, monkeypatch):
    plain = shared_pass.extract

    def broken(source, *arguments, **options):
        if source.name == "tokens@blocks.1:mean":
            raise FloatingPointError("not finite")
        return plain(source, *arguments, **options)

    monkeypatch.setattr(shared_pass, "extract", broken)
    ranking = lj.rank(TARGET, sources[:1], ["lfc"], features="all-blocks", verify="none", resamples=0)
    assert [(each.source, each.reason) for each in ranking.failures] == [("tokens@blocks.1:mean", "not finite")]
    assert len(ranking.sources) == 2
    choice = lj.choose(TARGET, sources[:1], features="all-blocks")
    assert [each.source for each in choice.failures] == ["tokens@blocks.1:mean"]
    assert len(choice.race.looks[0].survivors) <= 2


def test_a_race_counts_every_layer_and_each_pass_once(sources, passes):
    choice = lj.choose(TARGET, sources, features="all-blocks")
    first = choice.race.looks[0]
    assert len(first.standings) == 6
    looks = 2  # of 50 and 120 images
    assert first.level == pytest.approx(0.05 / looks / (6 * 5))
    assert passes[:2] == [50, 50]
    assert "Selected among 6 candidates, among them layers of 2 sources" in str(choice)
    assert choice.source.partition("@")[0] in ("tokens", "maps")


def test_a_pass_costs_a_race_once_however_many_layers_share_it(sources):
    layers = candidates_of(sources[0], read_layers("choose", "all-blocks", None))
    options = {"metric": "accuracy", "engine": serial, "cache": None, "batch_size": 25, "overheads": False}
    together = Passes(TARGET, [*layers, sources[1]], on_progress=lambda *_: None, **options)
    looked = dict(together.look(range(4), 50))
    costs = together.costs([1, 0, 3, 2], 50, 100)
    assert costs[0] > 0 < costs[2]
    assert costs[1] == costs[3] == 0
    assert together.costs([2], 50, 100)[0] == pytest.approx(costs[0])
    assert sum(together.costs(range(4), 0, 50)) == pytest.approx(together.passed)
    assert sum(outcomes.seconds for outcomes in looked.values()) == pytest.approx(together.passed)


def test_a_chosen_layer_is_written_and_predicts(sources, tmp_path):
    choice = lj.choose(TARGET, sources[1:], features="stages.1", pooling="gem", out=tmp_path / "out")
    assert choice.source == "maps@stages.1:gem"
    assert choice.path is not None
    written = lj.load_source(choice.path)
    assert (written.card.model, written.card.num_classes) == ("maps@stages.1:gem", 3)
    predicted = lj.predict(IMAGES, choice.path)
    names = [TARGET.classes[label] for label in LABELS]
    right = np.mean([row["class"] == name for row, name in zip(predicted.rows(), names, strict=True)])
    assert right > choice.value - 0.1


def test_each_layer_has_a_table(sources, passes, tmp_path):
    extracted = lj.extract(TARGET, sources[0], out=tmp_path / "tables", features="all-blocks", pooling="max")
    assert list(extracted) == [f"tokens@blocks.{i}:max" for i in range(3)]
    assert passes == [120]
    assert all(each.path.exists() and each.table.features.shape == (120, 6) for each in extracted.values())


def test_the_estimate_is_of_the_pass_to_the_deepest_layer(sources):
    layers = read_layers("rank", ["stages.0", "stages.1"], None)
    (row,) = estimate(100, sources[1:], layers).rows
    assert (row["source"], row["model"]) == ("maps", "maps@stages.1:mean")
    (row,) = estimate(100, sources[1:], read_layers("rank", ["stages.0", "last"], None)).rows
    assert row["model"] == "maps"


def test_a_selection_is_counted_by_names():
    assert selection(["a", "b"]) == ""
    names = ["a@x.1:mean (p/a.safetensors)", "a@x.2:mean (p/a.safetensors)", "b@y:cls", "c"]
    assert selection(names) == "4 candidates, among them layers of 2 sources"
