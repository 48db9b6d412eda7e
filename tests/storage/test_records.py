"""Records survive the disk: round trips, broken lines and crashes while writing."""

import errno
import json
import logging
import math
import multiprocessing
import os
import pickle
import resource
import signal
import subprocess
import sys

import msgspec
import pytest

from leepjax.storage import files
from leepjax.storage.files import WriteError, write_atomically
from leepjax.storage.records import Record, append_records, read_records, write_records

RECORD = Record(
    key="k",
    kind="score",
    target="pets – 🐈",
    target_hash="t",
    num_examples=40,
    num_classes=4,
    source="a",
    weights_hash="w",
    measure="leep",
    value=-0.1 - 0.2,
    low=None,
    high=1e-300,
    confidence=0.95,
    draws=(1.5, None, -math.pi),
    seed=0,
    seconds=0.5,
    versions={"jax": "0.10.1"},
)
OTHER = Record(**{name: getattr(RECORD, name) for name in Record.__struct_fields__} | {"key": "l", "kind": "verify"})


@pytest.fixture
def path(tmp_path):
    """A file of two records."""
    write_records(tmp_path / "out" / "results.jsonl", [RECORD, OTHER])
    return tmp_path / "out" / "results.jsonl"


def test_records_round_trip_exactly(path):
    assert read_records(path) == [RECORD, OTHER]
    assert len(path.read_bytes().splitlines()) == 2


def test_the_last_record_of_a_key_counts_and_stands_where_it_was_written(path):
    again = msgspec.structs.replace(RECORD, value=0.5)
    append_records(path, [again])
    assert read_records(path) == [OTHER, again]


def test_no_file_holds_no_records(tmp_path):
    assert read_records(tmp_path / "results.jsonl") == []


def test_fields_of_later_versions_are_ignored(path):
    path.write_bytes(path.read_bytes().replace(b'{"key"', b'{"new":1,"key"'))
    assert read_records(path) == [RECORD, OTHER]


BROKEN = [b"{", b"not json", b"[1]", b"{}", b'{"key": 3}', b"\xff\xfe", b'{"key":"\xff"}', b"\0\0"]


@pytest.mark.parametrize("line", BROKEN)
def test_a_broken_line_is_reported_and_left_out(path, caplog, line):
    first, second = path.read_bytes().splitlines()
    path.write_bytes(b"\n".join([first, line, second]))
    with caplog.at_level(logging.WARNING, "leepjax"):
        assert read_records(path) == [RECORD, OTHER]
    assert "results.jsonl line 2 isn't a record" in caplog.text


def test_half_a_last_line_is_left_out(path):
    path.write_bytes(path.read_bytes()[:-20])
    assert read_records(path) == [RECORD]


@pytest.mark.parametrize("error", [OSError(28, "No space left on device"), KeyboardInterrupt()])
@pytest.mark.parametrize("step", ["replace", "chmod", "fsync"])
def test_a_crash_while_writing_leaves_the_old_file_and_nothing_else(path, monkeypatch, step, error):
    def crash(*args, **options):
        raise error

    monkeypatch.setattr(files.os, step, crash)
    with pytest.raises(type(error)):
        write_records(path, [RECORD])
    monkeypatch.undo()
    assert read_records(path) == [RECORD, OTHER]
    assert os.listdir(path.parent) == [path.name]


@pytest.mark.parametrize("existing", [True, False])
def test_a_failed_append_leaves_the_file_as_it_was(tmp_path, monkeypatch, existing):
    path = tmp_path / "results.jsonl"
    if existing:
        append_records(path, [RECORD])

    def full(descriptor):
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(files.os, "fsync", full)
    with pytest.raises(OSError, match="write: ") as raised:
        append_records(path, [OTHER])
    assert str(raised.value) == (
        f"write: expected to write {path}, got No space left on device; free some space, or choose another folder."
    )
    assert read_records(path) == [RECORD] * existing
    assert os.listdir(tmp_path) == [path.name] * existing


