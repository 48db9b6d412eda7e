"""Does a damaged source end in one sentence, soon and in little memory?

Each file of a source is damaged by seeded flips, cuts, insertions, repetitions and large lengths, most of them near its
ends, where headers and lists of members are. ``load_source`` must give a network or an ``InputError`` of one printable
line. A limit on the memory of the process holds what a file can make it reserve.

``python benchmarks/fuzz_sources.py`` damages each kind 300 times; ``--size small`` does so 3 times.
"""

import argparse
import io
import json
import random
import resource
import sys
import tempfile
import time
from pathlib import Path

import h5py
import numpy as np
import safetensors.numpy

sys.path.insert(0, str(Path(__file__).resolve().parents[1] / "tests"))
from timm_layout import CONFIG, torch_layout
from torch_pickles import tensor, torch_zip

from leepjax.models.architectures import build
from leepjax.models.opening import load_source
from leepjax.types import InputError

SECONDS = 60
MEMORY = 6 << 30
"""Bytes of address space; an import of JAX takes two of these six gibibytes."""
LENGTHS = [b"\xff" * 8, b"\0" * 8, b"\xff\xff\xff\x7f", b"\x7f", (1 << 62).to_bytes(8, "little")]


def sources():
    """Name of a file → its content, undamaged, of one network in every format."""
    state = torch_layout(build("resnet20", 10))
    stream, hdf5 = io.BytesIO(), io.BytesIO()
    np.savez(stream, **state)
    with h5py.File(hdf5, "w") as file:
        for i, (name, array) in enumerate(state.items()):
            file.create_dataset(name.replace(".", "/"), data=array, compression="gzip" if i % 2 else None)
    pickled = {
        name: tensor(name, "Float", a.size, 0, a.shape, [step // 4 for step in a.strides]) for name, a in state.items()
    }
    config = CONFIG | {"model_args": {"global_pool": "avg"}, "label_names": [str(i) for i in range(10)]}
    return {
        "model.safetensors": safetensors.numpy.save(state),
        "model.npz": stream.getvalue(),
        "model.h5": hdf5.getvalue(),
        "model.pth": torch_zip(pickled, {name: array.tobytes() for name, array in state.items()}),
        "config.json": json.dumps(config).encode(),
    }


def damaged(content, rng):
    content = bytearray(content)
    for _ in range(rng.randint(1, 4)):
        near = min(len(content), rng.choice([4000, len(content)]))
        at = rng.choice([rng.randrange(near), len(content) - 1 - rng.randrange(near)])
        match rng.randrange(6):
            case 0:
                content[at] ^= 1 << rng.randrange(8)
            case 1:
                del content[max(at, 1) :]
            case 2:
                content[at:at] = rng.randbytes(rng.randint(1, 40))
            case 3:
                content[at:at] = content[at : at + rng.randint(1, 200)]
            case 4:
                length = rng.choice(LENGTHS)
                content[at : at + len(length)] = length
            case 5:
                del content[max(at, 1) : at + rng.randint(1, 40)]
    return bytes(content)


def outcome(name, content, whole, folder):
    """What became of a source: read or refused; any other exception, and a long or unprintable sentence, passes."""
    (folder / "config.json").write_bytes(whole["config.json"])
    if name == "config.json":
        (folder / "model.safetensors").write_bytes(whole["model.safetensors"])
    (folder / name).write_bytes(content)
    try:
        load_source(f"local-dir:{folder}").network.model()
    except InputError as error:
        if not str(error).isprintable() or len(str(error)) > 1000:
            raise AssertionError(f"expected one printable line, got {str(error)[:1000]!r}") from None
        return "refused"
    return "read"


def main():
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--size", choices=["small", "full"], default="full")
    times = {"small": 3, "full": 300}[parser.parse_args().size]
    limits = resource.getrlimit(resource.RLIMIT_AS)
    if times > 3:  # in CI the process is shared with other benchmarks
        resource.setrlimit(resource.RLIMIT_AS, (MEMORY, limits[1]))
    whole = sources()
    for name, content in whole.items():
        outcomes, slowest = [], 0.0
        for seed in range(times):
            began = time.perf_counter()
            with tempfile.TemporaryDirectory() as folder:
                outcomes.append(outcome(name, damaged(content, random.Random(f"{name} {seed}")), whole, Path(folder)))
            slowest = max(slowest, time.perf_counter() - began)
        assert slowest < SECONDS
        print(f"{name}: {outcomes.count('read')} read, {outcomes.count('refused')} refused, {slowest:.1f} s at most")


if __name__ == "__main__":
    main()
