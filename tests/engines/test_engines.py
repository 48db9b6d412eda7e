"""Engines: each gives a unit's results or its exception; workers that die, signals, and what is sent to workers."""

import contextlib
import os
import signal
import subprocess
import sys
import tempfile
import textwrap
import threading
import time
import zlib
from dataclasses import replace
from functools import partial
from operator import attrgetter
from pathlib import Path
from types import SimpleNamespace

import jax
import pytest
import ray
import small_units
from jax._src import compilation_cache
from profiles import only_long
from same_rankings import assert_same, timeless
from small_units import Deadly, Factor, Small

import leepjax as lj
from leepjax.cli.options import cache_compilations
from leepjax.data.readers import digits
from leepjax.engines import opening, processes
from leepjax.engines import ray as ray_engine
from leepjax.engines.opening import close_engine, open_engine
from leepjax.engines.ray_start import start_ray
from leepjax.engines.settings import settings_here, take_over
from leepjax.engines.units import no_progress
from leepjax.storage.programs import add_checksums
from leepjax.storage.records import read_records
from leepjax.types import InputError

ENGINES = ("serial", "processes", "ray")
ELSEWHERE = ENGINES[1:]
TWO, THREE = Factor("two", 2), Factor("three", 3)
UNITS = [Small(f"{factor.name} by {n}", (factor,), (n,)) for factor in (TWO, THREE) for n in (1, 10)]


@pytest.fixture(scope="module")
def workers():
    """Ray with two workers, which the engine finds running."""
    ray.cloudpickle.register_pickle_by_value(small_units)
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("RAY_worker_niceness", "0")  # on a busy machine Ray's 15 is a long wait
        start_ray("test", ray, num_tasks=2)
    yield
    ray.shutdown()


@pytest.fixture(scope="module")
def on_ray(workers):
    """The engine `ray`, whose workers all tests share but those that they kill."""
    engine = open_engine("test", "ray", cpus_per_task=1, gpus_per_task=0)
    yield engine
    close_engine(engine)


@pytest.fixture
def engine(request, monkeypatch):
    """Opens an engine that has two workers, whatever the machine."""
    monkeypatch.setattr(processes, "available_cores", lambda: [min(os.sched_getaffinity(0))] * 2)
    monkeypatch.setattr(opening, "available_cores", processes.available_cores)
    return lambda name: request.getfixturevalue("on_ray") if name == "ray" else open_engine("test", name, 2)


@pytest.mark.parametrize("name", ENGINES)
def test_a_unit_gives_its_results_and_reports_its_end(engine, name, tmp_path):
    results, reports, function = {}, [], small_units.multiples
    if name == "processes":  # the first unit isn't the first to end
        function = partial(small_units.multiples_in_turn, tmp_path)
    for outcome in engine(name)(function, UNITS, lambda *report: reports.append(report)):
        assert outcome.error is None
        results.setdefault(outcome.unit, []).extend(outcome.results)
        assert len(outcome.results) == (1 if name == "serial" else 2)
    assert results == {unit: [unit.shared[0].value * unit.own[0] * times for times in (1, 2)] for unit in UNITS}
    overall = [report for report in reports if report[0].startswith("sources: ")]
    assert [report[1:] for report in overall] == [(done, 4) for done in range(name == "serial", 5)]
    assert {what for what, _, _ in overall} >= {f"sources: {unit.name}" for unit in UNITS}
    assert ("multiples", 1, 2) in reports or name != "serial"


@pytest.mark.parametrize("name", ENGINES)
def test_an_exception_ends_its_unit_alone(engine, name):
    error = InputError("3.png: expected an image, got one that was just overwritten; replace the file.")
    failing, other = Small("failing", own=(error,)), Small("other", own=(FloatingPointError("diverged"),))
    unsendable = Small("unsendable", own=(None,))
    outcomes = list(engine(name)(small_units.fail, [failing, other, unsendable], no_progress))
    errors = {outcome.unit: outcome.error for outcome in outcomes if outcome.error}
    told = errors.pop(unsendable)
    assert isinstance(told, small_units.UnsendableError if name == "serial" else RuntimeError)
    assert str(told) == ("boom" if name == "serial" else "UnsendableError: boom")
    assert {unit: (type(each), str(each)) for unit, each in errors.items()} == {
        unit: (type(unit.own[0]), str(unit.own[0])) for unit in (failing, other)
    }
    if name != "serial":
        assert all("in fail\n" in each.__notes__[0] for each in errors.values())


@pytest.mark.parametrize("name", ELSEWHERE)
def test_workers_are_other_processes_with_the_settings_of_this_one(engine, name):
    with jax.default_matmul_precision("bfloat16"):
        first, second = engine(name)(small_units.where, [Small("a"), Small("b")], no_progress)
    for outcome in (first, second):
        ((process, cores, precision),) = outcome.results
        assert process != os.getpid()
        assert precision == "bfloat16"
        assert name == "ray" or len(cores) == 1


