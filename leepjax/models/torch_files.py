"""State dicts in files that ``torch.save`` wrote, read without PyTorch and without running what a pickle asks for.

Such a file is a pickle of nested dicts, whose tensors are views (offset, size, stride) of storages that lie beside it:
members ``data/0``, ``data/1`` … of a zip archive, or, in files older than PyTorch 1.6, after the pickle one by one. The
pickle may call four functions, which here only note what they are given; any other name in it is refused.
"""

import io
import pickle
import struct
import zipfile
from collections import OrderedDict
from collections.abc import Callable, Iterator
from typing import Any, NamedTuple

import numpy as np


class ContentError(ValueError):
    """What a file holds in place of what it should, in a few words."""


_LEGACY_START = b"\x80\x02\x8a\n"
_LEGACY_MAGIC = 0x1950A86A20F9469CFC6C
_WRAPPERS = ("state_dict", "model", "model_state")
_DTYPES = {
    "DoubleStorage": "<f8",
    "FloatStorage": "<f4",
    "HalfStorage": "<f2",
    "BFloat16Storage": "bfloat16",
    "LongStorage": "<i8",
    "IntStorage": "<i4",
    "ShortStorage": "<i2",
    "CharStorage": "i1",
    "ByteStorage": "u1",
    "BoolStorage": "?",
}


class _Storage(NamedTuple):
    key: str
    dtype: str
    numel: int

    @property
    def size(self) -> int:
        """Bytes."""
        return self.numel * (2 if self.dtype == "bfloat16" else np.dtype(self.dtype).itemsize)


class _Tensor(NamedTuple):
    storage: _Storage
    offset: int
    shape: tuple[int, ...]
    strides: tuple[int, ...]

    def of(self, buffer: bytes) -> np.ndarray:
        """The tensor as a view of its storage's bytes; ContentError when it reaches beyond them."""
        if len(buffer) != self.storage.size:
            raise ContentError(f"{len(buffer):,} bytes where its storage wants {self.storage.size:,}")
        if min(self.offset, *self.shape, *self.strides, 0) < 0 or len(self.shape) != len(self.strides):
            raise ContentError(f"sizes {self.shape} with strides {self.strides} at {self.offset}")
        last = self.offset + sum((size - 1) * stride for size, stride in zip(self.shape, self.strides, strict=True))
        if 0 not in self.shape and last >= self.storage.numel:
            raise ContentError(f"a storage of {self.storage.numel:,} numbers where it wants {last + 1:,}")
        values = plain(buffer, self.storage.dtype)[self.offset :]
        strides = [stride * values.itemsize for stride in self.strides]
        return np.lib.stride_tricks.as_strided(values, self.shape, strides, writeable=False)


def plain(buffer: bytes, dtype: str) -> np.ndarray:
    """The numbers in a buffer; bfloat16, which NumPy lacks, as float32: its first two bytes are the same."""
    if dtype == "bfloat16":
        return (np.frombuffer(buffer, "<u2").astype(np.uint32) << 16).view(np.float32)
    return np.frombuffer(buffer, dtype)


def read_torch(content: bytes) -> Iterator[tuple[str, Callable[[], np.ndarray]]]:
    """Each tensor's name, and a function that reads it, so that whatever fails in there has a name."""
    if not content.startswith((b"PK\x03\x04", _LEGACY_START)):
        raise ContentError("another kind of file")
    pickled, buffer_of = _zipped(content) if content.startswith(b"PK") else _legacy(content)
    for name, tensor in _state_dict(pickled).items():
        yield name, lambda tensor=tensor: tensor.of(buffer_of(tensor.storage))


def torch_place(content: bytes, member: str) -> str:
    """What lies in a member of an archive that breaks off there: the tensors' names and the bytes they want."""
    _, begin = next(archive_members(content))
    state = _state_dict(_Unpickler(io.BytesIO(content[begin:])).load())
    lost = [name for name, tensor in state.items() if member.endswith(f"/data/{tensor.storage.key}")]
    return f"tensor {lost[0]}, which wants {state[lost[0]].storage.size:,} bytes" if lost else f"member {member}"


def archive_members(content: bytes) -> Iterator[tuple[str, int]]:
    """Name and beginning of each member of a zip archive, found without the list at its end."""
    found = content.find(b"PK\x03\x04")
    while found >= 0 and found + 30 <= len(content):
        name_size, extra_size = struct.unpack_from("<HH", content, found + 26)
        end = found + 30 + name_size
        if end <= len(content):
            yield content[found + 30 : end].decode("utf-8", "replace"), end + extra_size
        found = content.find(b"PK\x03\x04", end)


