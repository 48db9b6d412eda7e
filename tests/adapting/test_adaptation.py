"""``leepjax retrain`` and ``finetune``: what they print, what they leave behind, and that it is what they measured."""

import errno
import json
import os
import signal
import subprocess
import sys
import threading
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace

import msgspec
import numpy as np
import pytest
from small_shipped import small_sources

from leepjax import cli
from leepjax.adapting.finetune import finetune
from leepjax.adapting.parts import parts
from leepjax.adapting.pretrain import pretrain
from leepjax.adapting.retrain import retrain
from leepjax.data.readers import digits
from leepjax.data.split import stratified_limit, train_test_split
from leepjax.extraction.extract import extract
from leepjax.models.opening import load_source
from leepjax.models.source import Source, UserFunction
from leepjax.storage.files import WriteError
from leepjax.transfer.curve import Epoch
from leepjax.transfer.head import retrain_head
from leepjax.transfer.metrics import metrics
from leepjax.transfer.recipe import FineTuning, Recipe
from leepjax.types import InputError

LIMIT = 60
COMMON = ("digits", "--source", "cifar10", "--limit", LIMIT, "--format", "json")
BRIEF = ("--epochs", 2, "--batch-size", 16)
small = small_sources("random", "cifar10")


@pytest.fixture
def run(monkeypatch, capsys, tmp_path):
    """Run the command line in this process: exit code, stdout's rows, stderr."""
    monkeypatch.delenv("PYTEST_VERSION", raising=False)  # or Cyclopts warns of reading pytest's arguments
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr("leepjax.cli.finetune.cache_compilations", lambda folder: None)  # it would outlast the test

    def run(*arguments):
        monkeypatch.setattr(sys, "argv", ["leepjax", *map(str, arguments)])
        capsys.readouterr()
        with pytest.raises(SystemExit) as exited:
            cli.main()
        out, err = capsys.readouterr()
        return exited.value.code or 0, json.loads(out or "[]"), err

    return run


def refuse(path, *content):
    raise WriteError(errno.ENOSPC, "No space left on device", str(path))


def halves():
    examples = digits().subset(stratified_limit(digits().labels, LIMIT, 0))
    return [examples.subset(part) for part in train_test_split(examples.labels, 0.2, 0)]


def test_retrain_measures_both_parts_and_writes_the_network_that_it_measured(run, tmp_path, monkeypatch):
    code, rows, err = run("retrain", *COMMON, "--out", "made", "--no-cache")
    assert code == 0
    assert "wrote the source made/cifar10-digits-head.safetensors" in err
    train_set, test_set = halves()
    tables = [extract(load_source("cifar10"), part) for part in (train_set, test_set)]
    head = retrain_head(tables[0].features, train_set.labels, 10).head
    for row, part, table, examples in zip(rows, ("train", "test"), tables, (train_set, test_set), strict=True):
        worth = metrics(head.logits(table.features), examples.labels)._asdict()
        assert (row["source"], row["target"], row["trained"], row["part"]) == ("cifar10", "digits", "head", part)
        assert row["examples"] == len(examples)
        assert {name: row[name] for name in worth} == pytest.approx(worth, abs=1e-6)
    written = load_source(tmp_path / "made" / "cifar10-digits-head.safetensors")
    logits = extract(written, test_set).logits
    np.testing.assert_allclose(logits, head.logits(tables[1].features), atol=2e-3)
    assert written.card.accuracy == pytest.approx(rows[1]["accuracy"], abs=1e-6)
    assert written.card.classes == digits().classes
    assert written.card.training.command.startswith("leepjax retrain digits --source cifar10")
    monkeypatch.setattr("leepjax.models.weights.write_atomically", refuse)
    code, again, err = run("retrain", *COMMON, "--out", "made", "--no-cache")
    assert (code, again) == (1, rows)
    assert "expected to write made/cifar10-digits-head.safetensors, got No space left" in err
    assert load_source(tmp_path / "made" / "cifar10-digits-head.safetensors").card == written.card