def test_damage_to_a_program_in_the_cache_is_noticed_where_zstandard_is_installed(monkeypatch, caplog, tmp_path):
    without = SimpleNamespace(ZstdCompressor=lambda: SimpleNamespace(compress=bytes))  # as zstandard's: no checksum
    monkeypatch.setattr(compilation_cache, "zstd", None)
    monkeypatch.setattr(compilation_cache, "zstandard", without)
    before = settings_here()
    take_over(before)
    assert compilation_cache.zstandard is without  # for a user's own cache nothing changes
    assert add_checksums()
    take_over(settings_here())
    damaged = bytearray(compilation_cache.compress_executable(b"program" * 9))
    damaged[9] ^= 1
    with pytest.raises(zlib.error):
        compilation_cache.decompress_executable(bytes(damaged))
    monkeypatch.setattr(compilation_cache, "compress_executable", bytes)  # another JAX, perhaps
    cache_compilations(tmp_path)
    assert jax.config.jax_compilation_cache_dir == before["jax_compilation_cache_dir"]
    assert "Compiled programs aren't kept" in caplog.text


@pytest.mark.parametrize("name", ELSEWHERE)
def test_units_whose_results_are_known_run_here_and_start_nothing(engine, name, monkeypatch):
    run = engine(name)
    known = [replace(unit, is_known=True) for unit in UNITS[:2]]
    monkeypatch.setattr(ray_engine, "start_ray", None)
    monkeypatch.setattr(processes, "ProcessPoolExecutor", None)
    assert [outcome.results for outcome in run(small_units.multiples, known, no_progress)] == [[2], [4], [20], [40]]
    assert list(run(small_units.multiples, [], no_progress)) == []


LOCKED = Small("last", (Factor("a lock", threading.Lock()),), (1,))
NOT_PICKLED = "test: expected sources and targets that can be pickled, got 'a lock'; take the serial engine."


def test_processes_begin_with_nothing_if_something_cannot_be_pickled(engine):
    with pytest.raises(InputError) as raised:
        list(engine("processes")(small_units.multiples, [*UNITS, LOCKED], no_progress))
    assert str(raised.value) == NOT_PICKLED


def test_on_ray_what_cannot_be_pickled_ends_its_unit_alone(engine):
    outcomes = {each.unit: each for each in engine("ray")(small_units.multiples, [LOCKED, *UNITS], no_progress)}
    assert str(outcomes[LOCKED].error) == NOT_PICKLED
    assert [len(outcomes[unit].results) for unit in UNITS] == [2, 2, 2, 2]


def test_ray_is_sent_each_shared_object_once(engine, monkeypatch):
    run, sent, put = engine("ray"), [], ray.put
    monkeypatch.setattr(ray, "put", lambda value: (sent.append(value), put(value))[1])
    list(run(small_units.multiples, UNITS, no_progress))
    assert sorted(map(id, sent)) == sorted(map(id, (TWO, THREE, small_units.multiples)))
    assert ray.is_initialized()  # the code that started it shuts it down


def test_ray_tries_a_unit_again_whose_worker_died_and_gives_up_one_that_kills_each_worker(
    engine, tmp_path, monkeypatch
):
    monkeypatch.setattr(ray_engine, "RETRIES", 1)
    doomed, other = Small("doomed", (TWO,), (tmp_path / "once", 1)), Small("other", (THREE,), (tmp_path / "none", 0))
    poison = Factor("poison", 0)
    poisoned, next_to_it = (Small(name, (poison,), (tmp_path / name, 9)) for name in ("poisoned", "next"))
    units = [doomed, poisoned, next_to_it, other]
    outcomes = {each.unit: each for each in engine("ray")(small_units.die_with, units, no_progress)}
    assert (outcomes[doomed].results, outcomes[other].results) == ([1], [0])
    assert str(outcomes[poisoned].error) == (
        "test: expected a worker to live until poisoned is done, got 2 that died (ActorDiedError); "
        "give it more memory, or take the serial engine."
    )
    assert type(outcomes[next_to_it].error) is ChildProcessError
    assert (tmp_path / "poisoned").read_text() == "xx"
    # After a unit has killed as many workers as it may, it isn't tried again; one more try may have started before.
    assert (tmp_path / "next").read_text() in ("x", "xx")


@pytest.mark.parametrize("at_its_start", [False, True])
def test_a_process_that_dies_ends_all_units_that_have_not_ended(engine, tmp_path, monkeypatch, at_its_start):
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path))
    # What isn't read any more is larger than a pipe's buffer.
    shared = (Deadly("deadly"), Factor("large", "x" * 1_000_000)) if at_its_start else ()
    doomed, other = (Small(name, shared, (tmp_path / name, 9)) for name in ("doomed", "other"))
    outcomes = list(engine("processes")(small_units.die, [doomed, other], no_progress))
    assert not list(tmp_path.glob("leepjax-*"))
    assert {outcome.unit for outcome in outcomes} == {doomed, other}
    for outcome in outcomes:
        assert isinstance(outcome.error, ChildProcessError)
        message = f"test: expected every worker to live until {outcome.unit.name} is done, got one that died; give"
        assert str(outcome.error).startswith(message)