@pytest.mark.parametrize("reason", [errno.EROFS, errno.EACCES, errno.EDQUOT, errno.ENOSPC, errno.EIO])
def test_a_write_error_is_one_sentence_with_the_path(tmp_path, monkeypatch, reason):
    def refuse(*args):
        raise OSError(reason, os.strerror(reason))

    monkeypatch.setattr(files.os, "replace", refuse)
    with pytest.raises(WriteError, match=r"^write: expected to write .*/study\.json, got .*; .*\.$") as raised:
        write_atomically(tmp_path / "study.json", b"{}")
    assert os.strerror(reason) in str(raised.value)
    assert str(pickle.loads(pickle.dumps(raised.value))) == str(raised.value)  # processes send it to one another


def test_a_limit_of_file_sizes_is_named(tmp_path):
    before = resource.getrlimit(resource.RLIMIT_FSIZE)
    try:
        resource.setrlimit(resource.RLIMIT_FSIZE, (1 << 10, before[1]))
        with pytest.raises(WriteError, match=r"got File too large; raise the limit of file sizes \(ulimit -f\)\.$"):
            write_atomically(tmp_path / "study.json", bytes(1 << 16))
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, before)


def test_a_folder_that_is_a_file_is_named(tmp_path):
    (tmp_path / "out").write_text("mine")
    with pytest.raises(WriteError, match=r"expected to write .*/out/results\.jsonl, got "):
        append_records(tmp_path / "out" / "results.jsonl", [RECORD])
    assert (tmp_path / "out").read_text() == "mine"


def test_appending_is_what_writing_all_at_once_is(tmp_path):
    path = tmp_path / "new" / "results.jsonl"
    append_records(path, [])
    assert not path.exists()
    append_records(path, [RECORD])
    append_records(path, [OTHER])
    write_records(tmp_path / "whole", [RECORD, OTHER])
    assert path.read_bytes() == (tmp_path / "whole").read_bytes()
    assert os.listdir(path.parent) == [path.name]


def test_the_last_record_of_a_key_is_the_one_that_counts(path):
    later = msgspec.structs.replace(RECORD, value=1.0)
    append_records(path, [later])
    assert read_records(path) == [OTHER, later]


@pytest.mark.parametrize("line", [b'{"key":"k","kind":"sco', b"\xff\xfe", b"not json"])
@pytest.mark.parametrize("where", ["first", "last, not ended"])
def test_damaged_lines_are_moved_aside_once(path, caplog, line, where):
    whole = path.read_bytes()
    path.write_bytes(line + b"\n" + whole if where == "first" else whole + line)
    assert read_records(path, mend=True) == [RECORD, OTHER]
    assert path.read_bytes() == whole
    assert path.with_name("results.jsonl.damaged").read_bytes() == line + b"\n"
    assert "moved 1 damaged lines to" in caplog.text
    caplog.clear()
    assert read_records(path, mend=True) == [RECORD, OTHER]
    assert not caplog.text


def test_blank_lines_are_not_damaged(path, caplog):
    whole = path.read_bytes()
    path.write_bytes(b"\n" + whole.replace(b"\n", b"\n \r\n"))
    assert read_records(path, mend=True) == [RECORD, OTHER]
    assert not caplog.text
    path.write_bytes(b"\n\n" + whole + b"half")
    assert read_records(path, mend=True) == [RECORD, OTHER]
    assert "results.jsonl line 5 isn't a record" in caplog.text
    assert path.read_bytes() == whole


def test_appending_ends_a_line_that_lacks_only_its_end_and_moves_half_a_line_aside(path):
    whole = path.read_bytes()
    later = msgspec.structs.replace(RECORD, key="m")
    path.write_bytes(whole[:-1])
    append_records(path, [later])
    assert read_records(path) == [RECORD, OTHER, later]
    path.write_bytes(whole[:-9])
    append_records(path, [later])
    assert read_records(path) == [RECORD, later]
    assert all(json.loads(line) for line in path.read_text().splitlines())


