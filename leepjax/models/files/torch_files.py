"""Read state dicts written by ``torch.save``, without PyTorch and without running code of the pickle.

Such a file is a pickle of nested dicts, whose tensors are views (offset, size, stride) of storages outside the pickle:
the members ``data/0``, ``data/1`` … of a zip archive or, in files older than PyTorch 1.6, the bytes after the pickle.
In the pickle, a tensor is a call of ``torch._utils._rebuild_tensor_v2``; only its arguments are read. Any other call
(``argparse.Namespace``, a configuration, NumPy's numbers) is left out.
"""

import io
import itertools
import logging
import re
from collections.abc import Callable, Iterator
from typing import Any, NamedTuple

import numpy as np

from leepjax.models.files.archives import archive_members, open_archive
from leepjax.models.files.content import Content, ContentError
from leepjax.models.files.pickles import Call, Global, Pickle, Reference, read_pickle
from leepjax.printable import printable

_LEGACY_START = b"\x80\x02\x8a\n"
_LEGACY_MAGIC = 0x1950A86A20F9469CFC6C
_EMA = ("state_dict_ema", "model_ema", "ema_state_dict", "model_ema_state_dict", "ema_model", "params_ema", "ema")
_WRAPPERS = (
    *_EMA,  # timm's choice: averaged weights before the raw ones
    *("state_dict", "model_state_dict", "model_state", "model", "net", "network", "weights", "params"),
    *("module", "shadow", "teacher", "student"),
)
"""Keys under which checkpoints store a state dict, in order of preference."""
_AVERAGE = re.compile(r"(?<![a-z])(ema|swa)(?![a-z])|shadow|averag")
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
    def itemsize(self) -> int:
        """Bytes per number."""
        if self.dtype.startswith("torch."):
            raise ContentError(f"numbers of type {printable(self.dtype)[:80]}")
        return 2 if self.dtype == "bfloat16" else np.dtype(self.dtype).itemsize

    @property
    def size(self) -> int:
        """Size in bytes."""
        return self.numel * self.itemsize


class _Tensor(NamedTuple):
    storage: _Storage
    offset: int
    shape: tuple[int, ...]
    strides: tuple[int, ...]

    @property
    def size(self) -> int:
        """Bytes of the tensor as a dense array; with a stride of zero, more than its storage has."""
        size = 4 if self.storage.dtype == "bfloat16" else self.storage.itemsize
        for length in self.shape:
            size *= length
        return size

    @property
    def end(self) -> int:
        """Index after the last number of the storage that the tensor uses; ContentError if beyond the storage's end."""
        if min(self.offset, *self.shape, *self.strides, 0) < 0 or len(self.shape) != len(self.strides):
            raise ContentError(f"sizes {self.shape} with strides {self.strides} at {self.offset}")
        if 0 in self.shape:
            return self.offset
        last = self.offset + sum((size - 1) * stride for size, stride in zip(self.shape, self.strides, strict=True))
        if last >= self.storage.numel:
            raise ContentError(f"a storage of {self.storage.numel:,} numbers where the tensor needs {last + 1:,}")
        return last + 1

    def of(self, buffer: memoryview) -> np.ndarray:
        """The tensor as a view of its storage's bytes; ContentError when it reaches beyond them."""
        if len(buffer) != self.storage.size:
            raise ContentError(f"{len(buffer):,} bytes where its storage wants {self.storage.size:,}")
        itemsize = self.storage.itemsize
        values = plain(buffer[self.offset * itemsize : self.end * itemsize], self.storage.dtype)
        strides = [stride * values.itemsize for stride in self.strides]
        return np.lib.stride_tricks.as_strided(values, self.shape, strides, writeable=False)


def plain(buffer: bytes | memoryview, dtype: str) -> np.ndarray:
    """The numbers in a buffer. NumPy lacks bfloat16, so its bits become the upper half of float32 numbers."""
    if dtype == "bfloat16":
        return (np.frombuffer(buffer, "<u2").astype(np.uint32) << 16).view(np.float32)
    return np.frombuffer(buffer, dtype)


def read_torch(content: Content) -> Iterator[tuple[str, Callable[[], np.ndarray]]]:
    """Yield each tensor's name and a function that reads it, so that an error can name the tensor."""
    if not content.data.startswith((b"PK\x03\x04", _LEGACY_START)):
        raise ContentError("another kind of file")
    pickled, buffer_of = _zipped(content) if content.data.startswith(b"PK") else _legacy(content)
    buffers: dict[str, memoryview] = {}

    def read(value: Call) -> np.ndarray:
        tensor = _tensor(value)
        content.take(tensor.size)
        if tensor.storage.key not in buffers:
            buffers[tensor.storage.key] = memoryview(buffer_of(tensor.storage))
        return tensor.of(buffers[tensor.storage.key])

    for name, value in _state_dict(pickled.value, content.name).items():
        yield name, lambda value=value: read(value)


def torch_end(content: bytes, member: str) -> str:
    """Describe the member in which a truncated archive ends, by the tensor and bytes that it should hold."""
    _, begin = next(archive_members(content))
    state = _state_dict(read_pickle(io.BytesIO(content[begin:])).value, "")
    tensors = {name: _tensor(value) for name, value in state.items()}
    lost = [name for name, tensor in tensors.items() if member.endswith(f"/data/{tensor.storage.key}")]
    return f"tensor {lost[0]}, which wants {tensors[lost[0]].storage.size:,} bytes" if lost else f"member {member}"


def _zipped(content: Content) -> tuple[Pickle, Callable[[_Storage], bytes]]:
    archive = open_archive(content)
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

    return read_pickle(io.BytesIO(archive.read(pickles[0]))), buffer_of


