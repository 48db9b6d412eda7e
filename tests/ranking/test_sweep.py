"""Sweeps by a real Ray on this machine: the serial results, whatever happens to the workers."""

import os
import pickle
import signal
import subprocess
import sys
import threading
import time
from dataclasses import replace
from operator import attrgetter
from pathlib import Path

import msgspec
import numpy as np
import pytest
import ray
from profiles import only_long

import leepjax as lj
from leepjax.data.readers import digits
from leepjax.data.split import stratified_limit
from leepjax.engines import ray as ray_engine
from leepjax.engines.ray_start import start_ray
from leepjax.models.opening import load_source
from leepjax.ranking import measure_source as measuring
from leepjax.storage.records import read_records
from leepjax.types import InputError

SOURCES = ("random", "cifar10")
MEASURES = ("leep", "h_score")
SMALL = {"limit": 60, "resamples": 10}
NUM_RECORDS = 2 * len(SOURCES) * (len(MEASURES) + 1)


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


@pytest.fixture(scope="module")
def compilations(tmp_path_factory):
    """The environment of processes that share what XLA compiles: a worker that replaces a killed one starts sooner."""
    folder = os.environ.get("JAX_COMPILATION_CACHE_DIR") or str(tmp_path_factory.mktemp("xla"))
    return {"JAX_COMPILATION_CACHE_DIR": folder, "JAX_PERSISTENT_CACHE_MIN_COMPILE_TIME_SECS": "0"}


@pytest.fixture(scope="module")
def workers(compilations):
    """Ray with two workers, for all tests that don't start their own."""
    with pytest.MonkeyPatch.context() as patch:
        for name, value in compilations.items():
            patch.setenv(name, value)
        start_ray("sweep", ray, num_tasks=2)
    yield
    ray.shutdown()


def timeless(records):
    return [msgspec.structs.replace(record, seconds=0.0) for record in records]


def assert_same(rankings, others):
    assert list(rankings) == list(others)
    for name, ranking in rankings.items():
        assert timeless(ranking.records) == timeless(others[name].records)
        assert replace(ranking, records=()) == replace(others[name], records=())


def forbid(monkeypatch, module, name):
    monkeypatch.setattr(module, name, lambda *args, **options: pytest.fail(f"{name} was called"))


def test_a_sweep_ranks_each_target_as_rank_does_and_shares_its_records(targets, serial, monkeypatch):
    rankings, out = serial
    assert list(rankings) == ["digits", "folder"]
    assert len(read_records(out / "results.jsonl")) == NUM_RECORDS
    forbid(monkeypatch, measuring, "extract")
    for target, ranking in zip(targets, rankings.values(), strict=True):
        assert lj.rank(target, SOURCES, MEASURES, out=out, **SMALL) == ranking


@pytest.mark.usefixtures("workers")
def test_ray_gives_what_the_serial_engine_gives(targets, serial, tmp_path, monkeypatch):
    told = []
    monkeypatch.chdir(targets[1].parent)  # where the workers are not
    options = {"out": tmp_path, "cache": tmp_path / "cache", "on_progress": lambda *at: told.append(at), **SMALL}
    rankings = lj.sweep(["digits", "folder"], SOURCES, MEASURES, engine="ray", **options)
    assert_same(rankings, serial[0])
    written, expected = (timeless(read_records(folder / "results.jsonl")) for folder in (tmp_path, serial[1]))
    # In the order in which the cells were done.
    assert sorted(written, key=attrgetter("key")) == sorted(expected, key=attrgetter("key"))
    assert [at[1:] for at in told] == [(done, 4) for done in range(5)]
    assert {what for what, _, _ in told} > {"sources: random on digits", "sources: cifar10 on folder"}
    assert len(list((tmp_path / "cache").iterdir())) == 4
    assert ray.is_initialized()  # whoever started it shuts it down


@pytest.mark.usefixtures("workers")
def test_what_a_cell_raises_is_raised_here():
    here = os.getpid()  # where the image is found to be good, before the cells are sent

    def read(i):
        if os.getpid() != here:
            raise InputError("3.png: expected an image, got one that was just overwritten; replace the file.")
        return digits().read(i)

    with pytest.raises(InputError, match=r"^3\.png: expected an image, got one that") as raised:
        lj.sweep([replace(digits(), read=read)], "random", "leep", engine="ray", verify="none", limit=60)
    assert "Traceback" not in str(raised.value)


@pytest.mark.usefixtures("workers")
def test_an_interrupted_sweep_goes_on_and_measures_nothing_again(targets, serial, tmp_path, monkeypatch):
    def interrupt(what, done, total):
        if done == 2:
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        lj.sweep(targets, SOURCES, MEASURES, engine="ray", out=tmp_path, on_progress=interrupt, **SMALL)
    kept = {(record.source, record.target) for record in read_records(tmp_path / "results.jsonl")}
    assert len(kept) == 2

    extracted = []
    plain = measuring.extract
    monkeypatch.setattr(
        measuring, "extract", lambda s, t, **o: (extracted.append((s.name, t.name)), plain(s, t, **o))[1]
    )
    rankings = lj.sweep(targets, SOURCES, MEASURES, out=tmp_path, **SMALL)
    assert_same(rankings, serial[0])
    assert len(extracted) == 2
    assert kept.isdisjoint(extracted)
    forbid(monkeypatch, ray_engine, "start_ray")
    assert lj.sweep(targets, SOURCES, MEASURES, engine="ray", out=tmp_path, **SMALL) == rankings


