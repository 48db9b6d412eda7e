"""NumPy's files: whole ones are read, also mapped; damaged, oversized and pickled ones are refused in one sentence."""

import io
import zipfile

import numpy as np
import pytest

from leepjax.storage.npy import read_npy, read_npz
from leepjax.types import InputError

ARRAY = np.arange(12, dtype=np.float32).reshape(4, 3)


def npy(array):
    buffer = io.BytesIO()
    np.save(buffer, array, allow_pickle=True)
    return buffer.getvalue()


WHOLE = npy(ARRAY)


@pytest.mark.parametrize("mapped", [False, True])
def test_a_whole_file(tmp_path, mapped):
    (tmp_path / "x.npy").write_bytes(WHOLE)
    array = read_npy("score", tmp_path / "x.npy", mapped=mapped)
    np.testing.assert_array_equal(array, ARRAY)
    assert isinstance(array, np.memmap) == mapped


def test_the_arrays_of_an_npz_that_are_asked_for(tmp_path):
    np.savez_compressed(tmp_path / "x.npz", images=ARRAY, more=ARRAY)
    found = read_npz("target", tmp_path / "x.npz", ["images", "classes"])
    assert found.keys() == {"images"}
    np.testing.assert_array_equal(found["images"], ARRAY)


DAMAGED = {
    "empty": b"",
    "text": b"text",
    "a NUL in the header": WHOLE.replace(b"'descr'", b"'de\0cr'"),
    "half a header": WHOLE[:40],
    "an open string": WHOLE.replace(b"'descr'", b"'descr "),
    "no version": WHOLE.replace(b"NUMPY\x01", b"NUMPY\x09"),
    "a terabyte": WHOLE.replace(b"(4, 3)", b"(4000000000, 300)"),
    "negative": WHOLE.replace(b"(4, 3)", b"(-4, 3)"),
    "cut short": WHOLE[:-4],
    "objects": npy(np.array([None, 1])),
}


@pytest.mark.parametrize("content", DAMAGED.values(), ids=DAMAGED)
@pytest.mark.parametrize("mapped", [False, True])
def test_damaged_npy(tmp_path, content, mapped):
    (tmp_path / "x.npy").write_bytes(content)
    with pytest.raises(
        InputError, match=r"^score: expected an \.npy array in .*x\.npy, got (?!.*allow_pickle)"
    ) as raised:
        read_npy("score", tmp_path / "x.npy", mapped=mapped)
    assert "\n" not in str(raised.value)


def test_objects_are_to_be_converted(tmp_path):
    (tmp_path / "x.npy").write_bytes(DAMAGED["objects"])
    with pytest.raises(InputError, match=r"Python objects; convert texts with array\.astype\(str\).* numpy\.save"):
        read_npy("score", tmp_path / "x.npy")


@pytest.mark.parametrize("content", DAMAGED.values(), ids=DAMAGED)
def test_damaged_npz(tmp_path, content):
    with zipfile.ZipFile(tmp_path / "x.npz", "w") as archive:
        archive.writestr("images.npy", content)
    with pytest.raises(InputError, match=r"^target: expected an \.npz of arrays in .*x\.npz, got "):
        read_npz("target", tmp_path / "x.npz", ["images"])


def test_an_array_that_unpacks_to_a_thousand_times_its_size(tmp_path):
    np.savez_compressed(tmp_path / "x.npz", images=np.zeros(1 << 29, np.uint8))
    with pytest.raises(InputError, match=r"got [\d,]+ bytes that unpack to 536,871,040;"):
        read_npz("target", tmp_path / "x.npz", ["images"])


def test_what_is_no_file_of_one_array(tmp_path):
    np.savez(tmp_path / "x.npz", ARRAY)
    for name, got in (("x.npz", "an .npz of several arrays"), ("nowhere", "no file"), ("", "a folder")):
        with pytest.raises(InputError, match=rf"^score: expected an \.npy array (in|at) .*, got {got}; "):
            read_npy("score", tmp_path / name)