@pytest.mark.parametrize("scratch", [(), ("--scratch",)], ids=["finetune", "scratch"])
def test_finetune_writes_the_network_that_it_measured_and_its_curve(run, tmp_path, scratch):
    code, rows, err = run("finetune", *COMMON, *BRIEF, "--out", "made", "--name", "mine", *scratch)
    assert code == 0
    assert "cifar10: loss " in err
    assert "test accuracy" in err
    (row,) = rows
    assert (row["trained"], row["part"], row["examples"]) == ("scratch" if scratch else "finetune", "test", 12)
    lines = (tmp_path / "made" / "mine.curve.jsonl").read_bytes().splitlines()
    first, last = (msgspec.json.decode(line, type=Epoch) for line in lines)
    assert (first.step, last.step) == (3, 6)
    assert row["images_per_second"] == last.images_per_second > 0
    assert {name: getattr(last, name) for name in ("accuracy", "macro_f1", "log_loss")} == pytest.approx(
        {name: row[name] for name in ("accuracy", "macro_f1", "log_loss")}, abs=1e-6
    )
    written = load_source(tmp_path / "made" / "mine.safetensors")
    kernels = [source.network.model().conv1.kernel[...] for source in (written, load_source("cifar10"))]
    assert (np.corrcoef(*map(np.ravel, kernels))[0, 1] < 0.5) == bool(scratch)  # two epochs change weights little
    worth = metrics(extract(written, halves()[1]).logits, halves()[1].labels)
    assert worth.log_loss == pytest.approx(row["log_loss"], abs=1e-4)
    assert written.card.accuracy == pytest.approx(row["accuracy"], abs=1e-6)
    assert written.card.data == ("digits" if scratch else f"{load_source('cifar10').card.data}; then digits")
    assert written.card.training.epochs == 2
    assert {path.name for path in (tmp_path / "made").iterdir()} == {
        f"mine.{kind}" for kind in ("safetensors", "json", "curve.jsonl")
    }


def test_the_same_finetune_again_reads_what_it_wrote_unless_data_or_weights_changed(tmp_path, caplog):
    chosen, options = parts("finetune", *halves()), {"recipe": FineTuning(epochs=1, batch_size=16), "out": tmp_path}
    first = finetune("random", chosen, **options)
    steps = []
    again = finetune("random", chosen, on_step=steps.append, **options)
    assert not steps
    assert "was already trained by the same command; it is read, not trained again" in caplog.text
    assert again.curve == first.curve
    assert again.source.card == first.source.card
    for name, value in first.rows[0].items():
        assert again.rows[0][name] == (pytest.approx(value, abs=1e-6) if isinstance(value, float) else value)
    other = parts("finetune", chosen.train.subset(np.arange(40)), chosen.test)
    finetune("random", other, on_step=steps.append, **options)
    assert steps
    weights = tmp_path / "random-digits-finetune.safetensors"
    weights.write_bytes(weights.read_bytes()[:-1])
    steps.clear()
    finetune("random", other, on_step=steps.append, **options)
    assert steps


def test_the_same_finetune_twice_at_once_trains_once(tmp_path, monkeypatch):
    """Threads take the place of processes: each opens the lock file itself."""
    monkeypatch.setattr("leepjax.storage.locks.PATIENCE", 0.1)
    chosen, steps, both = parts("finetune", *halves()), [], threading.Barrier(2)

    def run(_):
        both.wait()
        recipe = FineTuning(epochs=1, batch_size=16)
        return finetune("random", chosen, recipe=recipe, out=tmp_path, on_step=lambda at: steps.append(at.step))

    with ThreadPoolExecutor(2) as pool:
        first, second = pool.map(run, range(2))
    assert steps == [0, 1, 2]
    assert first.curve == second.curve
    assert first.rows[0]["accuracy"] == second.rows[0]["accuracy"]
    assert {path.suffix for path in tmp_path.iterdir()} == {".safetensors", ".json", ".jsonl"}


def test_without_a_folder_nothing_is_written(run, tmp_path):
    assert run("retrain", *COMMON, "--no-cache")[0] == 0
    assert not list(tmp_path.iterdir())


