"""Parts of the engine `ray` that need no cluster: order, resources, and what is sent to other machines."""

from dataclasses import dataclass
from typing import Any

import pytest
import ray
from small_units import Factor, Small

from leepjax.engines.opening import close_engine, open_engine
from leepjax.engines.ray_queue import Queue
from leepjax.engines.ray_sending import Mark, Sending
from leepjax.engines.ray_worker import Worker
from leepjax.engines.resources import Resources
from leepjax.types import InputError

LARGE, SMALL = Factor("large", 1), Factor("small", 2)
UNITS = [Small(f"{factor.name} on {n}", (factor,)) for n in range(3) for factor in (LARGE, SMALL)]


def test_a_worker_takes_all_units_of_a_source_and_then_helps_with_another():
    queue, order = Queue(UNITS), []
    keeps: dict[str, int | None] = {"first": None, "second": None}
    for worker in ("first", "second", "first", "first", "first", "second"):
        unit = queue.take(keeps[worker], {each for name, each in keeps.items() if each and name != worker}, ())
        keeps[worker] = id(unit.kept)
        order.append((worker, unit.name))
    assert order == [
        ("first", "large on 0"),
        ("second", "small on 0"),
        ("first", "large on 1"),
        ("first", "large on 2"),
        ("first", "small on 1"),
        ("second", "small on 2"),
    ]
    assert not queue


def test_a_unit_that_is_put_back_is_the_next_of_its_source():
    queue = Queue(UNITS)
    first = queue.take(None, (), ())
    queue.put_back(first)
    assert queue.take(None, (), ()) is first


def test_a_unit_waits_while_another_makes_the_same_table(tmp_path):
    first, second = (Small(name, files=(tmp_path / "table",)) for name in ("first", "second"))
    queue = Queue([second])
    assert queue.take(None, (), set(first.files)) is None
    assert queue.take(None, (), set()) is second


def node(cpus, gpus=0.0, alive=True):
    return {"Alive": alive, "Resources": {"CPU": cpus} | ({"GPU": gpus} if gpus else {})}


@pytest.mark.parametrize(
    ("resources", "nodes", "workers"),
    [
        (Resources(), [node(4), node(2)], 6),
        (Resources(), [node(4), node(8, 2)], 2),  # with a GPU each, where there are any
        (Resources(2, 0), [node(5), node(8, 2), node(8, alive=False)], 6),
        (Resources(1, 0.5), [node(8, 2)], 4),
        (Resources(1, 0.4), [node(8, 1)], 2),
        (Resources(1, 2), [node(8, 3), node(8, 1)], 1),
        (Resources(16, 0), [node(8), node(8)], 0),
    ],
)
def test_workers_have_room(resources, nodes, workers):
    assert resources.on(nodes).workers(nodes) == workers


@pytest.mark.parametrize(
    ("name", "options", "message"),
    [
        ("ray", {"gpus_per_task": 1.5}, "gpus_per_task to be a part of one GPU or a whole number of them, got 1.5; 0"),
        ("ray", {"gpus_per_task": -1}, "gpus_per_task to be a part of one GPU or a whole number of them, got -1; 0"),
        ("ray", {"cpus_per_task": 0}, "cpus_per_task >= 1, got 0; raise it"),
        ("serial", {"gpus_per_task": 1}, "gpus_per_task for engine 'ray' alone, got 'serial'; leave it out"),
    ],
)
def test_resources_that_cannot_be(name, options, message):
    with pytest.raises(InputError, match=f"^test: expected {message}"):
        open_engine("test", name, **options)


def test_workers_of_an_engine_without_them_are_reported(caplog):
    close_engine(open_engine("test", "serial", 2))
    assert caplog.messages == ["test: workers is of engine 'processes' alone; 'serial' doesn't use it."]


@dataclass
class Reference:
    """Ray's reference to an object, in this process."""

    value: Any

    def hex(self):
        return str(id(self.value))


def test_a_worker_elsewhere_is_sent_the_tables_that_are_here_and_returns_the_others(tmp_path, monkeypatch):
    monkeypatch.setattr(ray, "put", Reference)
    monkeypatch.setattr(ray, "get", lambda reference: reference.value)
    here = tmp_path / "here"
    unit = Small("unit", (LARGE,), files=(here / "known", here / "new"))
    mark = Mark([unit])
    (here / "known").write_bytes(b"known")
    worker = Worker(0)
    assert worker.sees(mark.path)
    mark.remove()
    assert not worker.sees(mark.path)
    assert not worker.sees(None)

    def read_and_make(factor, on_progress):
        yield factor.value, (here / "known").read_bytes()
        (here / "new").write_bytes(b"new")

    sending = Sending(ray, read_and_make, [unit])
    sent = sending.arguments(unit, sees_cache=False)
    (here / "known").unlink()  # on the other machine there is nothing at this path
    result = worker.compute(*sent)
    assert (here / "known").read_bytes() == b"known"
    (here / "new").unlink()
    assert sending.kept(result) == [(1, b"known")]
    assert (here / "new").read_bytes() == b"new"
    # A worker that sees the folder is sent no files, and returns none.
    assert sending.arguments(unit, sees_cache=True)[3:] == ({}, [])
