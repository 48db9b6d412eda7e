"""Batches score like the whole: from memory, from disk, from any loader, and after a kill in the middle."""

import os
import signal
import subprocess
import sys
import tempfile

import jax
import jax.monitoring
import numpy as np
import pytest
import reference
import safetensors.numpy
from places import environment
from profiles import only_long

import leepjax as lj
from leepjax.measures import h_score_from_moments
from leepjax.streaming import batches as batches_module
from leepjax.streaming import sweeps
from leepjax.streaming.batches import starting_at
from leepjax.types import InputError

N, Z, D, C = 103, 5, 4, 3
rng = np.random.default_rng(0)
PROBS = rng.dirichlet(np.ones(Z), N).astype(np.float32)
LOGITS = (np.log(PROBS) + rng.normal(size=(N, 1))).astype(np.float32)
LABELS = rng.integers(0, C, N)
FEATURES = (rng.normal(size=(N, D)) + LABELS[:, None]).astype(np.float32)
WHERE = rng.integers(0, 3, N).astype(np.float32)
JOINT = lj.Joint.init(C, Z)


def generator(evidence=PROBS, where=None):
    for start in range(0, N, 10):
        rows = slice(start, start + 10)
        yield (evidence[rows], LABELS[rows]) if where is None else (evidence[rows], LABELS[rows], where[rows])


def memory_mapped(tmp_path, kind=np.float32):
    np.save(tmp_path / "probs.npy", PROBS.astype(kind))
    return lj.Batches(np.load(tmp_path / "probs.npy", mmap_mode="r"), LABELS, batch_size=10)


LOADERS = {
    "memory": lambda _: lj.Batches(PROBS, LABELS, batch_size=10),
    "memory map": memory_mapped,
    "memory map of other bytes": lambda folder: memory_mapped(folder, ">f4"),
    "one batch": lambda _: lj.Batches(PROBS, LABELS),
    "function": lambda _: generator,
    "list": lambda _: list(generator()),
    "dicts": lambda _: [{"evidence": p, "labels": y} for p, y in generator()],
    "jax arrays": lambda _: [(jax.numpy.asarray(p), jax.numpy.asarray(y)) for p, y in generator()],
}


@pytest.mark.parametrize("loader", LOADERS)
def test_leep_of_batches_is_that_of_the_whole(loader, tmp_path):
    score = lj.leep(LOADERS[loader](tmp_path), num_classes=C)
    np.testing.assert_allclose(score, reference.leep(PROBS, LABELS, C), rtol=1e-6)


def test_logits_and_weights_in_batches():
    whole = reference.leep(PROBS.astype(np.float64), LABELS, C, WHERE)
    for batches in (lj.Batches(LOGITS, LABELS, WHERE, batch_size=10), lambda: generator(LOGITS, WHERE)):
        np.testing.assert_allclose(lj.leep(batches, num_classes=C, from_logits=True), whole, rtol=1e-6)


def test_a_loader_may_fill_the_same_array_again():
    def loader():
        buffer, labels, where = np.empty((10, Z), np.float32), np.empty(10, int), np.empty(10, np.float32)
        for start in range(0, 100, 10):
            for array, whole in ((buffer, PROBS), (labels, LABELS), (where, WHERE)):
                array[:] = whole[start : start + 10]
            yield Refilled(buffer), labels, Refilled(where)

    expected = reference.leep(PROBS[:100].astype(np.float64), LABELS[:100], C, WHERE[:100])
    np.testing.assert_allclose(lj.leep(loader, num_classes=C), expected, rtol=1e-6)


class Refilled:
    """An array of another library, which shares its memory with JAX."""

    def __init__(self, array):
        self._array = array

    def __array__(self, dtype=None, copy=None):
        return np.array(self._array, dtype)

    def __dlpack__(self, **options):
        return self._array.__dlpack__(**options)

    def __dlpack_device__(self):
        return self._array.__dlpack_device__()