def deadly(target, marker, deaths=1):
    """The same target, but decoding an image in the middle kills the worker that does it, `deaths` times."""
    driver = os.getpid()  # it only looks whether images can be decoded
    index = stratified_limit(target.labels, SMALL["limit"], seed=0)[SMALL["limit"] // 2]

    def read(i):
        died = len(marker.read_text().split()) if marker.exists() else 0
        if i == index and died < deaths and os.getpid() != driver:
            marker.write_text(f"{marker.read_text() if marker.exists() else ''} {os.getpid()}")
            os.kill(os.getpid(), signal.SIGKILL)
        return target.read(i)

    return replace(target, read=read)


@pytest.mark.usefixtures("workers")
def test_a_killed_worker_is_retried_and_the_results_are_the_same(targets, serial, tmp_path):
    marker = tmp_path / "died"
    rankings = lj.sweep([deadly(digits(), marker), targets[1]], SOURCES, MEASURES, engine="ray", **SMALL)
    died = list(map(int, marker.read_text().split()))
    assert died
    assert os.getpid() not in died
    assert not Path(f"/proc/{died[0]}").exists()
    assert_same(rankings, serial[0])


@pytest.mark.usefixtures("workers")
def test_a_worker_that_keeps_dying_is_told_and_loses_nothing_of_the_others(targets, tmp_path, monkeypatch):
    monkeypatch.setattr(ray_engine, "RETRIES", 1)
    doomed = deadly(digits(), tmp_path / "died", deaths=99)
    options = {"engine": "ray", "verify": "none", "out": tmp_path, **SMALL}
    done = lj.sweep([targets[1]], "random", "leep", **options)["folder"]
    rankings = lj.sweep([targets[1], doomed], "random", "leep", **options)
    assert rankings["folder"].records == done.records
    (failure,) = rankings["digits"].failures
    assert "random on digits is done, got 2 that died (WorkerCrashedError); give it" in failure.reason
    assert tuple(read_records(tmp_path / "results.jsonl")) == done.records


@pytest.mark.usefixtures("workers")
def test_no_process_of_ray_listens_to_other_machines():
    psutil = pytest.importorskip("psutil")
    processes = psutil.Process().children(recursive=True)
    connections = [each for process in processes for each in process.net_connections("tcp") if each.status == "LISTEN"]
    assert len(connections) >= 3
    assert {each.laddr.ip for each in connections} <= {"127.0.0.1", "::1", "::ffff:127.0.0.1"}


@pytest.mark.parametrize("sent", [signal.SIGTERM, *only_long((signal.SIGINT,))])
def test_a_signal_stops_ray_and_keeps_what_is_measured(sent, compilations, tmp_path):
    command = [sys.executable, "-m", "leepjax", "sweep", "digits", "--engine", "ray", "--limit", "60", "--no-cache"]
    command += ["--measures", "leep", "--verify", "none", "--out", str(tmp_path)]
    results = tmp_path / "results.jsonl"
    options = {"stdout": subprocess.PIPE, "stderr": subprocess.PIPE, "text": True, "start_new_session": True}
    with subprocess.Popen(command, env=os.environ | compilations, **options) as process:
        deadline = time.monotonic() + 120
        while (
            not (results.exists() and results.stat().st_size) and process.poll() is None and time.monotonic() < deadline
        ):
            time.sleep(0.02)
        os.killpg(process.pid, sent)  # as a terminal and a cluster do
        out, err = process.communicate(timeout=60)
    assert process.returncode == 128 + sent, err
    assert out.startswith("Sources for digits, best leep first")
    *progress, last = err.splitlines()
    assert last.startswith("leepjax: interrupted; ")
    assert all(line.startswith("sources: ") for line in progress)
    assert 1 <= len(read_records(results)) < 5


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


@pytest.mark.usefixtures("workers")
def test_what_cannot_be_pickled_is_named():
    lock = threading.Lock()
    plain = digits()

    def read(i):
        with lock:
            return plain.read(i)

    with pytest.raises(InputError, match="that can be pickled, got 'digits'; take the serial"):
        lj.sweep([replace(plain, read=read)], "random", "leep", engine="ray")


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"engine": "rays"}, r"engine: expected one of 3 known names, got 'rays'; did you mean ray\?"),
        ({"targets": []}, r"sweep: expected at least one target, got none; name one\."),
        ({"targets": ["digits", "digits"]}, r"sweep: expected targets of different names, got 'digits' twice; drop or"),
        ({"targets": "nowhere"}, r"target: expected a folder, an \.npz or one of digits, got 'nowhere'"),
        ({"sources": []}, r"sweep: expected at least one source, got none"),
        ({"measures": []}, r"sweep: expected distinct measures, got \[\]"),
        ({"limit": 1}, r"sweep: limit must be at least 2, got 1; raise it\."),
    ],
)
def test_bad_arguments_are_named_before_anything_is_computed(monkeypatch, change, message):
    forbid(monkeypatch, measuring, "extract")
    with pytest.raises(InputError, match=message):
        lj.sweep(**{"targets": ["digits"], "sources": ["random"], "measures": ["leep"]} | change)


def test_without_ray_its_installation_is_named(monkeypatch):
    monkeypatch.setitem(sys.modules, "ray", None)
    message = r"^sweep: expected Ray for engine 'ray', got none; pip install 'leepjax\[ray\]'\.$"
    with pytest.raises(InputError, match=message):
        lj.sweep(["nowhere"], engine="ray")
