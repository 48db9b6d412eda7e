"""Records of a ranking: each says where it comes from, and what is recorded isn't measured again."""

import shutil

import msgspec
import pytest
from cheap_heads import least_squares, use_heads
from small_shipped import small_sources

import leepjax as lj
from leepjax.data.readers import digits
from leepjax.data.split import stratified_limit
from leepjax.extraction import shared_pass
from leepjax.models.card import save_card
from leepjax.models.opening import load_source
from leepjax.ranking import measure_source as measuring
from leepjax.ranking.plan import make_plan
from leepjax.storage.records import read_records
from leepjax.types import InputError

SOURCES = ("random", "cifar10-animals")
small = small_sources(*SOURCES)
MEASURES = ("nce", "lfc")  # which compile sooner than others
SMALL = {"limit": 60, "resamples": 20}
NUM_RECORDS = len(SOURCES) * (len(MEASURES) + 1)


@pytest.fixture(scope="module", autouse=True)
def fast_heads():
    with pytest.MonkeyPatch.context() as patch:
        use_heads(patch, least_squares)
        yield


@pytest.fixture(scope="module")
def ran(tmp_path_factory):
    """A ranking and the folder of its results and cached features."""
    folder = tmp_path_factory.mktemp("rank")
    return lj.rank("digits", SOURCES, MEASURES, out=folder, cache=folder / "cache", **SMALL), folder


@pytest.fixture
def folder(ran, tmp_path):
    """A copy of that folder, to go on from."""
    return shutil.copytree(ran[1], tmp_path / "copy")


def test_there_is_one_record_for_each_source_and_measure(ran):
    records = read_records(ran[1] / "results.jsonl")
    assert tuple(records) == ran[0].records
    expected = [(source, measure) for source in SOURCES for measure in (*MEASURES, "head")]
    assert [(record.source, record.measure) for record in records] == expected
    assert len({record.key for record in records}) == NUM_RECORDS
    target = digits().subset(stratified_limit(digits().labels, 60, seed=0))
    for record in records:
        assert record.kind == ("verify" if record.measure == "head" else "score")
        assert (record.target, record.target_hash) == ("digits", target.fingerprint)
        assert record.weights_hash == load_source(record.source).card.weights_hash
        assert (record.num_examples, record.num_classes) == (60, 10)
        assert (record.seed, record.confidence) == (0, 0.95)
        assert record.seconds > 0
        assert {"leepjax", "jax", "numpy", "python"} <= record.versions.keys()
        assert record.low <= record.value <= record.high
        assert len(record.draws) == 20


def forbid(monkeypatch, *names):
    def measured(*args, **options):
        raise AssertionError("measured again")

    for name in names:
        monkeypatch.setattr(shared_pass if name == "extract" else measuring, name, measured)


def test_a_second_run_measures_nothing_again(ran, folder, monkeypatch):
    forbid(monkeypatch, "extract", "score_with_draws", "verify_source")
    before = (folder / "results.jsonl").read_bytes()
    assert lj.rank("digits", SOURCES, MEASURES, out=folder, **SMALL) == ran[0]
    assert (folder / "results.jsonl").read_bytes() == before


def test_another_seed_or_number_of_resamples_is_measured(folder, monkeypatch):
    forbid(monkeypatch, "score_with_draws")
    for change in ({"seed": 1}, {"resamples": 21}, {"confidence": 0.9}, {"limit": 50}, {"test_fraction": 0.5}):
        with pytest.raises(InputError, match="AssertionError: measured again"):
            lj.rank("digits", SOURCES, MEASURES, out=folder, cache=folder / "cache", **SMALL | change)


def test_all_examples_resampled_by_another_seed_are_another_record():
    """Where nothing else depends on the seed: no example is left out, and none held out."""
    source, options = load_source("random"), {"verify": "none", "resamples": 20}
    first, again, other = (
        measuring.keys(make_plan("rank", "digits", ["leep"], **options, seed=seed), source) for seed in (0, 0, 1)
    )
    assert first == again
    assert not first.keys() & other.keys()


@pytest.mark.parametrize("stop", [1, 4])
def test_an_interrupted_run_keeps_its_results_and_resumes(ran, folder, monkeypatch, stop):
    results = folder / "results.jsonl"
    results.unlink()
    options = {"out": folder, "cache": folder / "cache", **SMALL}
    measured = []
    plain = measuring.score_with_draws
    monkeypatch.setattr(
        measuring, "score_with_draws", lambda name, *a, **k: (measured.append(name), plain(name, *a, **k))[1]
    )

    def interrupt(what, done, total):
        if results.exists() and len(read_records(results)) == stop:
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        lj.rank("digits", SOURCES, MEASURES, on_progress=interrupt, **options)
    assert len(read_records(results)) == stop
    resumed = lj.rank("digits", SOURCES, MEASURES, **options)
    assert sorted(measured) == sorted(MEASURES * len(SOURCES))  # nothing twice
    assert len(read_records(results)) == NUM_RECORDS
    for measure in (*MEASURES, "head"):
        assert resumed.scores(measure) == pytest.approx(ran[0].scores(measure), abs=1e-5)


def test_a_broken_line_is_measured_again(ran, folder):
    results = folder / "results.jsonl"
    lines = results.read_bytes().splitlines()
    results.write_bytes(b"\n".join([*lines[:3], lines[3][:40], *lines[4:]]))
    ranking = lj.rank("digits", SOURCES, MEASURES, out=folder, cache=folder / "cache", **SMALL)
    assert ranking.scores("nce") == pytest.approx(ran[0].scores("nce"), abs=1e-6)
    assert len(read_records(results)) == NUM_RECORDS


def test_a_copy_under_another_name_keeps_its_name(folder, tmp_path):
    """A record is found by its content, and gets the name of the source that the caller asked for."""
    original = load_source("random")
    shutil.copy(original.network.path, tmp_path / "twin.safetensors")
    save_card(msgspec.structs.replace(original.card, name="twin"), tmp_path / "twin.json")
    options = {"out": tmp_path / "out", "cache": folder / "cache", "verify": "none", **SMALL}
    ranking = lj.rank("digits", ["random", tmp_path / "twin.safetensors"], "nce", **options)
    assert ranking.scores("nce").keys() == {"random", "twin"}
    assert len(set(ranking.scores("nce").values())) == 1