def _legacy(content: Content) -> tuple[Pickle, Callable[[_Storage], memoryview]]:
    stream, data = io.BytesIO(content.data), memoryview(content.data)
    if read_pickle(stream).value != _LEGACY_MAGIC:
        raise ContentError("a pickle that torch.save didn't write")
    _protocol, system = read_pickle(stream), read_pickle(stream).value
    if not isinstance(system, dict) or system.get("little_endian") is not True:
        raise ContentError("big-endian numbers")
    pickled, keys = read_pickle(stream), read_pickle(stream).value
    storages = {storage.key: storage for storage in map(_storage, pickled.references)}
    begins, begin = {}, stream.tell()
    for key in keys:  # each storage follows its length, in eight bytes
        if not isinstance(key, str):
            raise ContentError("a storage whose name isn't text")
        begins[key] = begin + 8
        begin += 8 + storages[key].size
    return pickled, lambda storage: data[begins[storage.key] : begins[storage.key] + storage.size]


def _state_dict(pickled: Any, origin: str) -> dict[str, Call]:
    """Find the tensors by name, in the dict itself or in dicts nested in it by a training loop."""
    found = pickled
    for _ in range(4):  # deeper than any known, as in {"model": {"state_dict": …}}; a dict may hold itself
        entries = _entries(found)
        keys = [key for key in _WRAPPERS if key in entries and _holds_tensors(entries[key], set())]
        if origin and (unread := [str(key) for key in entries if key not in keys and _is_average(key, entries[key])]):
            logging.getLogger("leepjax").warning(
                "%s holds averaged weights as %s, which aren't read; others are used.",
                origin,
                " and ".join(map(printable, unread)),
            )
        if not keys:
            break
        if len(keys) > 1 and origin:
            logging.getLogger("leepjax").warning(
                "%s holds weights as %s; %s is used.", origin, " and ".join(keys), keys[0]
            )
        found = entries[keys[0]]
    state = {name: value for name, value in _entries(found).items() if isinstance(name, str) and _is_tensor(value)}
    if not state:
        raise ContentError(_without_tensors(pickled))
    return state


def _entries(value: Any) -> dict[str | int, Any]:
    if isinstance(value, Call):
        return value.entries
    return value if isinstance(value, dict) else {}


def _holds_tensors(value: Any, seen: set[int]) -> bool:
    entries = _entries(value)
    if id(entries) in seen:
        return False
    seen.add(id(entries))
    if any(isinstance(name, str) and _is_tensor(each) for name, each in entries.items()):
        return True
    return any(_holds_tensors(entries[key], seen) for key in _WRAPPERS if key in entries)


def _is_average(key: str | int, value: Any) -> bool:
    """Whether weights under a key are averaged ones, which may be lists without names, as of ``shadow_params``."""
    if _is_tensor(value) or not _AVERAGE.search(str(key).lower()):
        return False
    lists: list[Any] = [each for each in (value, *_entries(value).values()) if isinstance(each, list | tuple)]
    return _holds_tensors(value, set()) or any(map(_is_tensor, itertools.chain(*lists)))


def _without_tensors(pickled: Any) -> str:
    if isinstance(pickled, Call) and not pickled.entries:
        return f"a pickled {printable(pickled.function)[:80]}"
    entries = _entries(pickled)
    keys = ", ".join(printable(str(name))[:40] for name in list(entries)[:3])
    calls = [printable(value.function)[:80] for value in entries.values() if isinstance(value, Call)]
    objects = f" with a {calls[0]} that isn't read" if calls else ""
    return f"a dict of {keys}{objects}" if keys else f"a pickled {type(pickled).__name__}"


def _is_tensor(value: Any) -> bool:
    return isinstance(value, Call) and value.function.startswith("torch.") and "._rebuild_" in value.function


def _tensor(value: Any) -> _Tensor:
    """The arguments of the call that rebuilds a tensor, which may be nested in that of a parameter or subclass."""
    for _ in range(4):
        if not (isinstance(value, Call) and _is_tensor(value)):
            break
        arguments = value.arguments
        if value.function in ("torch._utils._rebuild_tensor", "torch._utils._rebuild_tensor_v2"):
            if any(_entries(metadata).get("neg") for metadata in arguments[6:7]):
                raise ContentError("a tensor that PyTorch stores with the opposite sign; save tensor.resolve_neg()")
            return _Tensor(_storage(arguments[0]), _whole(arguments[1]), _sizes(arguments[2]), _sizes(arguments[3]))
        if value.function.startswith("torch._utils._rebuild_parameter"):
            value = arguments[0]
        elif value.function == "torch._tensor._rebuild_from_type_v2" and isinstance(arguments[0], Global):
            value = Call(arguments[0].name, arguments[2])
        else:
            raise ContentError(f"a tensor of {printable(value.function)[:80]}, which leepjax can't read")
    raise ContentError("a parameter without a tensor")


def _storage(reference: Any) -> _Storage:
    """Parse the persistent identifier ("storage", type, key, device, number of elements)."""
    if not isinstance(reference, Reference):
        raise ContentError("a tensor without a storage")
    match reference.identifier:
        case (str("storage"), Global(name=kind), str(key), _, int(numel), *_):
            return _Storage(key, _DTYPES.get(kind.rpartition(".")[2], f"torch.{kind.rpartition('.')[2]}"), numel)
    raise ContentError("a reference to something else than a storage")


def _sizes(value: Any) -> tuple[int, ...]:
    if not isinstance(value, list | tuple) or len(value) > 32:
        raise ContentError("a tensor without sizes and strides")
    return tuple(map(_whole, value))


def _whole(value: Any) -> int:
    if type(value) is not int or abs(value) >= 1 << 63:
        raise ContentError("a tensor whose sizes and strides aren't integers")
    return value