def test_a_line_that_a_later_version_wrote_is_kept(path):
    path.write_bytes(b'{"key":"k","schema":99}\nhalf a li\n' + path.read_bytes())
    read_records(path, mend=True)
    assert path.read_bytes().startswith(b'{"key":"k","schema":99}\n{')


def append_many(path, name):
    for number in range(40):
        append_records(path, [msgspec.structs.replace(RECORD, key=f"{name}-{number}", target="x" * 5000)])


def test_processes_that_append_at_the_same_time_lose_and_interleave_nothing(tmp_path):
    path = tmp_path / "results.jsonl"
    spawn = multiprocessing.get_context("spawn")
    processes = [spawn.Process(target=append_many, args=(path, name)) for name in "abc"]
    for process in processes:
        process.start()
    for process in processes:
        process.join()
    expected = {f"{name}-{number}" for name in "abc" for number in range(40)}
    lines = path.read_text().splitlines()
    assert {json.loads(line)["key"] for line in lines} == expected
    assert len(lines) == len(expected)
    assert os.listdir(tmp_path) == [path.name]


@pytest.mark.parametrize("umask", [0o022, 0o027, 0o077, 0o002])
def test_files_get_the_mode_that_open_gives_them(tmp_path, umask):
    before = os.umask(umask)
    try:
        (tmp_path / "plain").write_text("")
        write_atomically(tmp_path / "new" / "file", b"")
        append_records(tmp_path / "records", [RECORD])
        (tmp_path / "private").touch(0o600)
        write_atomically(tmp_path / "private", b"secret")
    finally:
        os.umask(before)
    plain = (tmp_path / "plain").stat().st_mode
    assert (tmp_path / "new" / "file").stat().st_mode == (tmp_path / "records").stat().st_mode == plain
    assert (tmp_path / "private").stat().st_mode & 0o777 == 0o600 & ~umask


def test_a_symbolic_link_remains_one(tmp_path):
    (tmp_path / "link").symlink_to(tmp_path / "elsewhere")
    write_atomically(tmp_path / "link", b"content")
    assert (tmp_path / "link").is_symlink()
    assert (tmp_path / "elsewhere").read_bytes() == b"content"


KILLED = """
import os, signal, sys
from pathlib import Path
from leepjax.storage import files
os.replace = lambda *paths: os.kill(os.getpid(), signal.SIGKILL)
files.write_atomically(Path(sys.argv[1]), b"half")
"""


def test_temporary_files_of_killed_processes_are_swept_and_those_of_living_ones_are_not(tmp_path):
    path = tmp_path / "file"
    killed = subprocess.run([sys.executable, "-c", KILLED, path], check=False)
    assert killed.returncode == -signal.SIGKILL
    assert len(os.listdir(tmp_path)) == 1
    descriptor, living = files._temporary(tmp_path)
    files._sweep_once.cache_clear()
    write_atomically(path, b"whole")
    assert sorted(os.listdir(tmp_path)) == [living.name, "file"]
    os.close(descriptor)


def test_the_longest_name_that_a_file_may_have_can_be_written(tmp_path):
    path = tmp_path / ("n" * 255)
    write_atomically(path, b"content")
    assert path.read_bytes() == b"content"


def test_writing_makes_folders(tmp_path):
    path = tmp_path / "a" / "b" / "file"
    write_atomically(path, b"one")
    write_atomically(path, b"two")
    assert path.read_bytes() == b"two"
    assert os.listdir(path.parent) == ["file"]


def test_an_interrupt_after_the_last_byte_leaves_the_lines_there(tmp_path, monkeypatch):
    def interrupted(number):
        raise KeyboardInterrupt

    monkeypatch.setattr("os.fsync", interrupted)
    with pytest.raises(KeyboardInterrupt):
        append_records(tmp_path / "results.jsonl", [RECORD])
    assert read_records(tmp_path / "results.jsonl") == [RECORD]