@pytest.mark.parametrize("name", ELSEWHERE)
def test_closing_an_engine_ends_what_still_runs(engine, name, tmp_path):
    seconds = {"short": 0, "long": 99, "last": 99}
    units = [Small(each, own=(tmp_path, each, seconds[each])) for each in seconds]
    outcomes = engine(name)(small_units.wait, units, no_progress)
    assert next(outcomes).unit.name == "short"
    outcomes.close()
    deadline = time.monotonic() + 20
    begun = [path.read_text() for path in tmp_path.glob("l* began")]
    while any(Path("/proc", number).exists() for number in begun if number):
        assert time.monotonic() < deadline
        time.sleep(0.05)


@pytest.mark.usefixtures("workers")
def test_no_process_of_ray_listens_to_other_machines():
    psutil = pytest.importorskip("psutil")
    connections = []
    for process in psutil.Process().children(recursive=True):
        with contextlib.suppress(psutil.NoSuchProcess):  # it ended meanwhile
            connections += [each for each in process.net_connections("tcp") if each.status == "LISTEN"]
    assert len(connections) >= 3
    assert {each.laddr.ip for each in connections} <= {"127.0.0.1", "::1", "::ffff:127.0.0.1"}


PROGRAM = """
    import sys
    import ray
    import small_units
    from leepjax.engines.opening import close_engine, open_engine
    from leepjax.interrupts import Interrupted, interruptible

    ray.cloudpickle.register_pickle_by_value(small_units)
    units = [small_units.Small(name, own=(sys.argv[1], name, seconds)) for name, seconds in (("a", 0), ("b", 99))]
    engine = open_engine("test", "ray")
    try:
        with interruptible():
            for outcome in engine(small_units.wait, units, print):
                print("ended", outcome.unit.name, flush=True)
    except Interrupted as interrupted:
        close_engine(engine)
        print("interrupted by", interrupted.number, "still running" if ray.is_initialized() else "and shut down")
"""


@pytest.mark.parametrize("sent", [signal.SIGTERM, *only_long((signal.SIGINT,))])
def test_the_engine_starts_ray_and_ends_it_at_a_signal(sent, tmp_path):
    command = [sys.executable, "-c", textwrap.dedent(PROGRAM), str(tmp_path)]
    environment = os.environ | {"PYTHONPATH": os.path.dirname(small_units.__file__)}
    options = {"stdout": subprocess.PIPE, "stderr": subprocess.PIPE, "text": True, "start_new_session": True}
    with subprocess.Popen(command, env=environment, **options) as process:
        lines = iter(process.stdout.readline, "")
        ended = next((line for line in lines if line.startswith("ended ")), "")
        if ended:
            # A terminal sends Ctrl-C to Ray's processes as well, which ignore it; SIGTERM here to the program alone.
            (os.killpg if sent == signal.SIGINT else os.kill)(process.pid, sent)
        out, err = process.communicate(timeout=60)
    # Ray's core may log that it can no longer report a task; leepjax doesn't hide this.
    noise = [line for line in err.splitlines() if "task_manager.cc" not in line]
    assert (process.returncode, noise, ended) == (0, [], "ended a\n")
    assert out.splitlines()[-1] == f"interrupted by {sent.value} and shut down"
    assert not (tmp_path / "b ended").exists()


SOURCES, MEASURES = ("random", "cifar10"), ("nce", "lfc")
SMALL = {"limit": 60, "resamples": 10, "verify": "ridge"}


@pytest.fixture(scope="module")
def swept(tmp_path_factory):
    """Two targets, their rankings by the serial engine, and the folder of the results."""
    out = tmp_path_factory.mktemp("serial")
    folder = out / "digits in a folder"
    for i in range(100, 190):
        (folder / str(digits().labels[i])).mkdir(parents=True, exist_ok=True)
        digits().read(i).save(folder / str(digits().labels[i]) / f"{i}.png")
    targets = ["digits", folder]
    return targets, lj.sweep(targets, SOURCES, MEASURES, out=out, **SMALL), out


@pytest.mark.parametrize("name", ["ray", *only_long(("processes",))])
def test_a_sweep_gives_the_same_records_wherever_it_runs(swept, engine, name, tmp_path, monkeypatch):
    targets, rankings, out = swept
    close_engine(engine(name))  # the sweep opens its own, whose workers wait until there is room for them
    reports = []
    monkeypatch.chdir(targets[1].parent)  # where the workers are not
    options = {"out": tmp_path, "cache": tmp_path / "cache", "on_progress": lambda *each: reports.append(each)}
    options |= {"workers": 2} if name == "processes" else {}
    targets = ["digits", targets[1].name]
    assert_same(lj.sweep(targets, SOURCES, MEASURES, engine=name, **options, **SMALL), rankings)
    written, expected = (timeless(read_records(folder / "results.jsonl")) for folder in (tmp_path, out))
    # In the order in which the units ended.
    assert sorted(written, key=attrgetter("key")) == sorted(expected, key=attrgetter("key"))
    assert [report[1:] for report in reports] == [(done, 4) for done in range(5)]
    assert len(list((tmp_path / "cache").iterdir())) == 4
