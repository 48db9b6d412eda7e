"""Files as ``torch.save`` writes them, opcode by opcode: tests run without PyTorch."""

import io
import zipfile


def text(value):
    return b"X" + len(value).to_bytes(4, "little") + value.encode()


def numbers(values):
    return b"(" + b"".join(b"J" + int(value).to_bytes(4, "little", signed=True) for value in values) + b"t"


def tensor(key, kind, numel, offset=0, shape=(1,), strides=(1,)):
    """The opcodes with which PyTorch pickles a tensor."""
    storage = b"(" + text("storage") + f"ctorch\n{kind}Storage\n".encode() + text(key) + text("cpu")
    storage += numbers([numel])[1:-1] + b"tQ"
    rest = numbers([offset])[1:-1] + numbers(shape) + numbers(strides) + b"\x89ccollections\nOrderedDict\n)R"
    return b"ctorch._utils\n_rebuild_tensor_v2\n(" + storage + rest + b"tR"


def torch_zip(entries, storages, **more):
    """A file as torch.save writes it, of names → opcodes and keys → bytes."""
    pickled = b"\x80\x02}(" + b"".join(text(name) + code for name, code in entries.items()) + b"u."
    members = {"data.pkl": pickled, "byteorder": b"little"} | {f"data/{k}": v for k, v in storages.items()} | more
    stream = io.BytesIO()
    with zipfile.ZipFile(stream, "w") as archive:
        for name, content in members.items():
            archive.writestr(f"archive/{name}", content)
    return stream.getvalue()
