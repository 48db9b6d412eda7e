"""A killed training resumes and ends with the weights of an uninterrupted one; damaged checkpoints are passed over."""

import logging
import shutil
import signal
import subprocess
import sys
import time
from contextlib import closing
from dataclasses import replace
from functools import cache
from pathlib import Path

import numpy as np
import pytest
from places import environment
from profiles import only_long
from small_network import DATA, EXPECTED, Small, leaves
from small_network import RECIPE as WHOLE

from leepjax.transfer import checkpoints as saving
from leepjax.transfer.loop import Images
from leepjax.transfer.train import train
from leepjax.types import InputError

HERE = Path(__file__).parent
RECIPE = replace(WHOLE, epochs=4)
NOISE = Images(DATA.images, np.random.default_rng(3).integers(0, 2, len(DATA.labels)))
STOPPING = replace(RECIPE, epochs=60, learning_rate=0.2, patience=3, validation_fraction=0.3)


def trained(folder=None, recipe=RECIPE, data=DATA, seed=0, **options):
    model = Small(seed)
    return model, train(model, data, EXPECTED, recipe, test=data, checkpoints=folder, **options)


@cache
def whole_training(stopping=False):
    """The weights and the curve of a training that nothing stops."""
    recipe, data = (STOPPING, NOISE) if stopping else (RECIPE, DATA)
    model, curve = trained(recipe=recipe, data=data)
    return leaves(model), curve


def assert_whole(model, stopping=False):
    expected, _ = whole_training(stopping)
    for name, leaf in leaves(model).items():
        np.testing.assert_array_equal(leaf, expected[name])


def learned(curve):
    """The curve without the times."""
    return [(epoch.step, epoch.loss, epoch.train_accuracy, epoch.validation_loss, epoch.log_loss) for epoch in curve]


@pytest.fixture
def always(monkeypatch):
    """Write a checkpoint after every step."""
    monkeypatch.setattr(saving, "SECONDS", 0.0)


class KilledError(Exception):
    pass


def test_the_root_logger_is_left_alone(tmp_path, monkeypatch, always):
    code = "import logging, leepjax.transfer.checkpoints; raise SystemExit(bool(logging.root.handlers))"
    subprocess.run([sys.executable, "-c", code], env=environment(), check=True)
    monkeypatch.setattr(logging.root, "handlers", [])
    for _ in range(2):  # the second one restores the first one's checkpoint
        trained(tmp_path / "checkpoints", replace(RECIPE, epochs=1))
        assert logging.root.handlers == []


def killed_at(step):
    def on_step(at):
        if at.step == step:
            raise KilledError

    return on_step


@pytest.mark.parametrize(("stopping", "step"), [(False, 9), (True, 4), *only_long((False, 8), (False, 1), (True, 5))])
def test_a_stopped_training_ends_with_the_weights_and_curve_of_a_whole_one(always, tmp_path, stopping, step):
    recipe, data = (STOPPING, NOISE) if stopping else (RECIPE, DATA)
    _, curve = whole_training(stopping)
    with pytest.raises(KilledError):
        trained(tmp_path, recipe, data, on_step=killed_at(step))
    steps = []
    resumed, resumed_curve = trained(tmp_path, recipe, data, on_step=lambda at: steps.append(at.step))
    assert steps[0] == step
    assert learned(resumed_curve) == learned(curve)
    assert_whole(resumed, stopping)


def test_a_finished_training_is_not_trained_again(tmp_path):
    whole, curve = trained(tmp_path)
    steps = []
    again, same_curve = trained(tmp_path, on_step=steps.append)
    assert not steps
    assert same_curve == curve
    for name, leaf in leaves(whole).items():
        np.testing.assert_array_equal(leaves(again)[name], leaf)


