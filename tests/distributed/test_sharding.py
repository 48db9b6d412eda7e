"""Rows over eight devices, or over processes with different parts, score as in one array."""

import json
import subprocess
import sys

import jax
import job
import numpy as np
import pytest
from aligned import aligned
from places import environment
from profiles import by_turns, is_long, of_this_profile

import leepjax as lj
from leepjax.types import InputError


def run(command, **variables):
    ended = subprocess.run(
        [sys.executable, *command], env=environment(**variables), capture_output=True, text=True, timeout=150
    )
    assert ended.returncode == 0, ended.stderr
    return json.loads(ended.stdout)


EIGHT_DEVICES = """
import json, sys
import jax, numpy as np
from jax.sharding import AxisType
import leepjax as lj
import job

probs, labels = job.rows()
weights = np.random.default_rng(1).random(len(labels), np.float32)
found = {}

def note(case, n, mesh=None, axis=None, where=None):
    evidence, y, w = lj.shard_rows(probs[:n], labels[:n], where=where, mesh=mesh, axis=axis)
    arrays = [a for a in (evidence, y, w) if a is not None]
    assert len({len(a) for a in arrays}) == 1
    found[case] = {
        "rows": len(y),
        "masked": None if w is None else len(y) - int((w > 0).sum()),
        "axes": evidence.sharding.mesh.axis_names,
        "shards": len({str(s.index) for s in evidence.addressable_shards}),
        "devices": len(evidence.sharding.device_set),
        "typed": str(jax.typeof(evidence)),
        "score": job.score(evidence, y, w),
    }

OVER = {"model": "model", "both": ("data", "model")}
note("default", 103)
for kind, n, over in map(str.split, sys.argv[1:]):
    shape, names = ((8,), ("data",)) if over == "all" else ((4, 2), ("data", "model"))
    mesh = jax.make_mesh(shape, names, axis_types=(AxisType[kind],) * len(shape))
    note(f"{kind} {n} {over}", int(n), mesh, OVER.get(over))
note("weights", 103, where=weights)
batches = [lj.shard_rows(probs[:70], labels[:70]), lj.shard_rows(probs[70:], labels[70:])]
found["batches"] = float(lj.h_score_from_moments(lj.accumulate(lj.Moments.init(3, 5), batches)))
print(json.dumps(found))
"""


# Over which devices the rows are spread: all eight on one axis; of four by two, the first axis, the second, or both.
SPREADS = by_turns(["Auto", "Explicit"], [96, 103, 3], [("all", 8), ("first", 4), ("model", 2), ("both", 8)], of=3)


@pytest.fixture(scope="module")
def eight_devices():
    cases = [f"{kind} {n} {over}" for kind, n, (over, _) in of_this_profile(SPREADS)]
    return run(["-c", EIGHT_DEVICES, *cases], XLA_FLAGS="--xla_force_host_platform_device_count=8")


def whole(n, where=None):
    probs, labels = job.rows()
    return pytest.approx(job.score(probs[:n], labels[:n], where), abs=1e-6)


