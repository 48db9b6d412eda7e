"""Records survive the disk: round trips, broken lines and crashes while writing."""

import logging
import math
import os

import pytest

from leepjax import files
from leepjax.files import write_atomically
from leepjax.records import Record, read_records, write_records

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


def test_no_file_holds_no_records(tmp_path):
    assert read_records(tmp_path / "results.jsonl") == []


def test_fields_of_later_versions_are_ignored(path):
    path.write_bytes(path.read_bytes().replace(b'{"key"', b'{"new":1,"key"'))
    assert read_records(path) == [RECORD, OTHER]


BROKEN = [b"", b"{", b"not json", b"[1]", b"{}", b'{"key": 3}', b"\xff\xfe", b'{"key":"\xff"}', b"\0\0"]


@pytest.mark.parametrize("line", BROKEN)
def test_a_broken_line_is_told_and_left_out(path, caplog, line):
    first, second = path.read_bytes().splitlines()
    path.write_bytes(b"\n".join([first, line, second]))
    with caplog.at_level(logging.WARNING, "leepjax"):
        assert read_records(path) == [RECORD, OTHER]
    assert "results.jsonl line 2 isn't a record" in caplog.text


def test_half_a_last_line_is_left_out(path):
    path.write_bytes(path.read_bytes()[:-20])
    assert read_records(path) == [RECORD]


@pytest.mark.parametrize("error", [OSError("no space left"), KeyboardInterrupt()])
@pytest.mark.parametrize("step", ["replace", "chmod", "fdopen"])
def test_a_crash_while_writing_leaves_the_old_file_and_nothing_else(path, monkeypatch, step, error):
    def crash(*args, **options):
        raise error

    monkeypatch.setattr(files.os, step, crash)
    with pytest.raises(type(error)):
        write_records(path, [RECORD])
    monkeypatch.undo()
    assert read_records(path) == [RECORD, OTHER]
    assert os.listdir(path.parent) == [path.name]


def test_writing_makes_folders_and_a_file_that_others_may_read(tmp_path):
    path = tmp_path / "a" / "b" / "file"
    write_atomically(path, b"one")
    write_atomically(path, b"two")
    assert path.read_bytes() == b"two"
    assert path.stat().st_mode & 0o777 == 0o644
    assert os.listdir(path.parent) == ["file"]