@pytest.mark.parametrize("damage", ["flip", "cut", "lose", "progress"])
def test_a_damaged_checkpoint_is_reported_and_the_one_before_is_used(always, tmp_path, caplog, damage):
    with pytest.raises(KilledError):
        trained(tmp_path, on_step=killed_at(9))
    assert {path.name for path in tmp_path.iterdir()} == {"8", "9", "training"}
    harm(tmp_path / "9", damage)
    steps = []
    with caplog.at_level(logging.WARNING, "leepjax"):
        resumed, _ = trained(tmp_path, on_step=lambda at: steps.append(at.step))
    assert steps[0] == 8
    assert "the checkpoint of step 9 can't be restored" in caplog.text
    assert "is set aside; continuing from the one before, of step 8" in caplog.text
    assert [path.name.startswith("damaged-9") for path in tmp_path.iterdir()].count(True) == 1
    assert_whole(resumed)


def test_with_all_checkpoints_damaged_the_training_starts_again(always, tmp_path, caplog):
    with pytest.raises(KilledError):
        trained(tmp_path, on_step=killed_at(9))
    for step in ("8", "9"):
        harm(tmp_path / step, "cut")
    steps = []
    with caplog.at_level(logging.WARNING, "leepjax"):
        trained(tmp_path, on_step=lambda at: steps.append(at.step))
    assert steps[0] == 0
    assert "is set aside; starting again" in caplog.text


def test_a_checkpoint_that_cannot_be_written_is_a_warning_and_the_ones_before_are_kept(always, tmp_path, caplog):
    with pytest.raises(KilledError):
        trained(tmp_path, on_step=killed_at(9))
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("os.posix_fallocate", lambda *at: (_ for _ in ()).throw(OSError(28, "No space left on device")))
        resumed, _ = trained(tmp_path)
    assert "the checkpoint of step 10 can't be written (No space left on device); training continues" in caplog.text
    assert {path.name for path in tmp_path.iterdir()} == {"8", "9", "training"}
    assert_whole(resumed)


def test_an_error_of_orbax_leaves_the_checkpoints_before_and_later_ones_are_written(always, tmp_path, caplog):
    kept = saving.Checkpoints(tmp_path, "this training")
    assert kept.save(1, {"a": np.ones(3)}, {})
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(kept._manager, "save", lambda *at, **options: (_ for _ in ()).throw(ValueError("disk\nfull")))
        assert not kept.save(2, {"a": np.zeros(3)}, {})
    assert "the checkpoint of step 2 can't be written (disk); training continues" in caplog.text
    np.testing.assert_array_equal(kept.restore({"a": np.zeros(3)})[0]["a"], np.ones(3))
    assert kept.save(3, {"a": np.zeros(3)}, {})
    kept.close()


def test_arrays_that_are_not_those_that_were_written_are_set_aside(tmp_path, caplog):
    """Whether or not Orbax notices the damage: it notices most, but not all."""
    with closing(saving.Checkpoints(tmp_path, "this training")) as kept:
        with pytest.MonkeyPatch.context() as patch:
            patch.setattr(saving, "_digest", lambda leaves: "of other arrays")
            assert kept.save(1, {"a": np.ones(3)}, {})
        assert kept.restore({"a": np.zeros(3)}) is None
    assert "its arrays differ from those that were written" in caplog.text


def test_a_folder_that_a_process_was_killed_in_before_its_first_mark_is_free(tmp_path):
    (tmp_path / ".leepjax-0123.tmp").touch()
    saving.Checkpoints(tmp_path, "this training").close()
    assert [path.name for path in tmp_path.iterdir()] == ["training"]


def test_a_folder_that_was_removed_during_the_training_is_marked_again(tmp_path, caplog):
    folder, state = tmp_path / "checkpoints", {"a": np.ones(3)}
    with closing(saving.Checkpoints(folder, "this training")) as kept:
        assert kept.save(1, state, {})
        shutil.rmtree(folder)
        assert kept.save(2, state, {"of": "step 2"})
    assert not caplog.messages
    with closing(saving.Checkpoints(folder, "this training")) as kept:
        assert kept.restore({"a": np.zeros(3)})[1]["of"] == "step 2"