@pytest.mark.long
def test_ctrl_c_saves_says_how_to_resume_and_the_same_command_resumes(tmp_path):
    command = [*map(str, (sys.executable, "-m", "leepjax", "finetune", *COMMON, *BRIEF, "--out", tmp_path / "made"))]
    # A cache of features of its own, with the programs that the tests above have compiled.
    (tmp_path / "cache").mkdir()
    (tmp_path / "cache" / "xla").symlink_to(os.environ["JAX_COMPILATION_CACHE_DIR"], target_is_directory=True)
    options = {"text": True, "env": os.environ | {"LEEPJAX_CACHE": str(tmp_path / "cache")}}
    with subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, **options) as process:
        assert process.stderr.readline().split(" (")[0].endswith("epoch 1: 1/6")
        process.send_signal(signal.SIGINT)
        out, err = process.communicate(timeout=60)
    assert (process.returncode, out) == (130, "")
    last = err.splitlines()[-1]
    assert last.startswith("leepjax: interrupted at step ")
    assert last.endswith(" of 6; the same command resumes from there.")
    step = int(last.split()[4])
    ended = subprocess.run(command, capture_output=True, check=True, **options)
    assert f": {step + 1}/6 (" in ended.stderr.splitlines(keepends=True)[0]
    assert json.loads(ended.stdout)[0]["examples"] == 12


def test_a_test_set_of_its_own_is_measured_on():
    train_set, test_set = halves()
    chosen = parts("retrain", train_set, test_set)
    assert (chosen.train, chosen.test) == (train_set, test_set)
    rows = retrain("random", chosen).rows
    assert [row["examples"] for row in rows] == [48, 12]


def test_what_another_command_made_is_not_overwritten(run, tmp_path):
    command = ("retrain", *COMMON, "--out", "made", "--no-cache")
    assert run(*command)[0] == 0
    assert run(*command)[0] == 0
    code, rows, err = run(*command, "--seed", 1)
    assert (code, rows) == (2, [])
    assert err.startswith(
        "leepjax: retrain: expected no other network at made/cifar10-digits-head.safetensors, got one"
    )


def test_pretrain_from_python_does_not_replace_the_network_of_another_call(tmp_path):
    train_set, test_set = halves()
    recipe = Recipe(epochs=0)
    first = pretrain(train_set, test_set, "mine", tmp_path, model="small", recipe=recipe)
    with pytest.raises(InputError, match=r"^pretrain: expected no other network at .*, got one made by 'others'; pass"):
        pretrain(train_set, test_set, "mine", tmp_path, model="small", recipe=replace(recipe, seed=1))
    assert pretrain(train_set, test_set, "mine", tmp_path, model="small", recipe=recipe).card == first.card


def test_a_folder_that_cannot_be_written_to_is_one_sentence_before_any_work(run, tmp_path):
    (tmp_path / "file").write_text("")
    for command in ("retrain", "finetune"):
        code, rows, err = run(command, *COMMON, "--out", "file")
        assert (code, rows) == (2, [])
        got = "expected a folder to write to at file, got Not a directory; pass another folder."
        assert err == f"leepjax: {command}: {got}\n"


def test_a_user_s_function_keeps_its_head_and_is_measured():
    source = load_source("random")
    function = Source(source.card, UserFunction(*source.opened))
    chosen = parts("retrain", *halves())
    assert retrain(function, chosen).rows == retrain(source, chosen).rows


def test_classes_of_the_test_set_are_found_by_name_and_others_refused():
    train_set, test_set = halves()
    found = parts("retrain", train_set, test_set.of_classes(["1", "0"]))
    assert found.test.classes == train_set.classes
    assert found.test.labels.tolist() == [label for label in test_set.labels if label < 2]
    with pytest.raises(InputError, match="retrain: expected the same classes in both sets, got '2' in the test set"):
        parts("retrain", train_set.of_classes(["0", "1"]), test_set.of_classes(["1", "2"]))


@pytest.mark.parametrize("fraction", [0.0, 1.0, -1])
def test_a_fraction_is_between_zero_and_one(fraction):
    with pytest.raises(InputError, match="finetune: test_fraction must lie between 0 and 1"):
        parts("finetune", halves()[0], test_fraction=fraction)


def test_a_fraction_that_is_not_used_is_named(caplog):
    train_set, test_set = halves()
    parts("finetune", train_set.with_test(test_set), test_fraction=0.3)
    assert "test_fraction isn't used, since the set comes with a test split." in caplog.text
    with pytest.raises(InputError, match="finetune: expected a test set or a test_fraction, got both; leave"):
        parts("finetune", train_set, test_set, test_fraction=0.3)


def test_both_parts_need_examples():
    with pytest.raises(InputError, match=r"finetune: expected examples in both parts of the split, got 12 and 0; add"):
        parts("finetune", halves()[1], test_fraction=0.01)