@pytest.mark.parametrize("hidden", [slice(0, 10), slice(40, 60), slice(90, None)], ids=["first", "middle", "last"])
def test_batches_without_an_example_that_counts_are_left_out(hidden):
    where = WHERE.copy()
    where[hidden] = 0
    whole = reference.leep(PROBS.astype(np.float64), LABELS, C, where)
    told = []
    batches = lj.Batches(PROBS, LABELS, where, batch_size=10)
    np.testing.assert_allclose(lj.leep(batches, num_classes=C, on_batch=told.append), whole, rtol=1e-6)
    assert sum(told) == 2 * N
    empty = (PROBS[:0], LABELS[:0], where[:0])
    np.testing.assert_allclose(lj.leep([empty, *batches, empty], num_classes=C), whole, rtol=1e-6)


@pytest.mark.parametrize("pass_over", [lambda b: lj.leep(b, num_classes=C), lambda b: lj.accumulate(JOINT, b)])
def test_batches_none_of_which_counts_are_refused(pass_over):
    with pytest.raises(
        InputError, match=r"^\w+: expected at least one example that counts, got none; give one a weight"
    ):
        pass_over(lj.Batches(PROBS, LABELS, 0 * WHERE, batch_size=10))


def test_a_table_on_disk(tmp_path):
    tensors = {"features": FEATURES, "logits": LOGITS, "labels": LABELS.astype(np.int32)}
    safetensors.numpy.save_file(tensors, tmp_path / "table.safetensors", {"source": "a"})
    logits = lj.Batches.of_table(tmp_path / "table.safetensors", batch_size=10)
    np.testing.assert_allclose(
        lj.leep(logits, num_classes=C, from_logits=True), reference.leep(PROBS, LABELS, C), rtol=1e-5
    )
    features = lj.Batches.of_table(tmp_path / "table.safetensors", "features", batch_size=10)
    moments = lj.accumulate(lj.Moments.init(C, D), features)
    np.testing.assert_allclose(h_score_from_moments(moments), reference.h_score(FEATURES, LABELS), rtol=1e-5)


def test_many_rows_lose_no_digits():
    """A plain float32 sum of this many logarithms would lose them."""
    probs, labels = np.tile(PROBS[:100], (3000, 1)), np.tile(LABELS[:100], 3000)
    score = lj.leep(lj.Batches(probs, labels, batch_size=100), num_classes=C)
    np.testing.assert_allclose(score, reference.leep(PROBS[:100].astype(np.float64), LABELS[:100], C), rtol=1e-6)


def test_progress_and_one_program_for_all_batches():
    compiled, told = [], []
    jax.monitoring.register_event_duration_secs_listener(lambda event, _, **__: compiled.append(event))
    batches = lj.Batches(PROBS, LABELS, batch_size=25)
    lj.leep(batches, num_classes=C, on_batch=told.append)
    assert told == [25, 25, 25, 25, 3] * 2
    del compiled[:]
    lj.leep(batches, num_classes=C)
    assert not [event for event in compiled if "compile" in event]


INTERRUPTED = """
import sys, time
from pathlib import Path
import leepjax as lj, leepjax.streaming.sweeps
import test_streaming as t

leepjax.streaming.sweeps.SECONDS_BETWEEN_SAVES = 0
told = 0
def on_batch(examples):
    global told
    told += examples
    if told >= int(sys.argv[2]):
        print("here", flush=True)
        time.sleep(60)
lj.leep(lj.Batches(t.PROBS, t.LABELS, batch_size=10), num_classes=t.C, checkpoint=sys.argv[1], on_batch=on_batch)
"""