def _zipped(content: bytes) -> tuple[Any, Callable[[_Storage], bytes]]:
    archive = zipfile.ZipFile(io.BytesIO(content))
    pickles = [name for name in archive.namelist() if name.endswith("data.pkl")]
    if len(pickles) != 1:
        raise ContentError(f"an archive with {len(pickles)} data.pkl")
    root = pickles[0].removesuffix("data.pkl")
    if f"{root}byteorder" in archive.namelist() and archive.read(f"{root}byteorder") != b"little":
        raise ContentError("big-endian numbers")

    def buffer_of(storage: _Storage) -> bytes:
        member = archive.getinfo(f"{root}data/{storage.key}")
        if member.file_size != storage.size:
            raise ContentError(f"{member.file_size:,} bytes where its storage wants {storage.size:,}")
        return archive.read(member)

    return _Unpickler(io.BytesIO(archive.read(pickles[0]))).load(), buffer_of


def _legacy(content: bytes) -> tuple[Any, Callable[[_Storage], bytes]]:
    stream = io.BytesIO(content)
    if _Unpickler(stream).load() != _LEGACY_MAGIC:
        raise ContentError("a pickle that torch.save didn't write")
    _protocol, system = _Unpickler(stream).load(), _Unpickler(stream).load()
    if not system["little_endian"]:
        raise ContentError("big-endian numbers")
    unpickler = _Unpickler(stream)
    pickled, keys = unpickler.load(), _Unpickler(stream).load()
    begins, begin = {}, stream.tell()
    for key in keys:  # each after its count in eight bytes
        begins[key] = begin + 8
        begin += 8 + unpickler.storages[key].size
    return pickled, lambda storage: content[begins[storage.key] : begins[storage.key] + storage.size]


def _state_dict(pickled: Any) -> dict[str, _Tensor]:
    for _ in range(3):  # {"model": {"state_dict": …}} is as deep as they come; a dict may hold itself
        inner = [pickled[key] for key in _WRAPPERS if isinstance(pickled, dict) and isinstance(pickled.get(key), dict)]
        pickled = inner[0] if inner else pickled
    entries = pickled.items() if isinstance(pickled, dict) else ()
    state = {name: value for name, value in entries if isinstance(name, str) and isinstance(value, _Tensor)}
    if not state:
        keys = ", ".join(str(name)[:40] for name, _ in list(entries)[:3])
        raise ContentError(f"a dict of {keys}" if keys else f"a pickled {type(pickled).__name__}")
    return state


def _rebuild_tensor(storage: _Storage, offset: int, shape: tuple, strides: tuple, *_: Any) -> _Tensor:
    if not isinstance(storage, _Storage):
        raise ContentError(f"a tensor without a storage: {storage!r:.40}")
    return _Tensor(storage, int(offset), tuple(map(int, shape)), tuple(map(int, strides)))


def _rebuild_parameter(tensor: _Tensor, *_: Any) -> _Tensor:
    return tensor


_ADMITTED: dict[tuple[str, str], Any] = {
    ("collections", "OrderedDict"): OrderedDict,
    ("torch._utils", "_rebuild_tensor"): _rebuild_tensor,
    ("torch._utils", "_rebuild_tensor_v2"): _rebuild_tensor,
    ("torch._utils", "_rebuild_parameter"): _rebuild_parameter,
} | {("torch", name): dtype for name, dtype in _DTYPES.items()}


class _Unpickler(pickle._Unpickler):
    """The one written in Python: that in C reserves as much memory as a corrupt file tells it to."""

    def __init__(self, stream: io.BytesIO):
        super().__init__(stream, encoding="utf-8")
        self.storages: dict[str, _Storage] = {}

    def find_class(self, module: str, name: str) -> Any:
        try:
            return _ADMITTED[module, name]
        except KeyError:
            raise ContentError(f"a pickle that wants to call {module}.{name}") from None

    def persistent_load(self, pid: Any) -> _Storage:
        kind, dtype, key, _location, numel = pid[:5]
        if kind != "storage" or dtype not in _DTYPES.values() or not isinstance(key, str):
            raise ContentError("a reference to something else than a storage")
        self.storages[key] = _Storage(key, dtype, int(numel))
        return self.storages[key]
