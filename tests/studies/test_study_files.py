"""The files of a study's folder: several processes write to them, and what is damaged is kept aside and used."""

import json
import multiprocessing

import msgspec
import pytest
from small_source import coloured, small_source

from leepjax.report.runs import add_run, read_runs
from leepjax.storage.files import WriteError
from leepjax.storage.locks import locked
from leepjax.studies.config import Config
from leepjax.studies.datasets import open_pair
from leepjax.studies.ledger import Ledger
from leepjax.studies.outcome import OUTCOMES, PROVENANCE, TASKS, read_outcomes, read_studies, write_outcomes
from leepjax.studies.provenance import this_run, write_provenance
from leepjax.studies.tasks import Each, Profile, keep_tasks, read_tasks, sample
from leepjax.studies.transfers import Transfer, Transferred
from leepjax.transfer.metrics import Metrics

TRAIN, TEST = coloured(8, 1), coloured(4, 2, name="coloured-test")
PROFILE = Profile(num_classes=(3, 3), sizes=Each(4))
CONFIG = Config(study="small-balanced", sources=(), targets=((TRAIN, TEST),), profiles=(PROFILE,), num_tasks=3)
TASKS_DRAWN = sample(PROFILE, TRAIN, TEST, num_tasks=3, tests_per_class=None, seed=0)
COMMANDS = ["leepjax study a --out x", 'leepjax study a --sources "b c"', "leepjax study a --tasks 9"]


def transfers(source):
    pair = open_pair(TRAIN, TEST)
    return [Transfer(small_source(0, source), pair, task, "head") for task in TASKS_DRAWN]


def ledger(folder, source):
    return Ledger(folder / "small-balanced", CONFIG, transfers(source), lambda *at: None)


def made(accuracy):
    return Transferred(Metrics(accuracy, accuracy, accuracy, 1.0, 0.1), (), 1.0)


def accuracies(folder):
    return {(o.source, o.task): o.accuracy for o in read_outcomes(folder / "small-balanced" / OUTCOMES)}


def test_ledgers_of_two_processes_keep_each_others_outcomes(tmp_path, monkeypatch):
    first, second = ledger(tmp_path, "first"), ledger(tmp_path, "second")
    for number, (one, other) in enumerate(zip(transfers("first"), transfers("second"), strict=True)):
        first.add(one, made(0.5 + number / 10), {})
        first.write()
        second.add(other, made(number / 10), {})
        second.write()
    first.write()
    assert len(accuracies(tmp_path)) == 6
    assert accuracies(tmp_path)["second", TASKS_DRAWN[1].name] == 0.1


def test_a_ledger_doesnt_undo_what_another_process_made_later(tmp_path):
    first = ledger(tmp_path, "same")
    first.add(transfers("same")[0], made(0.5), {})
    first.write()
    path = tmp_path / "small-balanced" / OUTCOMES
    (outcome,) = read_outcomes(path)
    write_outcomes(path, [msgspec.structs.replace(outcome, key="of other choices", accuracy=0.9)])
    first.add(transfers("same")[1], made(0.6), {})
    first.write()
    assert sorted(accuracies(tmp_path).values()) == [0.6, 0.9]


def test_a_full_disk_leaves_the_outcomes_that_there_are_and_the_next_write_has_all(tmp_path, monkeypatch):
    first = ledger(tmp_path, "first")
    first.add(transfers("first")[0], made(0.5), {})
    first.write()
    first.add(transfers("first")[1], made(0.6), {})
    with monkeypatch.context() as patch:
        patch.setattr("os.fsync", lambda descriptor: (_ for _ in ()).throw(OSError(28, "No space left on device")))
        with pytest.raises(WriteError, match=r"outcomes\.jsonl, got No space left on device; free some space"):
            first.write()
    assert list(accuracies(tmp_path).values()) == [0.5]
    first.write()
    assert list(accuracies(tmp_path).values()) == [0.5, 0.6]


def write_many(folder, name):
    for number in range(5):
        write_provenance(folder, CONFIG, "smoke", f"leepjax study {name} --seed {number}", 1.0)
        add_run(folder, this_run("rank", "", {}, f"leepjax rank {name} --seed {number}", 1.0))
        keep_tasks(folder / TASKS, [msgspec.structs.replace(TASKS_DRAWN[0], name=f"{name}-{number}")])


