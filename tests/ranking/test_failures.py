"""One bad source doesn't end a ranking, and sources of one name are rows of their own."""

import errno
import json
import os
import shutil
from dataclasses import replace

import msgspec
import numpy as np
import pytest

import leepjax as lj
from leepjax.cli.output import printed_at_interrupt
from leepjax.data.target import from_arrays
from leepjax.extraction import shared_pass
from leepjax.models.opening import SHIPPED, load_source
from leepjax.opening.sources import open_each, open_sources
from leepjax.ranking.carry_out import Interrupt
from leepjax.storage.files import WriteError
from leepjax.storage.outputs import UnwrittenError
from leepjax.storage.records import read_records
from leepjax.types import InputError

RNG = np.random.default_rng(0)
TARGET = RNG.integers(0, 256, (12, 32, 32, 3), np.uint8), np.repeat([0, 1], 6)
FAST = {"verify": "none", "resamples": 0}


def named(name, **fields):
    source = load_source("random")
    return replace(source, card=msgspec.structs.replace(source.card, name=name, **fields))


def copied(folder, name="best", **fields):
    """A shipped source with a card of this name; its path."""
    folder.mkdir()
    shutil.copy(SHIPPED / "random.safetensors", folder / "w.safetensors")
    (folder / "w.json").write_bytes(msgspec.json.encode(named(name, **fields).card))
    return str(folder / "w.safetensors")


def test_sources_of_one_name_are_distinguished_by_path(tmp_path):
    paths = copied(tmp_path / "a", licence="MIT"), copied(tmp_path / "b", licence="CC-BY-NC-4.0")
    ranking = lj.rank(TARGET, paths, "leep", out=tmp_path / "out", **FAST)
    expected = {f"best ({paths[0]})": "MIT", f"best ({paths[1]})": "CC-BY-NC-4.0"}
    assert {row.source: row.licence for row in ranking.records} == expected
    # Equal weights share the measuring, and each has its own card in the file.
    assert {row.source: row.licence for row in read_records(tmp_path / "out" / "results.jsonl")} == expected


def test_what_was_measured_is_printed_when_it_cannot_be_written(tmp_path, monkeypatch, capsys):
    def refuse(path, records):
        raise WriteError(errno.ENOSPC, "No space left on device", str(path))

    monkeypatch.setattr("leepjax.ranking.carry_out.append_records", refuse)
    with pytest.raises(UnwrittenError, match="No space left"), printed_at_interrupt("json"):
        lj.rank(TARGET, "random", "leep", out=tmp_path, **FAST)
    (row,) = json.loads(capsys.readouterr().out)
    assert (row["source"], row["measure"]) == ("random", "leep")


@pytest.mark.parametrize("name", ["results.jsonl", "runs.jsonl", "report.html"])
@pytest.mark.parametrize(("make", "got"), [(os.mkdir, "a folder"), (os.mkfifo, "something else")])
def test_a_path_of_a_file_that_is_something_else_is_refused_before_the_work(tmp_path, name, make, got):
    make(tmp_path / name)
    with pytest.raises(InputError, match=rf"open: expected a regular file at .*{name}, or nothing yet, got {got}; "):
        lj.rank("nowhere", out=tmp_path)


def test_a_link_to_a_file_of_records_that_is_not_there_yet_is_followed(tmp_path):
    (tmp_path / "out").mkdir()
    (tmp_path / "out" / "results.jsonl").symlink_to(tmp_path / "deep" / "records.jsonl")
    ranking = lj.rank(TARGET, "random", "leep", out=tmp_path / "out", **FAST)
    assert tuple(read_records(tmp_path / "deep" / "records.jsonl")) == ranking.records
    (tmp_path / "out" / "runs.jsonl").symlink_to("runs.jsonl")
    with pytest.raises(InputError, match=r"open: expected a regular file at .*runs\.jsonl"):
        lj.rank(TARGET, "random", "leep", out=tmp_path / "out", **FAST)


