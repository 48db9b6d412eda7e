"""Layers of one network share one pass: what it reads, what it stores, and how it resumes after a kill."""

from dataclasses import replace

import jax
import numpy as np
import pytest
from layered import NETWORKS, SIZE, layered_source

from leepjax.data.target import from_arrays
from leepjax.extraction import shared_pass
from leepjax.extraction.cost import cost_of_text
from leepjax.extraction.extract import extract, table_key, table_path
from leepjax.extraction.shared_pass import SharedPass, by_network
from leepjax.models import architectures
from leepjax.models.tapped import Together, candidates_of, forward_together, read_layers
from leepjax.types import Outputs

TARGET = from_arrays(
    np.random.default_rng(0).integers(0, 256, (23, SIZE, SIZE, 3)).astype(np.uint8), np.arange(23) % 3, name="noise"
)


@pytest.fixture(autouse=True)
def networks(monkeypatch):
    for name, build in NETWORKS.items():
        monkeypatch.setitem(architectures.ARCHITECTURES, name, build)


@pytest.fixture
def layers(tmp_path):
    source = layered_source(tmp_path, "tokens")
    return candidates_of(source, read_layers("rank", ["all-blocks", "last"], None))


def counting(read):
    def counted(index):
        read.append(index)
        return TARGET.read(index)

    return replace(TARGET, read=counted)


def tables(layers, target=TARGET, **options):
    with SharedPass(layers, target, batch_size=5, **options) as shared:
        return [shared.table(layer) for layer in layers]


def test_each_image_is_read_once_and_every_layer_is_as_alone(layers, tmp_path):
    read, done = [], []
    found = tables(layers, counting(read), cache=tmp_path / "cache", on_batch=done.append)
    assert sorted(read) == list(range(23))
    assert sum(done) == 23
    for layer, table in zip(layers, found, strict=True):
        alone = extract(layer, TARGET, batch_size=5)
        np.testing.assert_allclose(table.features, alone.features, atol=1e-6)
        np.testing.assert_allclose(table.logits, alone.logits, atol=1e-6)
        assert table.key == alone.key
        assert table.provenance["source"] == layer.name
        assert table.provenance["batch_size"] == "5"
    assert [table.logits.shape[1] for table in found] == [0, 0, 0, 5]
    assert len(list((tmp_path / "cache").iterdir())) == 4
    again = []
    tables(layers, counting(again), cache=tmp_path / "cache")
    assert again == []


def test_without_a_cache_features_wait_in_a_folder_that_is_removed(layers, tmp_path, monkeypatch):
    monkeypatch.setattr("tempfile.tempdir", str(tmp_path / "temporary"))
    (tmp_path / "temporary").mkdir()
    with SharedPass(layers, TARGET, batch_size=5) as shared:
        shared.table(layers[0])
        assert len(list((tmp_path / "temporary").iterdir())) == 1
    assert list((tmp_path / "temporary").iterdir()) == []


def test_only_the_layers_that_are_missing_are_computed(layers, tmp_path, monkeypatch):
    tables(layers[:1], cache=tmp_path)
    seen = []
    plain = shared_pass.Together
    monkeypatch.setattr(shared_pass, "Together", lambda sources: (seen.append(sources), plain(sources))[1])
    tables(layers, cache=tmp_path)
    assert seen == [tuple(layers[1:])]


def test_features_in_memory_are_bounded_by_what_waits_to_be_written(layers, tmp_path, monkeypatch):
    waiting = []
    plain = shared_pass.Shards.write

    def noted(shards, batches, row):
        waiting.append(sum(len(batch.features) for batch in batches))
        return plain(shards, batches, row)

    monkeypatch.setattr(shared_pass.Shards, "write", noted)
    monkeypatch.setattr(shared_pass, "MOST_WAITING", 1)
    found = tables(layers, cache=tmp_path)
    assert set(waiting) == {5, 3}
    np.testing.assert_allclose(found[0].features, extract(layers[0], TARGET).features, atol=1e-6)