@pytest.mark.parametrize("examples", [133, *only_long((30,))])
def test_a_killed_run_resumes_where_it_was(tmp_path, examples):
    checkpoint = tmp_path / "leep.checkpoint"
    command = [sys.executable, "-c", INTERRUPTED, str(checkpoint), str(examples)]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True, env=environment()) as process:
        assert process.stdout.readline() == "here\n"
        process.send_signal(signal.SIGKILL)
    assert checkpoint.exists()
    with pytest.raises(
        InputError, match=r"checkpoint: expected one of this call and these batches .*, got one of a different call"
    ):
        lj.leep(lj.Batches(PROBS, LABELS, batch_size=20), num_classes=C, checkpoint=checkpoint)

    told = []
    batches = lj.Batches(PROBS, LABELS, batch_size=10)
    score = lj.leep(batches, num_classes=C, checkpoint=checkpoint, on_batch=told.append)
    np.testing.assert_allclose(score, reference.leep(PROBS, LABELS, C), rtol=1e-6)
    assert sum(told) == 2 * N - examples
    assert not checkpoint.exists()


def same_batches(evidence=PROBS, where=None):
    return lambda: generator(evidence, where)


OTHER = np.concatenate([PROBS[:20], PROBS[:19:-1]])  # what a kill in the third batch has seen of it is the same


@pytest.mark.parametrize(
    ("first", "other"),
    [
        (lj.Batches(PROBS, LABELS, batch_size=10), lj.Batches(OTHER, LABELS, batch_size=10)),
        (lj.Batches(PROBS, LABELS, batch_size=10), lj.Batches(PROBS, LABELS, WHERE, batch_size=10)),
        (same_batches(), same_batches(PROBS[::-1])),
        (same_batches(), same_batches(PROBS, WHERE)),
    ],
    ids=["evidence", "where", "loader's evidence", "loader's where"],
)
def test_a_checkpoint_of_other_batches_is_refused_and_kept(tmp_path, monkeypatch, first, other):
    checkpoint = interrupted(tmp_path, monkeypatch, JOINT, first)
    with pytest.raises(InputError, match=r"^checkpoint: expected one of this call and these batches"):
        lj.accumulate(JOINT, other, checkpoint=checkpoint)
    joint = lj.accumulate(JOINT, first, checkpoint=checkpoint)
    np.testing.assert_allclose(joint.table, JOINT.update(PROBS, LABELS).table, rtol=1e-6)


def test_a_checkpoint_of_another_start_is_refused(tmp_path, monkeypatch):
    start = JOINT.update(PROBS, LABELS)
    checkpoint = interrupted(tmp_path, monkeypatch, start, list(generator()))
    with pytest.raises(InputError, match=r"^checkpoint: expected one of this call and these batches"):
        lj.accumulate(JOINT, list(generator()), checkpoint=checkpoint)


def test_a_checkpoint_of_a_mapped_file_that_was_changed_is_refused(tmp_path, monkeypatch):
    first = memory_mapped(tmp_path)
    checkpoint = interrupted(tmp_path, monkeypatch, JOINT, first)
    np.save(tmp_path / "probs.npy", OTHER)
    with pytest.raises(InputError, match=r"^checkpoint: expected one of this call and these batches"):
        lj.accumulate(JOINT, first, checkpoint=checkpoint)


def interrupted(tmp_path, monkeypatch, statistic, batches):
    """The checkpoint of a pass that ended after two batches."""
    monkeypatch.setattr(sweeps, "SECONDS_BETWEEN_SAVES", 0)
    told = []

    def stop(examples):
        told.append(examples)
        if len(told) == 2:
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        lj.accumulate(statistic, batches, on_batch=stop, checkpoint=tmp_path / "checkpoint")
    return tmp_path / "checkpoint"


