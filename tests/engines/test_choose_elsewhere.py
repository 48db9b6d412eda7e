"""A race in other processes and on Ray: the answer of a race in this process."""

import os

import pytest
import ray
from cheap_heads import least_squares, use_heads
from profiles import only_long

from leepjax.choosing.choose import choose
from leepjax.choosing.rules import Rules
from leepjax.data.readers import digits
from leepjax.data.split import stratified_limit
from leepjax.engines import opening, processes
from leepjax.engines import ray as ray_engine
from leepjax.engines.ray_start import start_ray

TARGET = digits().subset(stratified_limit(digits().labels, 60, 0))
SOURCES = ["random", "fashion-mnist"]


@pytest.fixture(autouse=True)
def two_cores(monkeypatch):
    use_heads(monkeypatch, least_squares)
    monkeypatch.setattr(processes, "available_cores", lambda: [min(os.sched_getaffinity(0))] * 2)
    monkeypatch.setattr(opening, "available_cores", processes.available_cores)


@pytest.fixture(scope="module")
def workers():
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("RAY_worker_niceness", "0")
        start_ray("test", ray, num_tasks=2)
    yield
    ray.shutdown()


@pytest.fixture(scope="module")
def here():
    with pytest.MonkeyPatch.context() as patch:
        use_heads(patch, least_squares)
        return chosen()


def chosen(**options):
    return choose(TARGET, SOURCES, rules=Rules(least_first=30), **options)


def course(choice):
    """Everything that doesn't depend on how long a pass took."""
    looks = [(look.num_examples, [(s.source, s.dropped) for s in look.standings]) for look in choice.race.looks]
    losses = [standing.loss for look in choice.race.looks for standing in look.standings]
    return (looks, choice.leaders, choice.race.ended), (choice.value, *losses)


@pytest.mark.parametrize("engine", ["processes", *only_long(("ray",))])
def test_a_race_elsewhere_has_the_answer_of_one_here(here, engine, request, tmp_path, monkeypatch):
    if engine == "ray":
        request.getfixturevalue("workers")
    options = {"engine": engine, "workers": 2 if engine == "processes" else None, "cache": tmp_path}
    found = chosen(**options)
    assert course(found)[0] == course(here)[0]
    assert course(found)[1] == pytest.approx(course(here)[1], rel=1e-4)
    # Tables in the cache are read in this process, and no worker is started for them.
    monkeypatch.setattr(ray_engine, "start_ray", None)
    monkeypatch.setattr(processes, "ProcessPoolExecutor", None)
    assert course(chosen(**options))[0] == course(here)[0]
