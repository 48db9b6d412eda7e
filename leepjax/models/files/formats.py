"""Read tensors from the formats in which weights are published: safetensors, NumPy's, PyTorch's and Keras'.

Each reader yields names with functions that read the tensors, so that an error can name the tensor. Readers raise
errors with a few words about what they found; ``read_tensors`` turns these into a sentence.
"""

import io
import json
import math
import stat
import zipfile
from collections.abc import Callable, Iterator
from functools import partial
from importlib.util import find_spec
from pathlib import Path

import numpy as np
import safetensors

from leepjax.models.files.archives import archive_end, open_archive
from leepjax.models.files.content import Content, ContentError
from leepjax.models.files.torch_files import plain, read_torch, torch_end
from leepjax.types import InputError

Tensors = Iterator[tuple[str, Callable[[], np.ndarray]]]

_SAFETENSORS_DTYPES = {
    "F64": "<f8",
    "F32": "<f4",
    "F16": "<f2",
    "BF16": "bfloat16",
    "I64": "<i8",
    "I32": "<i4",
    "I16": "<i2",
    "I8": "i1",
    "U64": "<u8",
    "U32": "<u4",
    "U16": "<u2",
    "U8": "u1",
    "BOOL": "?",
}


def read_tensors(path: Path, content: bytes | None = None) -> dict[str, np.ndarray]:
    """Read all tensors of a weights file; the suffix of `path` determines the format.

    Formats: ``.safetensors``; ``.npz``; ``.pth``, ``.pt``, ``.bin`` and ``.th`` with a state dict written by torch.save
    (or a dict that holds one as ``state_dict``, ``model`` or ``model_state``); ``.h5`` and ``.hdf5`` written by Keras,
    where a tensor's name is its groups and dataset joined by ``/``; ``.zip`` of one of these. No code in a file is run.

    Args:
        path: the file.
        content: the file's bytes, if already read; `path` then only determines the format.

    Returns:
        Arrays by name, with the dtypes of the file, except that bfloat16 becomes float32. They may be read-only.

    Raises:
        InputError: when the file is missing, empty, truncated, corrupt, of another format, or holds more than tensors,
            and for Keras' files without h5py.
    """
    path = Path(path)
    reader, kind, advice = _format(path)
    content = read_content(path) if content is None else content
    if not content:
        raise InputError(f"read_tensors: expected {kind} in {path}, got an empty file; download it again.")
    if reader is None:
        return read_tensors(*_unzipped(path, content))
    tensors, name = {}, None
    try:
        for name, read in reader(Content(content, str(path))):
            tensors[name] = _numbers(read())
            name = None
    except InputError:  # a package required for the format isn't installed
        raise
    except Exception as error:  # a corrupt file may make a parser raise any type
        expected = kind if name is None else f"tensor {_line(name)}"
        got = (name is None and _foreign(content)) or _words(error)
        raise InputError(f"read_tensors: expected {expected} in {path}, got {got}; {advice}.") from None
    return tensors


def _safetensors(content: Content) -> Tensors:
    try:
        entries = safetensors.deserialize(content.data)
    except safetensors.SafetensorError as error:
        raise ContentError(_safetensors_end(content.data) or _words(error)) from None
    for name, entry in entries:
        yield name, partial(_safetensor, entry)


def _safetensor(entry: dict) -> np.ndarray:
    if entry["dtype"] not in _SAFETENSORS_DTYPES:
        raise ContentError(f"numbers of type {entry['dtype']}")
    return plain(entry["data"], _SAFETENSORS_DTYPES[entry["dtype"]]).reshape(entry["shape"])


def _safetensors_end(content: bytes) -> str | None:
    """The tensor in which a truncated file ends, from the JSON header, which has the offsets of all tensors."""
    begin = 8 + int.from_bytes(content[:8], "little")
    try:
        entries = {n: e["data_offsets"] for n, e in json.loads(content[8:begin]).items() if n != "__metadata__"}
        lost = [(end, start, name) for name, (start, end) in entries.items() if begin + end > len(content)]
    except (ValueError, TypeError, KeyError, AttributeError):
        return None
    if not lost:
        return None
    end, start, name = min(lost)
    size, stop = f"{end - start:,}", f"{begin + end:,}"
    return f"a file that ends at byte {len(content):,} where tensor {name}, of {size} bytes, ends at {stop}"


def _npz(content: Content) -> Tensors:
    if not content.data.startswith(b"PK"):
        raise ContentError("another kind of file")
    try:
        archive = open_archive(content)
    except zipfile.BadZipFile as error:
        raise ContentError(archive_end(content.data, lambda _, member: f"member {member}") or _words(error)) from None
    for name in archive.namelist():
        yield name.removesuffix(".npy"), lambda name=name: _npy(archive.read(name))


def _npy(member: bytes) -> np.ndarray:
    """Read an ``.npy`` whose header matches its size; NumPy's reader would allocate whatever the header declares."""
    stream = io.BytesIO(member)
    version = np.lib.format.read_magic(stream)
    if version not in _NPY_HEADERS:
        raise ContentError(f"an array in version {version} of NumPy's format")
    shape, fortran, dtype = _NPY_HEADERS[version](stream)
    begin = stream.tell()
    _require_numbers(dtype)
    size = math.prod(shape) * dtype.itemsize
    if min(shape, default=0) < 0 or size != len(member) - begin:
        raise ContentError(f"an array {shape} of {dtype} in {len(member) - begin:,} bytes")
    return np.frombuffer(member, dtype, offset=begin).reshape(shape, order="F" if fortran else "C")