@pytest.mark.parametrize("damage", ["bit", "sweep", "seen", "dtype", "end"])
def test_a_damaged_checkpoint_is_refused(tmp_path, monkeypatch, damage):
    checkpoint = interrupted(tmp_path, monkeypatch, JOINT, list(generator()))
    content = checkpoint.read_bytes()
    changed = {
        "bit": content[:-1] + bytes([content[-1] ^ 1]),
        "sweep": content.replace(b'"sweep":"0"', b'"sweep":"1"'),
        "seen": content.replace(b'"seen"', b'"teen"'),
        "dtype": content.replace(b'"F32"', b'"I32"'),
        "end": content[:-1],
    }[damage]
    assert changed != content
    checkpoint.write_bytes(changed)
    with pytest.raises(InputError, match=r"^checkpoint: expected a checkpoint in .*checkpoint, got .*; delete it\.$"):
        lj.accumulate(JOINT, list(generator()), checkpoint=checkpoint)


def test_a_file_that_is_not_a_checkpoint(tmp_path):
    (tmp_path / "file").write_bytes(b"no checkpoint")
    with pytest.raises(InputError, match=r"^checkpoint: expected a checkpoint in .*file, got .*; delete it\.$"):
        lj.leep(lj.Batches(PROBS, LABELS), num_classes=C, checkpoint=tmp_path / "file")


@pytest.mark.parametrize(
    ("batches", "message"),
    [
        (
            generator(),
            "batches: expected batches that can be read twice, got an iterator; pass a function that makes it.",
        ),
        ([], "batches: expected at least one batch, got none; pass a loader with at least one example."),
        (
            [PROBS],
            r"batches: expected \(evidence, labels\) or \(evidence, labels, where\), got ndarray; convert the loader",
        ),
        ([{"x": 1}], r"batches: expected .*, got a dict of \['x'\]; convert the loader's items."),
        ([(PROBS, LABELS + 1)], r"leep, batch 0: labels must lie in \[0, 3\), got 3 at index"),
        ([(2 * PROBS, LABELS)], "leep, batch 0: each row of probs must be non-negative and sum to one, got sum 2"),
        (
            [(PROBS, LABELS), (2 * PROBS, LABELS)],
            "leep: expected each row of probs to be non-negative .*, got 103 that",
        ),
        ([(PROBS, LABELS), (PROBS, LABELS[1:])], "leep, batch 1: expected 103 labels, one per example, got 102"),
        ([(PROBS, LABELS), (PROBS, LABELS[:0])], "leep, batch 1: expected 103 labels, one per example, got 0"),
        (
            [(PROBS, LABELS), (np.eye(3)[LABELS], LABELS)],
            "leep, batch 1: expected evidence of 5 columns, got 3; pass batches of the same width",
        ),
    ],
    ids=["iterator", "nothing", "no tuple", "dict", "label", "first batch", "later batch", "length", "empty", "width"],
)
def test_batches_that_cannot_be_scored(batches, message):
    with pytest.raises(InputError, match=f"^{message}"):
        lj.leep(batches, num_classes=C)


def test_what_else_is_refused(tmp_path):
    with pytest.raises(InputError, match=r"^leep: expected num_classes with batches, got None; pass an int\.$"):
        lj.leep(lj.Batches(PROBS, LABELS))
    with pytest.raises(
        InputError, match=r"^leep: expected where in the batches, got an argument; pass batches \(probs, "
    ):
        lj.leep(lj.Batches(PROBS, LABELS), num_classes=C, where=WHERE)
    with pytest.raises(
        InputError, match=r"^Batches: expected 103 labels, one per example, got 102; pass one per example\.$"
    ):
        lj.Batches(PROBS, LABELS[1:])
    with pytest.raises(InputError, match=r"^Batches: batch_size must be >= 1, got 0; pass a number of rows\.$"):
        lj.Batches(PROBS, LABELS, batch_size=0)
    with pytest.raises(InputError, match=r"^Batches: expected a table at .*nowhere, got no file; check the path\.$"):
        lj.Batches.of_table(tmp_path / "nowhere")
    with pytest.raises(InputError, match=r"^accumulate, batch 0: expected evidence of 4 columns, got 5; make the stat"):
        lj.accumulate(lj.Joint.init(C, 4), [(PROBS, LABELS)])


