"""Sweeps: a ranking for each target, resumption, and units that fail in other processes."""

import pickle
import sys
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from cheap_heads import least_squares, use_heads
from same_rankings import assert_same
from small_shipped import small_sources

import leepjax as lj
from leepjax.data.readers import digits
from leepjax.engines import ray as ray_engine
from leepjax.engines.serial import serial as run_serially
from leepjax.engines.units import Outcome
from leepjax.extraction import shared_pass
from leepjax.models.opening import load_source
from leepjax.ranking import sweep as sweeping
from leepjax.storage.files import WriteError
from leepjax.storage.records import read_records
from leepjax.types import InputError

SOURCES = ("random", "cifar10")
small = small_sources(*SOURCES)
MEASURES = ("nce", "lfc")  # which compile sooner than others
SMALL = {"limit": 60, "resamples": 10}
NUM_RECORDS = 2 * len(SOURCES) * (len(MEASURES) + 1)


@pytest.fixture(scope="module", autouse=True)
def fast_heads():
    with pytest.MonkeyPatch.context() as patch:
        use_heads(patch, least_squares)
        yield


@pytest.fixture(scope="module")
def targets(tmp_path_factory):
    """Handwritten digits as they come, and others of them in a folder; shapes are alike, so nothing compiles twice."""
    folder = tmp_path_factory.mktemp("targets") / "folder"
    for i in range(100, 190):
        (folder / str(digits().labels[i])).mkdir(parents=True, exist_ok=True)
        digits().read(i).save(folder / str(digits().labels[i]) / f"{i}.png")
    return "digits", folder


@pytest.fixture(scope="module")
def serial(targets, tmp_path_factory):
    """The rankings of a serial sweep, and the folder of its results."""
    out = tmp_path_factory.mktemp("serial")
    return lj.sweep(targets, SOURCES, MEASURES, out=out, **SMALL), out


def forbid(monkeypatch, module, name):
    monkeypatch.setattr(module, name, lambda *args, **options: pytest.fail(f"{name} was called"))


def test_a_sweep_ranks_each_target_as_rank_does_and_shares_its_records(targets, serial, monkeypatch):
    rankings, out = serial
    assert list(rankings) == ["digits", "folder"]
    assert len(read_records(out / "results.jsonl")) == NUM_RECORDS
    forbid(monkeypatch, shared_pass, "extract")
    for target, ranking in zip(targets, rankings.values(), strict=True):
        assert lj.rank(target, SOURCES, MEASURES, out=out, **SMALL) == ranking


def test_an_interrupted_sweep_resumes_and_measures_nothing_again(targets, serial, tmp_path, monkeypatch):
    def interrupt(what, done, total):
        if what.startswith("sources: ") and done == 2:
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        lj.sweep(targets, SOURCES, MEASURES, out=tmp_path, on_progress=interrupt, **SMALL)
    kept = {(record.source, record.target) for record in read_records(tmp_path / "results.jsonl")}
    assert len(kept) == 2

    extracted = []
    plain = shared_pass.extract

    def noted(source, target, **options):
        extracted.append((source.name, target.name))
        return plain(source, target, **options)

    monkeypatch.setattr(shared_pass, "extract", noted)
    rankings = lj.sweep(targets, SOURCES, MEASURES, out=tmp_path, **SMALL)
    assert_same(rankings, serial[0])
    assert len(extracted) == 2
    assert kept.isdisjoint(extracted)
    # What is known isn't sent to workers, and none are started.
    monkeypatch.setattr(ray_engine, "check_cluster", lambda caller, ray: None)
    forbid(monkeypatch, ray_engine, "start_ray")
    assert lj.sweep(targets, SOURCES, MEASURES, engine="ray", out=tmp_path, **SMALL) == rankings


def sweep_with(error, monkeypatch, **options):
    """Sweep two targets by an engine that lets the unit of digits end with an error."""

    def engine(function, units, on_progress):
        doomed, other = units
        yield Outcome(doomed, error=error)
        yield from run_serially(function, [other], on_progress)

    monkeypatch.setattr(sweeping, "open_engine", lambda caller, name, workers, **resources: engine)
    return lj.sweep(options.pop("targets"), "random", "nce", verify="none", **options, **SMALL)


def test_a_unit_that_fails_elsewhere_is_a_failure_and_loses_nothing_of_the_others(targets, tmp_path, monkeypatch):
    rankings = sweep_with(ChildProcessError("sweep: died."), monkeypatch, targets=targets, out=tmp_path)
    (failure,) = rankings["digits"].failures
    assert (failure.source, failure.target, failure.reason) == ("random", "digits", "sweep: died.")
    assert not rankings["folder"].failures
    assert tuple(read_records(tmp_path / "results.jsonl")) == rankings["folder"].records


def test_an_error_that_all_sources_would_meet_ends_a_sweep_wherever_it_occurs(targets, tmp_path, monkeypatch):
    with pytest.raises(WriteError, match="No space left"):
        sweep_with(WriteError(28, "No space left on device", "cache"), monkeypatch, targets=targets, out=tmp_path)


def test_a_source_travels_with_its_weights():
    source = load_source("random")
    images = digits().images(range(2), source.card.preprocessing)
    expected = source(images)
    received = pickle.loads(pickle.dumps(source))
    sent_on = pickle.loads(
        pickle.dumps(replace(received, network=replace(received.network, path=Path("nowhere.safetensors"))))
    )
    for each in (received, sent_on):
        assert each.card == source.card
        np.testing.assert_array_equal(each(images).logits, expected.logits)


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"engine": "processes", "workers": 0}, r"sweep: expected workers >= 1, got 0; raise it\."),
        ({"engine": "rays"}, r"engine: expected one of 3 known names, got 'rays'; did you mean ray\?"),
        ({"targets": []}, r"sweep: expected at least one target, got none; name one\."),
        ({"targets": ["digits", "digits"]}, r"sweep: expected targets of different names, got 'digits' twice; drop or"),
        ({"targets": "nowhere"}, r"target: expected a folder, an \.npz or one of digits, got 'nowhere'"),
        ({"sources": []}, r"sweep: expected at least one source, got none"),
        ({"measures": []}, r"sweep: expected distinct measures, got \[\]"),
        ({"limit": 1}, r"sweep: limit must be at least 2, got 1; pass 2 or more\."),
    ],
)
def test_bad_arguments_are_named_before_anything_is_computed(monkeypatch, change, message):
    forbid(monkeypatch, shared_pass, "extract")
    with pytest.raises(InputError, match=message):
        lj.sweep(**{"targets": ["digits"], "sources": ["random"], "measures": ["leep"]} | change)


def test_without_ray_its_installation_is_named(monkeypatch):
    monkeypatch.setitem(sys.modules, "ray", None)
    message = r"^sweep: expected Ray for engine 'ray', got none; pip install 'leepjax\[ray\]'\.$"
    with pytest.raises(InputError, match=message):
        lj.sweep(["nowhere"], engine="ray")