_NPY_HEADERS = {(1, 0): np.lib.format.read_array_header_1_0, (2, 0): np.lib.format.read_array_header_2_0}


def _torch(content: Content) -> Tensors:
    try:
        yield from read_torch(content)
    except zipfile.BadZipFile as error:
        raise ContentError(archive_end(content.data, torch_end) or _words(error)) from None


def check_library(name: str) -> None:
    """Make sure that the library which reads a file of this name is installed; ask before the file is downloaded.

    Raises:
        InputError: when it isn't.
    """
    if name.lower().endswith((".h5", ".hdf5")) and find_spec("h5py") is None:
        raise InputError(f"read_tensors: expected h5py to read {name}, got none; pip install 'leepjax[keras]'.")


def _h5(content: Content) -> Tensors:
    check_library(content.name)
    import h5py

    with h5py.File(io.BytesIO(content.data), "r") as file:
        datasets: dict[str, h5py.Dataset] = {}
        file.visititems(lambda name, item: datasets.update({name: item}) if isinstance(item, h5py.Dataset) else None)
        for name, dataset in datasets.items():
            yield name, partial(_dataset, dataset, content)


def _dataset(dataset, content: Content) -> np.ndarray:
    """Read a dataset that is stored in the file itself and declares no more memory than is plausible for the file."""
    _require_numbers(dataset.dtype)
    if dataset.is_virtual or dataset.external:
        raise ContentError("a dataset that lies in other files")
    if dataset.chunks is None and dataset.nbytes > len(content.data):
        raise ContentError(f"a shape {dataset.shape} that the file is too short for")
    content.take(max(dataset.nbytes, math.prod(dataset.chunks or ()) * dataset.dtype.itemsize))
    return dataset[()]


def _unzipped(path: Path, content: bytes) -> tuple[Path, bytes]:
    try:
        archive = open_archive(Content(content, str(path)))
        members = [info.filename for info in archive.infolist() if not info.is_dir()]
        if len(members) != 1:
            raise ContentError(f"{len(members)} files")
        if members[0].lower().endswith(".zip"):  # nested archives could be endless
            raise ContentError("an archive in an archive")
        return path / _line(members[0]).lstrip("/"), archive.read(members[0])
    except Exception as error:
        got = _foreign(content) or _words(error)
        raise InputError(
            f"read_tensors: expected an archive of one weights file in {path}, got {got}; download or unzip it again."
        ) from None


_AGAIN = "download it again"
_FORMATS: dict[str, tuple[Callable[[Content], Tensors] | None, str, str]] = {
    ".safetensors": (_safetensors, "safetensors", _AGAIN),
    ".npz": (_npz, "NumPy's arrays", _AGAIN),
    **dict.fromkeys(
        (".pth", ".pt", ".bin", ".th", ".ckpt", ".tar"),
        (_torch, "a PyTorch state dict", f"{_AGAIN}, or save the state_dict() alone with torch.save"),
    ),
    **dict.fromkeys((".h5", ".hdf5"), (_h5, "Keras' HDF5", _AGAIN)),
    ".zip": (None, "an archive of one weights file", _AGAIN),
}


INDEX = ".index.json"
"""Suffix of a file that lists the shards of a network's weights."""
SUFFIXES = tuple(_FORMATS)
"""Suffixes of the files that can be read."""


def _format(path: Path) -> tuple[Callable[[Content], Tensors] | None, str, str]:
    suffix = ".safetensors" if path.name.endswith(INDEX) else path.suffix.lower()
    if suffix not in _FORMATS:
        raise InputError(
            f"read_tensors: expected a file whose suffix is one of {' '.join(_FORMATS)}, got {path}; save its tensors "
            "as safetensors (a bare pickle may run any code when it is read)."
        )
    return _FORMATS[suffix]


def read_content(path: Path) -> bytes:
    """Read the bytes of a weights file.

    Raises:
        InputError: when the file is missing, or is a device or pipe, which may have no end.
    """
    try:
        if not (stat.S_ISREG(path.stat().st_mode) or path.is_dir()):
            raise InputError(
                f"read_tensors: expected a weights file at {path}, got a device or pipe; pass a regular file."
            )
        return path.read_bytes()
    except OSError as error:
        raise InputError(
            f"read_tensors: expected a weights file at {path}, got {error.strerror}; check the path."
        ) from None


def _numbers(value: np.ndarray) -> np.ndarray:
    array = np.asarray(value)
    _require_numbers(array.dtype)
    return array


def _require_numbers(dtype: np.dtype) -> None:
    if dtype.kind not in "fiub":
        raise ContentError(f"{dtype} where numbers belong")


def _foreign(content: bytes) -> str | None:
    """Recognise the two most frequent wrong downloads: Git LFS pointers and web pages."""
    start = content[:100].lstrip().lower()
    if start.startswith(b"version https://git-lfs"):
        return "a Git LFS pointer in place of the file"
    return "a web page" if start.startswith((b"<!doctype", b"<html", b"<?xml")) else None


def _words(error: BaseException) -> str:
    words = _line(str(error)).rstrip(".;")
    return words if isinstance(error, ContentError) else f"corrupt content ({words or type(error).__name__})"


def _line(text: str) -> str:
    """Text from a file or its parser as one printable line."""
    return "".join(character if character.isprintable() else "?" for character in " ".join(text.split()))[:200]
