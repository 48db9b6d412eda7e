"""Files that carry a digest of their content: any flipped bit is found, and a sound file is read once for it."""

import os
import threading
import time
from concurrent.futures import ThreadPoolExecutor

import numpy as np
import pytest
import safetensors.numpy

import leepjax as lj
import leepjax.extraction.extract as extraction
from leepjax.data.target import from_arrays
from leepjax.extraction import shards
from leepjax.extraction.extract import extract
from leepjax.extraction.table import read_table
from leepjax.models.opening import load_source
from leepjax.storage import sealed
from leepjax.storage.files import WriteError
from leepjax.types import InputError

RNG = np.random.default_rng(0)
TENSORS = {"features": RNG.normal(size=(6, 3)).astype(np.float32), "labels": np.arange(6, dtype=np.int32)}
METADATA = {"source": 'a "digest":"' + "1" * 64 + '" in a value', "card": "{}"}
TARGET = from_arrays(RNG.integers(0, 256, (12, 8, 8, 3), np.uint8), np.arange(12) % 3, ["a", "b", "c"])
SOURCE = load_source("random")


@pytest.fixture
def path(tmp_path):
    sealed.write_sealed(tmp_path / "x.safetensors", TENSORS, METADATA)
    return tmp_path / "x.safetensors"


@pytest.fixture(autouse=True)
def nothing_checked(monkeypatch):
    monkeypatch.setattr(sealed, "_sound", {})


def flip(path, byte, bit):
    content = bytearray(path.read_bytes())
    content[byte] ^= 1 << bit
    path.write_bytes(content)


def test_what_is_written_is_read_by_safetensors_undamaged(path):
    sealed.check_seal(path)
    for name, tensor in safetensors.numpy.load_file(path).items():
        np.testing.assert_array_equal(tensor, TENSORS[name])
    with safetensors.safe_open(path, "numpy") as file:
        assert METADATA.items() <= file.metadata().items()


def test_any_flipped_bit_is_found(path):
    whole = path.read_bytes()
    for byte in range(len(whole)):
        path.write_bytes(whole)
        flip(path, byte, byte % 8)
        with pytest.raises(ValueError, match="digest"):
            sealed.check_seal(path)


@pytest.mark.parametrize("length", [0, 7, 8, 100, -1])
def test_a_file_that_ends_early_is_found(path, length):
    path.write_bytes(path.read_bytes()[:length])
    with pytest.raises(ValueError, match="digest"):
        sealed.check_seal(path)


def test_a_file_is_read_once_until_it_changes(path, monkeypatch):
    sealed.check_seal(path)
    with monkeypatch.context() as patch:
        patch.setattr(sealed.hashlib, "sha256", lambda *content: pytest.fail("read again"))
        sealed.check_seal(path)
    stat = path.stat()
    flip(path, -1, 0)
    os.utime(path, ns=(stat.st_atime_ns, stat.st_mtime_ns))  # a change that the modification time doesn't show
    with pytest.raises(ValueError, match="doesn't match its digest"):
        sealed.check_seal(path)


@pytest.mark.parametrize("where", [0.1, 0.5, 0.99])
def test_a_table_with_a_flipped_bit_is_extracted_again_with_a_warning(tmp_path, caplog, where):
    first = extract(SOURCE, TARGET, cache=tmp_path)
    (path,) = tmp_path.iterdir()
    flip(path, int(where * path.stat().st_size), 6)
    with pytest.raises(InputError, match=f"expected a table in {path}, got .*; extract it again"):
        read_table(path)
    with pytest.raises(InputError, match=f"expected a safetensors table in {path}, got "):
        lj.Batches.of_table(path)
    again = extract(SOURCE, TARGET, cache=tmp_path)
    np.testing.assert_array_equal(again.features, first.features)
    assert caplog.text.count(f"expected a table in {path}") == 1
    read_table(path)


def test_parts_that_a_killed_process_left_beside_a_whole_table_are_removed(tmp_path):
    extract(SOURCE, TARGET, cache=tmp_path)
    (path,) = tmp_path.iterdir()
    left = path.with_suffix(".parts")
    left.mkdir()
    (left / "0-4.safetensors").touch()
    extract(SOURCE, TARGET, cache=tmp_path)
    assert list(tmp_path.iterdir()) == [path]


def full(*args, **options):
    raise OSError(28, "No space left on device")


def test_a_cache_that_cannot_be_written_costs_a_warning_and_a_table_that_is_wanted_is_an_error(
    tmp_path, monkeypatch, caplog
):
    expected = extract(SOURCE, TARGET)
    monkeypatch.setattr("os.replace", full)
    monkeypatch.setattr(shards, "SECONDS", 0.0)
    table = extract(SOURCE, TARGET, cache=tmp_path, batch_size=4)
    np.testing.assert_allclose(table.features, expected.features, rtol=1e-4, atol=1e-5)
    assert caplog.text.count(f"{tmp_path} can't be written (No space left on device), so nothing is kept there") == 1
    with pytest.raises(WriteError, match=r"expected to write .*safetensors, got No space left on device; free some"):
        extract(SOURCE, TARGET, cache=tmp_path, required=True)


def test_a_user_without_a_home_has_no_cache_and_is_warned(monkeypatch, caplog):
    from leepjax.storage.files import cache_folder, warn_unkept

    def no_home(name):
        raise RuntimeError("could not determine the home directory")

    warn_unkept.cache_clear()
    monkeypatch.delenv("LEEPJAX_CACHE", raising=False)
    monkeypatch.setattr("platformdirs.user_cache_dir", no_home)
    assert cache_folder() is None
    monkeypatch.setattr("platformdirs.user_cache_dir", lambda name: "~/.cache/leepjax")
    assert cache_folder() is None
    assert (
        "the cache can't be written (could not determine the home directory), so nothing is kept there" in caplog.text
    )


def test_of_two_that_need_one_table_the_second_waits_and_reads_it(tmp_path, monkeypatch):
    """Threads take the place of processes: each opens the lock file itself."""
    begun, passes = threading.Barrier(2), []
    forward = extraction.forward_batches

    def counted(*args, **options):
        passes.append(args)
        time.sleep(0.2)
        return forward(*args, **options)

    def run(_):
        begun.wait()
        return extract(SOURCE, TARGET, cache=tmp_path)

    monkeypatch.setattr(extraction, "forward_batches", counted)
    with ThreadPoolExecutor(2) as pool:
        first, second = pool.map(run, range(2))
    np.testing.assert_array_equal(first.features, second.features)
    assert len(passes) == 1
    assert len(list(tmp_path.iterdir())) == 1