def test_processes_that_write_a_study_at_the_same_time_keep_each_others_commands_and_tasks(tmp_path):
    spawn = multiprocessing.get_context("spawn")
    processes = [spawn.Process(target=write_many, args=(tmp_path, name)) for name in "ab"]
    for process in processes:
        process.start()
    for process in processes:
        process.join()
    kept = json.loads((tmp_path / PROVENANCE).read_text())
    expected = {f"{name} --seed {number}" for name in "ab" for number in range(5)}
    assert {command.removeprefix("leepjax study ") for command in kept["command"].split(" && ")} == expected
    assert kept["seconds"] == 10.0
    assert {run.command.removeprefix("leepjax rank ") for run in read_runs(tmp_path)} == expected
    assert {task.name for task in read_tasks(tmp_path / TASKS)} == {each.replace(" --seed ", "-") for each in expected}
    assert {path.name for path in tmp_path.iterdir()} == {PROVENANCE, "runs.jsonl", TASKS}


@pytest.fixture
def written(tmp_path):
    for command in COMMANDS[:2]:
        write_provenance(tmp_path, CONFIG, "smoke", command, 1.5)
    return tmp_path / PROVENANCE


def cut_before(text):
    return lambda content: content[: content.index(text)]


@pytest.mark.parametrize(
    ("damage", "kept"),
    [
        (cut_before(b'"versions"'), COMMANDS[:2]),
        (cut_before(b"b c"), COMMANDS[:1]),
        (lambda content: content.replace(b'"versions"', b'"versio\xffs"'), COMMANDS[:2]),
        (lambda content: b"", []),
        (lambda content: b"\0" * len(content), []),
        (lambda content: b"[]", []),
    ],
    ids=["end is missing", "half a list", "not UTF-8", "empty", "NULs", "other JSON"],
)
def test_a_damaged_provenance_is_kept_aside_and_its_commands_are_taken_over(written, caplog, damage, kept):
    damaged = damage(written.read_bytes())
    written.write_bytes(damaged)
    write_provenance(written.parent, CONFIG, "smoke", COMMANDS[2], 1.0)
    assert json.loads(written.read_text())["command"].split(" && ") == [*kept, COMMANDS[2]]
    assert (written.parent / "study.json.damaged-1").read_bytes() == damaged
    assert f"study.json.damaged-1, and {len(kept) or 'none'} of its commands could be read" in caplog.text
    assert len(read_studies(written.parent)) == 1


def test_a_second_damage_is_kept_beside_the_first(written):
    for content in (b"first", b"second"):
        written.write_bytes(content)
        write_provenance(written.parent, CONFIG, "smoke", COMMANDS[2], 1.0)
    assert (written.parent / "study.json.damaged-1").read_bytes() == b"first"
    assert (written.parent / "study.json.damaged-2").read_bytes() == b"second"


@pytest.mark.parametrize(
    ("damage", "kept"), [(lambda whole: whole[:-8], 3), (lambda whole: b"noise", 1)], ids=["cut", "noise"]
)
def test_damaged_tasks_are_kept_aside_and_what_can_be_read_is_taken_over(tmp_path, caplog, damage, kept):
    path = tmp_path / TASKS
    keep_tasks(path, TASKS_DRAWN)
    damaged = damage(path.read_bytes())
    path.write_bytes(damaged)
    keep_tasks(path, TASKS_DRAWN[:1])
    assert list(read_tasks(path)) == TASKS_DRAWN[:kept]
    assert (tmp_path / f"{TASKS}.damaged-1").read_bytes() == damaged
    assert "of its tasks could be read" in caplog.text


def test_a_lock_waits_for_its_holder_and_says_so(tmp_path, monkeypatch, caplog):
    monkeypatch.setattr("leepjax.storage.locks.PATIENCE", 0.1)
    path = tmp_path / "file"
    spawn = multiprocessing.get_context("spawn")
    held = spawn.Event()
    process = spawn.Process(target=hold, args=(path, held))
    process.start()
    held.wait(30)
    with locked(path, "is training it") as mine:
        assert mine
    process.join()
    assert "another process is training it; waiting until it has ended" in caplog.text
    assert not list(tmp_path.iterdir())


def hold(path, held):
    import time

    with locked(path):
        held.set()
        time.sleep(0.5)


def test_the_lock_file_of_a_dead_process_blocks_no_other(tmp_path):
    (tmp_path / "file.lock").touch()
    with locked(tmp_path / "file") as held:
        assert held
    assert not list(tmp_path.iterdir())


def test_without_locks_in_the_file_system_it_is_a_warning(tmp_path, monkeypatch, caplog):
    def refuse(*args, **options):
        raise OSError(37, "No locks available")

    monkeypatch.setattr("filelock.FileLock.acquire", refuse)
    for _ in range(2):
        with locked(tmp_path / "file") as held:
            assert not held
    assert caplog.text.count("has no locks (No locks available); let only one process at a time write there") == 1