def test_a_folder_with_anything_else_is_left_alone(tmp_path):
    (tmp_path / "thesis.txt").write_text("mine")
    message = (
        "train: expected an empty folder or checkpoints of this training in .*, got files without the mark 'training'"
    )
    with pytest.raises(InputError, match=message):
        trained(tmp_path)
    assert [path.name for path in tmp_path.iterdir()] == ["thesis.txt"]


def harm(folder, damage):
    files = [file for file in folder.rglob("*") if file.is_file() and file.stat().st_size]
    largest = max(files, key=lambda file: file.stat().st_size)
    content = bytearray(largest.read_bytes())
    if damage == "flip":
        content[len(content) // 2] ^= 1
        largest.write_bytes(content)
    elif damage == "cut":
        for file in files:
            file.write_bytes(file.read_bytes()[: file.stat().st_size // 2])
    elif damage == "lose":
        shutil.rmtree(folder / "state")
    else:
        (file,) = (folder / "progress").glob("metadata")
        file.write_text("{")


@pytest.mark.parametrize(
    "change",
    [
        {"recipe": replace(RECIPE, epochs=5)},
        {"data": Images(DATA.images, 1 - DATA.labels)},
        {"data": Images(255 - DATA.images, DATA.labels)},
        {"seed": 1},
        {"dtype": "bfloat16"},
        {"per_epoch": False},
    ],
)
def test_checkpoints_of_another_training_are_refused(tmp_path, change):
    trained(tmp_path)
    message = r"checkpoints of this training in .*, got others \(data, weights or recipe differ\); pass another folder"
    with pytest.raises(InputError, match=message):
        trained(tmp_path, **change)


PROGRAM = """
import sys, time
from dataclasses import replace
from pathlib import Path
from small_network import *
from leepjax.transfer import checkpoints
from leepjax.transfer.train import train

checkpoints.SECONDS = float(sys.argv[2])
RECIPE = replace(RECIPE, epochs=4)
model = Small()
def on_step(at):
    print(at.step, flush=True)
    time.sleep(float(sys.argv[3]))
try:
    train(model, DATA, EXPECTED, RECIPE, checkpoints=Path(sys.argv[1]), on_step=on_step)
except KeyboardInterrupt as interrupt:
    sys.exit(f"{interrupt.number}: {interrupt}")
"""


def started(folder, seconds, pause):
    return subprocess.Popen(
        [sys.executable, "-c", PROGRAM, folder, seconds, pause],
        env=environment(), stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True,
    )  # fmt: skip


def step_of(process):
    return int(process.stdout.readline())


def gone_on(folder):
    """The first step of the training that is resumed here, and its network."""
    model, steps = Small(), []
    train(model, DATA, EXPECTED, RECIPE, checkpoints=folder, on_step=lambda at: steps.append(at.step))
    return steps[0], model


@pytest.mark.parametrize("times", [1, *only_long((2,))])
def test_a_process_killed_at_any_moment_resumes_and_ends_with_the_same_weights(tmp_path, times):
    """At any moment, perhaps while it is writing; this process resumes it."""
    for reached in (4, 8)[:times]:
        process = started(tmp_path, seconds="0", pause="0.01")
        while step_of(process) < reached:
            pass
        time.sleep(0.1)
        process.send_signal(signal.SIGKILL)
        process.communicate()
    first, model = gone_on(tmp_path)
    assert first >= reached - 1
    assert_whole(model)


@pytest.mark.parametrize("sent", [signal.SIGTERM, *only_long((signal.SIGINT,))])
def test_a_signal_saves_a_checkpoint_and_says_where_the_training_stopped(sent, tmp_path):
    process = started(tmp_path, seconds="1000", pause="0.1")
    while step_of(process) < 4:
        pass
    process.send_signal(sent)
    _, errors = process.communicate(timeout=60)
    stopped = int(errors.rpartition("interrupted at step ")[2].partition(" ")[0])
    message = f"{sent.value}: interrupted at step {stopped} of 12; the same command resumes from there."
    assert errors.strip().endswith(message)
    first, model = gone_on(tmp_path)
    assert first == stopped
    assert_whole(model)