@pytest.mark.parametrize(("kind", "n", "spread"), SPREADS)
def test_sharded_rows_score_as_the_whole(eight_devices, kind, n, spread):
    over, shards = spread
    found = eight_devices[f"{kind} {n} {over}"]
    height = -(-n // shards)
    padding = height * shards - n
    assert found["rows"] == height * shards
    assert found["masked"] == (padding or None)
    assert (found["shards"], found["devices"]) == (shards, 8)
    assert ("@" in found["typed"]) == (kind == "Explicit")
    assert found["score"] == whole(n)


def test_the_default_mesh_has_one_axis_of_rows(eight_devices):
    assert eight_devices["default"]["axes"] == ["rows"]
    assert eight_devices["default"]["score"] == whole(103)


def test_weights_stay_and_padding_weighs_nothing(eight_devices):
    weights = np.random.default_rng(1).random(103, np.float32)
    assert eight_devices["weights"]["masked"] == 1
    assert eight_devices["weights"]["score"] == whole(103, weights)


def test_sharded_batches_are_summed_as_the_whole(eight_devices):
    assert eight_devices["batches"] == pytest.approx(float(lj.h_score(*job.rows())), abs=1e-6)


PLACEMENTS = """
import contextlib, functools, itertools, json, sys
import jax, jax.numpy as jnp, numpy as np
from jax.sharding import AxisType, NamedSharding, PartitionSpec as P
import leepjax as lj

rng = np.random.default_rng(0)
probs, features = rng.dirichlet(np.ones(16), 80).astype(np.float32), rng.normal(size=(80, 16)).astype(np.float32)
labels, weights = rng.integers(0, 3, 80), rng.integers(0, 3, 80).astype(np.float32)
leep = functools.partial(lj.leep, num_classes=3)
MEASURES = {
    "weighted": lambda p, f, y, w: lj.leep(p, y, where=w),
    "logits": lambda p, f, y, w: lj.leep(jnp.log(p), y, from_logits=True),
    "gradient": lambda p, f, y, w: jax.jit(jax.grad(leep))(p, y, where=w),
    "gradient, eager": lambda p, f, y, w: jax.grad(lambda p: leep(p, y))(p),
    "bootstrap": lambda p, f, y, w: jax.vmap(lambda w: leep(p, y, where=w))(np.stack([weights, weights])),
    "tasks": lambda p, f, y, w: lj.leep_tasks(p, y, np.eye(3, dtype=bool) | (np.arange(3) == 1)),
    "em_leep": lambda p, f, y, w: lj.em_leep(p, y),
    "loo_leep": lambda p, f, y, w: lj.loo_leep(p, y, where=w),
    "nce": lambda p, f, y, w: lj.nce(y, labels[::-1].copy(), where=w),
    "h_score": lambda p, f, y, w: lj.h_score(f, y, where=w),
    "h_score, jit": lambda p, f, y, w: jax.jit(functools.partial(lj.h_score, num_classes=3))(f, y),
}
expected = {name: np.asarray(measure(probs, features, labels, weights)) for name, measure in MEASURES.items()}
errors = {}
places = itertools.product((AxisType.Auto, AxisType.Explicit), (("rows",), (), (None, "rows")))
for case, (kind, spec) in enumerate(places):
    mesh = jax.make_mesh((4, 2), ("rows", "columns"), axis_types=(kind, kind))
    put = lambda array, *spec: jax.device_put(array, NamedSharding(mesh, P(*spec)))
    for number, (name, measure) in enumerate(MEASURES.items()):
        # In turn, so that each measure is tested on one kind of axis, and together they cover all kinds and places.
        if sys.argv[1:] != ["all"] and (case + number) % 6:
            continue
        where = ("host", "rows")[((case + 1) // 3 + number) % 2]
        y, w = (labels, weights) if where == "host" else (put(labels, "rows"), put(weights, "rows"))
        # JAX wants the mesh set for gradients over Explicit axes; other calls are made with and without.
        with jax.set_mesh(mesh) if where == "host" or "gradient" in name else contextlib.nullcontext():
            found = np.asarray(measure(put(probs, *spec), put(features, *spec), y, w))
        errors[f"{kind.name} {spec} {where} {name}"] = float(np.abs(found - expected[name]).max())
print(json.dumps(errors))
"""


def test_wherever_rows_columns_and_labels_lie():
    """Each measure in one of the places; in the long profile, with each kind of axis and each place of evidence."""
    chosen = ["all"] if is_long() else []
    errors = run(["-c", PLACEMENTS, *chosen], XLA_FLAGS="--xla_force_host_platform_device_count=8")
    assert len(errors) == (2 * 3 * 11 if chosen else 11)
    assert {case: error for case, error in errors.items() if not error < 1e-5} == {}


PROCESSES = """
import json
import jax, numpy as np
from jax.sharding import Mesh
import leepjax as lj
from leepjax.distributed.peers import initialize
import job

initialize()
me, devices = jax.process_index(), np.array(sorted(jax.devices(), key=lambda device: (device.process_index, device.id)))
probs, labels = job.rows()
weights = np.random.default_rng(1).random(len(labels), np.float32)
found = {}

def note(case, first, where=None, **options):
    "Process 0 holds the `first` rows, process 1 the rest."
    mine = slice(first) if me == 0 else slice(first, None)
    evidence, y, w = lj.shard_rows(probs[mine], labels[mine], where=None if where is None else where[mine], **options)
    found[case] = len(y), job.score(evidence, y, w)

def refuse(case, *arguments, **options):
    try:
        lj.shard_rows(*arguments, **options)
    except lj.types.InputError as error:
        found[case] = str(error)

note("uneven", 80)
note("weights", 80, weights)
note("nothing on process 1", 103)
note("three devices", 60, mesh=Mesh(devices[:3], "rows"))
note("hosts", 50, mesh=Mesh(devices.reshape(2, 2), ("hosts", "model")))
refuse("columns", probs[:, : 5 - me], labels)
refuse("dtype of evidence", probs.astype([np.float32, np.float16][me]), labels)
refuse("where", probs, labels, where=[None, weights][me])
refuse("shared", probs, labels, mesh=Mesh(devices.reshape(2, 2), ("hosts", "model")), axis="model")
refuse("left out", probs, labels, mesh=Mesh(devices[:2], "rows"))
if me == 0:
    print(json.dumps(found))
"""


@pytest.fixture(scope="module")
def two_processes(tmp_path_factory):
    script = tmp_path_factory.mktemp("processes") / "script.py"
    script.write_text(PROCESSES)
    return run(["-m", "leepjax", "launch", "--processes", "2", "--devices-per-process", "2", str(script)])


@pytest.mark.parametrize(
    ("case", "rows"), [("uneven", 160), ("nothing on process 1", 208), ("three devices", 129), ("hosts", 106)]
)
def test_processes_that_hold_different_parts_score_as_the_whole(two_processes, case, rows):
    assert two_processes[case] == [rows, whole(103)]


def test_weights_of_different_parts(two_processes):
    assert two_processes["weights"] == [160, whole(103, np.random.default_rng(1).random(103, np.float32))]


@pytest.mark.parametrize(
    ("case", "message"),
    [
        (
            "columns",
            "the same columns of evidence on all processes, got others on process 1 than on process 0; pass rows",
        ),
        ("dtype of evidence", "the same dtype of evidence on all processes, got others on process 1"),
        ("where", "the same dtype of where on all processes, got others on process 1"),
        ("shared", "on which processes share rows or have none; order its devices by process, or choose another axis."),
        ("left out", "on which processes share rows or have none"),
    ],
)
def test_what_processes_do_not_agree_on(two_processes, case, message):
    assert two_processes[case].startswith("shard_rows: expected ")
    assert message in two_processes[case]


def test_rows_in_another_order_of_bytes_are_the_same():
    probs, labels = job.rows()
    evidence, y, _ = lj.shard_rows(probs.astype(">f4"), labels.astype(">i8"))
    assert float(lj.leep(evidence, y)) == whole(103)


def test_one_device_needs_no_padding():
    probs, labels = job.rows()
    evidence, y, where = lj.shard_rows(jax.numpy.asarray(probs), labels.tolist())
    assert where is None
    assert float(lj.leep(evidence, y)) == whole(103)


@pytest.mark.parametrize(
    ("arguments", "options", "message"),
    [
        (([0.5, 0.5], [0]), {}, r"shard_rows: evidence must have 2 axes, got shape \(2,\); pass one row per example."),
        (([[1.0]], [[0]]), {}, r"shard_rows: labels must have 1 axes, got shape \(1, 1\); pass one entry per example."),
        (([[1.0]], [0, 1]), {}, "shard_rows: expected 1 labels, one per example, got 2; pass one per example."),
        (
            ([[1.0]], [0]),
            {"where": [1, 1]},
            "shard_rows: expected 1 where, one per example, got 2; pass one per example.",
        ),
        (([[1.0]], [0]), {"axis": "cols"}, "shard_rows: expected an axis of the mesh, got 'cols'; choose among rows."),
        (([[1.0]], [2**32]), {}, "shard_rows: labels must fit int32, got 4294967296 at row 0; remap the values."),
        (([[1.0]], [0]), {"where": [2**40]}, "shard_rows: where must fit int32, got 1099511627776 at row 0; remap"),
        (([[1.0]], ["a"]), {}, "shard_rows: labels must be numbers, got <U1; give every class a number."),
        (([["a"]], [0]), {}, "shard_rows: evidence must be numbers, got <U1; convert it to float32."),
    ],
    ids=str,
)
def test_rows_that_cannot_be_spread(arguments, options, message):
    with pytest.raises(InputError, match=message):
        lj.shard_rows(*arguments, **options)


def test_rows_are_copied():
    """A CPU device would share aligned memory."""
    rows = [aligned(array) for array in (np.eye(3, dtype=np.float32), np.arange(3), np.ones(3, np.float32))]
    sharded = lj.shard_rows(rows[0], rows[1], where=rows[2])
    expected = [np.array(array) for array in rows]
    for array in rows:
        array[:] = 7
    for found, wanted in zip(sharded, expected, strict=True):
        np.testing.assert_array_equal(found, wanted)