@pytest.mark.parametrize("first", [0, 1], ids=["aligned", "not aligned"])
def test_a_large_batch_of_a_file_is_its_rows_and_the_callers_own(tmp_path, first):
    """Rows that are mapped, and rows that are read because JAX would copy them for their address."""
    array = np.arange(3000 * 103, dtype=np.float32).reshape(3000, 103)
    np.save(tmp_path / "rows.npy", array)
    mapped = np.load(tmp_path / "rows.npy", mmap_mode="r")
    batches = list(lj.Batches(mapped, np.zeros(3000, int), batch_size=1000 + first))
    assert np.concatenate([batch.evidence for batch in batches]).tobytes() == array.tobytes()
    batches[0].evidence[:] = 0
    np.testing.assert_array_equal(np.load(tmp_path / "rows.npy"), array)


def removed(path):
    path.unlink()


def replaced(path):
    np.save(path.with_name("other.npy"), PROBS[::-1])
    path.with_name("other.npy").replace(path)


@pytest.mark.parametrize("then", [removed, replaced])
@pytest.mark.parametrize("batches_exist", [False, True], ids=["before", "after"])
def test_batches_are_those_of_the_map_whatever_has_its_file_s_name(tmp_path, then, batches_exist):
    path = tmp_path / "probs.npy"
    np.save(path, PROBS)
    mapped = np.load(path, mmap_mode="r")
    batches = lj.Batches(mapped, LABELS, batch_size=10) if batches_exist else None
    then(path)
    found = [batch.evidence for batch in batches or lj.Batches(mapped, LABELS, batch_size=10)]
    np.testing.assert_array_equal(np.concatenate(found), PROBS)


def test_changes_of_a_map_that_are_in_memory_alone_count(tmp_path):
    np.save(tmp_path / "probs.npy", PROBS)
    mapped = np.load(tmp_path / "probs.npy", mmap_mode="c")
    mapped[:] = PROBS[::-1]
    found = [batch.evidence for batch in lj.Batches(mapped, LABELS, batch_size=10)]
    np.testing.assert_array_equal(np.concatenate(found), PROBS[::-1])


def test_a_map_of_a_file_without_a_name_or_in_another_order_of_bytes():
    with tempfile.TemporaryFile() as file:
        file.write(PROBS.astype(">f4").tobytes())
        file.flush()
        mapped = np.memmap(file, ">f4", "r", shape=PROBS.shape)
        found = [batch.evidence for batch in lj.Batches(mapped, LABELS, batch_size=10)]
    np.testing.assert_array_equal(np.concatenate(found), PROBS)
    assert found[0].dtype == np.float32


def test_a_file_that_became_shorter_is_refused(tmp_path):
    np.save(tmp_path / "rows.npy", np.ones((3000, 100), np.float32))
    mapped = np.load(tmp_path / "rows.npy", mmap_mode="r")
    with (tmp_path / "rows.npy").open("r+b") as file:
        file.truncate(1000)
    with pytest.raises(InputError, match=r"^batches: expected 3000 rows in .*rows.npy, got fewer; write"):
        next(iter(lj.Batches(mapped, np.zeros(3000, int), batch_size=1000)))


def test_a_file_that_becomes_shorter_after_a_batch_was_read_ahead_is_refused(tmp_path, monkeypatch):
    """Reading such a batch would end the process."""
    np.save(tmp_path / "rows.npy", np.ones((3000, 100), np.float32))
    mapped = np.load(tmp_path / "rows.npy", mmap_mode="r")

    def then_shortened(batch):
        os.truncate(tmp_path / "rows.npy", 1000)
        return batch

    monkeypatch.setattr(batches_module, "_on_device", then_shortened)
    with pytest.raises(InputError, match=r"^batches: expected 3000 rows in .*rows.npy, got fewer; write"):
        next(starting_at(lj.Batches(mapped, np.zeros(3000, int), batch_size=1000), 0))