@pytest.mark.parametrize("damage", [None, "one table is ahead"])
def test_a_killed_pass_resumes_where_all_tables_have_the_same_parts(layers, tmp_path, monkeypatch, damage):
    monkeypatch.setattr(shared_pass, "SECONDS", 0.0)

    def breaks(index):
        if index == 17:
            raise KeyboardInterrupt
        return TARGET.read(index)

    with pytest.raises(KeyboardInterrupt):
        tables(layers, replace(TARGET, read=breaks), cache=tmp_path)
    folder = table_path(tmp_path, table_key(layers[1], TARGET)).with_suffix(".parts")
    parts = sorted(folder.iterdir(), key=lambda path: int(path.stem.split("-")[0]))
    assert len(parts) > 1
    if damage:
        parts[-1].unlink()
    done = int(parts[-2 if damage else -1].stem.split("-")[1])
    read = []
    found = tables(layers, counting(read), cache=tmp_path)
    assert sorted(read) == list(range(done, 23))
    for layer, table in zip(layers, found, strict=True):
        np.testing.assert_allclose(table.features, extract(layer, TARGET).features, atol=1e-6)


def test_parts_from_a_row_on_are_removed_and_those_before_it_kept(tmp_path):
    shards, five = shared_pass.Shards(tmp_path), Outputs(np.ones((5, 2), np.float32), np.ones((5, 3), np.float32))
    for row in (0, 5, 10):
        shards.write([five], row)
    shards.cut(5)
    assert [path.name for path in tmp_path.iterdir()] == ["0-5.safetensors"]


def test_layers_that_remain_are_computed_by_the_program_of_all_that_were_named(layers, tmp_path):
    plain = forward_together._cache_size()
    tables(layers[:3], cache=tmp_path / "first")
    compiled = forward_together._cache_size()
    assert compiled == plain + 1
    for number, left in enumerate((layers[1:3], layers[2:3])):
        (*_, found) = tables(left, cache=tmp_path / str(number))
        np.testing.assert_allclose(found.features, extract(layers[2], TARGET).features, atol=1e-6)
        assert forward_together._cache_size() == compiled
    taps = Together((layers[1],)).program[0].taps
    assert [str(tap) for tap in taps] == ["blocks.0:mean", "blocks.1:mean"]  # nothing above it


def test_a_layer_costs_its_share_of_the_pass(layers, tmp_path):
    costs = [cost_of_text(table.provenance["cost"]) for table in tables(layers, cache=tmp_path)]
    flops = [cost.flops_per_image for cost in costs]
    assert flops[0] < flops[1] < flops[2] <= flops[3]
    for cost in costs:
        assert cost.seconds_per_image / costs[3].seconds_per_image == pytest.approx(
            cost.flops_per_image / flops[3], rel=1e-6
        )


def test_layers_of_one_network_are_together_and_other_sources_apart(layers, tmp_path):
    other = layered_source(tmp_path, "maps")
    same = layered_source(tmp_path, "tokens", "again")
    found = by_network([layers[0], other, layers[3], same])
    assert [(each.name, tuple(each)) for each in found] == [
        ("tokens", (layers[0], layers[3])),
        ("maps", (other,)),
        ("again", (same,)),
    ]


def test_the_batch_is_halved_for_all_layers_at_once(layers, tmp_path, monkeypatch):
    plain = shared_pass.Together.__call__

    def limited(self, images):
        if len(images) > 3:
            raise jax.errors.JaxRuntimeError("RESOURCE_EXHAUSTED: out of memory")
        return plain(self, images)

    monkeypatch.setattr(shared_pass.Together, "__call__", limited)
    found = tables(layers, cache=tmp_path)
    assert {table.provenance["batch_size"] for table in found} == {"2"}
    assert found[0].features.shape == (23, 6)