def test_the_same_source_twice_is_refused(tmp_path):
    path = copied(tmp_path / "a")
    with pytest.raises(InputError, match="rank: expected each source once, got 'best' twice"):
        open_sources("rank", [path, str(tmp_path / "a" / ".." / "a" / "w.safetensors")])


def test_a_source_that_cannot_be_opened_is_left_out_with_its_reason(tmp_path):
    missing = str(tmp_path / "missing.safetensors")
    opened = open_each("rank", ["random", missing])
    assert [source.name for source in opened.sources] == ["random"]
    assert [(failed.source, type(failed.error)) for failed in opened.failed] == [(missing, InputError)]


def test_a_name_that_is_not_known_ends_the_command_before_anything_is_opened(monkeypatch):
    monkeypatch.setattr("leepjax.models.opening.open_card", lambda path: pytest.fail("opened"))
    with pytest.raises(InputError, match=r"source: expected one of .* known names, got 'randon'; did you mean random"):
        open_each("rank", ["random", "randon"])


def test_a_source_that_fails_is_a_row_and_the_others_are_ranked(monkeypatch):
    plain = shared_pass.extract

    def fail(source, *arguments, **options):
        if source.name == "bad":
            raise ValueError("boom")
        return plain(source, *arguments, **options)

    monkeypatch.setattr(shared_pass, "extract", fail)
    ranking = lj.rank(TARGET, [named("bad"), "random"], "leep", **FAST)
    assert ranking.sources == ("random",)
    assert [(each.source, each.reason) for each in ranking.failures] == [("bad", "ValueError: boom")]
    assert "ValueError: boom" in ranking.render()
    assert [row["error"] for row in ranking.to_records()] == [None, "ValueError: boom"]
    with pytest.raises(InputError, match=r"rank: expected at least one source .* \(bad: ValueError: boom\)"):
        lj.rank(TARGET, named("bad"), "leep", **FAST)


def test_weights_replaced_during_a_run_are_left_out_and_not_recorded(tmp_path):
    path = tmp_path / "w.safetensors"
    for suffix in (".safetensors", ".json"):
        shutil.copy(SHIPPED / f"fashion-mnist{suffix}", path.with_suffix(suffix))

    def replace_weights(what, done, total):
        shutil.copy(SHIPPED / "cifar10.safetensors", path)

    options = {"out": tmp_path / "out", "cache": tmp_path / "cache"} | FAST
    ranking = lj.rank(TARGET, ["random", str(path)], "leep", on_progress=replace_weights, **options)
    assert (ranking.sources, [each.source for each in ranking.failures]) == (("random",), ["fashion-mnist"])
    assert "expected the weights that were opened" in ranking.failures[0].reason
    assert [record.source for record in read_records(tmp_path / "out" / "results.jsonl")] == ["random"]


def test_folders_stay_the_same_when_the_working_folder_changes(tmp_path, monkeypatch):
    (tmp_path / "other").mkdir()
    options = {"on_progress": lambda *_: monkeypatch.chdir(tmp_path / "other"), "cache": "cache", **FAST}
    for command, out in ((lj.rank, "ranked"), (lj.sweep, "swept")):
        monkeypatch.chdir(tmp_path)
        command(TARGET if command is lj.rank else [from_arrays(*TARGET)], ["random"], "leep", out=out, **options)
        assert len(read_records(tmp_path / out / "results.jsonl")) == 1
    monkeypatch.chdir(tmp_path)
    lj.extract(TARGET, ["random", "cifar10"], out="tables", on_progress=options["on_progress"])
    assert len(list((tmp_path / "tables").glob("*.safetensors"))) == 2
    assert not any((tmp_path / "other").iterdir())


def test_an_interrupt_gives_what_is_known(monkeypatch):
    def interrupt(what, done, total):
        if what == "other: leep":
            raise KeyboardInterrupt

    with pytest.raises(Interrupt) as interrupted:
        lj.rank(TARGET, ["random", named("other")], "leep", on_progress=interrupt, **FAST)
    assert interrupted.value.rankings[0].sources == ("random",)
