"""The kinds of files that `fuzz.py` damages: how an undamaged one is written, and what reads it."""

import io
import json
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import NamedTuple

import h5py
import numpy as np
import safetensors.numpy
from PIL import Image
from timm_layout import CONFIG, torch_layout
from torch_pickles import tensor, torch_zip

import leepjax
from leepjax.agreement.score_files import read_scores, read_truth
from leepjax.data.encoded import decode
from leepjax.data.readers import read_target
from leepjax.extraction.shards import Shards
from leepjax.extraction.table import Table, cached_table, read_table, write_table
from leepjax.models.architectures import build
from leepjax.models.opening import load_source
from leepjax.ranking.score import score_arrays
from leepjax.storage.records import Record, read_records, write_records
from leepjax.studies.outcome import read_studies
from leepjax.studies.paper.catalogue import STUDIES
from leepjax.studies.provenance import PROVENANCE, write_provenance
from leepjax.types import Outputs

SHIPPED = Path(leepjax.__file__).parent / "models" / "shipped"
RNG = np.random.default_rng(0)
PIXELS = RNG.integers(0, 256, (6, 16, 16, 3)).astype(np.uint8)
LABELS = np.array([0, 1, 0, 1, 0, 1])


class Format(NamedTuple):
    """A kind of file: how to write an undamaged one into a folder, and what reads it."""

    write: Callable[[Path], Path]
    read: Callable[[Path], object]


def npy(folder):
    np.save(folder / "labels.npy", LABELS)
    np.save(folder / "probs.npy", np.full((6, 4), 0.25, np.float32))
    return folder / "probs.npy"


def read_npy(path):
    return score_arrays(path, path.parent / "labels.npy", "probs", ["leep"], resamples=0)


def npz(folder):
    np.savez(folder / "set.npz", images=PIXELS, labels=LABELS)
    return folder / "set.npz"


def read_images(path):
    target = read_target(str(path))
    return [target.read(i) for i in range(len(target))]


def parquet(folder):
    import pyarrow as pa
    import pyarrow.parquet

    cells = [{"bytes": _encoded("png", image), "path": None} for image in PIXELS]
    pa.parquet.write_table(pa.table({"image": cells, "label": LABELS}), folder / "set.parquet")
    return folder / "set.parquet"


def _encoded(suffix, pixels):
    stream = io.BytesIO()
    Image.fromarray(pixels).save(stream, "jpeg2000" if suffix == "jp2" else "tiff" if suffix == "tif" else suffix)
    return stream.getvalue()


def image(suffix):
    def write(folder):
        (folder / f"image.{suffix}").write_bytes(_encoded(suffix, PIXELS[0]))
        return folder / f"image.{suffix}"

    return Format(write, lambda path: decode(path, str(path)).load())


def records(folder):
    common = {
        "kind": "score", "target": "t", "target_hash": "h", "num_examples": 6, "num_classes": 2, "weights_hash": "w",
        "value": 0.5, "low": 0.1, "high": 0.9, "confidence": 0.95, "draws": (0.1, 0.5, 0.9), "seed": 0, "seconds": 1.0,
        "versions": {"leepjax": "1"},
    }  # fmt: skip
    write_records(
        folder / "results.jsonl",
        [Record(key=f"{s}{m}", source=s, measure=m, **common) for s in "abc" for m in ("leep", "nce")],
    )
    return folder / "results.jsonl"


def read_results(path):
    from leepjax.report.make import make_report

    return read_records(path), read_scores(path), make_report(path.parent, formats=())


def csv(folder):
    rows = [f"s{i},t,{i / 7},{i / 9}" for i in range(6)]
    (folder / "scores.csv").write_text("\n".join(["source,target,leep,accuracy", *rows]))
    return folder / "scores.csv"


def read_csv(path):
    return read_scores(path, ["leep"]), read_truth(path)


def study(folder):
    write_provenance(folder, STUDIES["small-balanced"]["smoke"], "smoke", "leepjax study small-balanced", 1.0)
    return folder / PROVENANCE


def read_study(path):
    try:
        read_studies(path.parent)
    finally:  # what the next run of the study does with it
        write_provenance(path.parent, STUDIES["small-balanced"]["smoke"], "smoke", "again", 1.0)


def table(folder):
    features = RNG.normal(size=(6, 8)).astype(np.float32)
    written = Table(features, features[:, :4], LABELS, "key", tuple("abcdef"), {"source": "s", "target": "t"})
    write_table(folder / "table.safetensors", written)
    return folder / "table.safetensors"


def shard(folder):
    outputs = Outputs(PIXELS[:, :4, 0, 0].astype(np.float32), PIXELS[:, :4, 0, 1].astype(np.float32))
    Shards(folder / "parts").write([outputs], 0)
    return next((folder / "parts").iterdir())


def source(suffix):
    def write(folder):
        for each in ("safetensors", "json"):
            shutil.copy(SHIPPED / f"random.{each}", folder / f"s.{each}")
        return folder / f"s.{suffix}"

    return Format(write, lambda path: load_source(str(path.with_suffix(".safetensors"))))


def checkpoint(name, damage_config=False):
    """A folder of a network as it is published elsewhere: the weights in a file of this name, and config.json."""

    def write(folder):
        config = CONFIG | {"model_args": {"global_pool": "avg"}, "label_names": [str(i) for i in range(10)]}
        (folder / "config.json").write_text(json.dumps(config))
        state = torch_layout(build("resnet20", 10))
        (folder / name).write_bytes(_serialized(name, state))
        return folder / ("config.json" if damage_config else name)

    return Format(write, lambda path: load_source(f"local-dir:{path.parent}").network.model())


def _serialized(name, state):
    stream = io.BytesIO()
    match name.rpartition(".")[2]:
        case "safetensors":
            return safetensors.numpy.save(state)
        case "npz":
            np.savez(stream, **state)
        case "h5":
            with h5py.File(stream, "w") as file:
                for i, (tensor_name, array) in enumerate(state.items()):
                    compression = "gzip" if i % 2 else None
                    file.create_dataset(tensor_name, data=array, compression=compression)
        case "pth":
            pickled = {
                key: tensor(key, "Float", array.size, 0, array.shape, [step // 4 for step in array.strides])
                for key, array in state.items()
            }
            return torch_zip(pickled, {key: array.tobytes() for key, array in state.items()})
    return stream.getvalue()


FORMATS = {
    "npy": Format(npy, read_npy),
    "npz": Format(npz, read_images),
    "parquet": Format(parquet, read_images),
    **{f"image.{suffix}": image(suffix) for suffix in ("png", "jpeg", "gif", "bmp", "tif", "webp", "ppm", "jp2")},
    "results.jsonl": Format(records, read_results),
    "scores.csv": Format(csv, read_csv),
    "study.json": Format(study, read_study),
    "table": Format(table, read_table),
    "table in the cache": Format(table, cached_table),
    "shard": Format(shard, lambda path: list(Shards(path.parent).read())),
    "source.safetensors": source("safetensors"),
    "source.json": source("json"),
    **{name: checkpoint(name) for name in ("model.safetensors", "model.npz", "model.h5", "model.pth")},
    "config.json": checkpoint("model.safetensors", damage_config=True),
}
