"""Write timm_checkpoints.jsonl.xz: the checkpoints in timm's table of ImageNet results, for test_coverage.py.

    pip install torch timm
    python tests/recorded/make_timm_checkpoints.py results-imagenet.csv

The table is https://github.com/huggingface/pytorch-image-models/blob/main/results/results-imagenet.csv, which is sorted
by accuracy. Networks are built without weights, on PyTorch's meta device.
"""

import csv
import json
import lzma
import sys
from pathlib import Path

import timm
import torch
from timm.models import get_pretrained_cfg
from timm.models._registry import _model_to_module

sys.path.insert(0, str(Path(__file__).parents[1]))
from recorded.random_state import digest_of_shapes

KEPT = ("input_size", "crop_pct", "crop_mode", "interpolation", "mean", "std", "num_classes", "license")
"""What leepjax reads of timm's ``pretrained_cfg``."""


def record(name: str) -> dict:
    """The part of a checkpoint's ``config.json`` that leepjax reads, and what its tensors are."""
    architecture = name.partition(".")[0]
    with torch.device("meta"):
        model = timm.create_model(name, pretrained=False)
    learned = dict(model.named_parameters())
    shapes = {
        key: tuple(value.shape)
        for key, value in model.state_dict().items()
        if key in learned or key.endswith(("running_mean", "running_var"))
    }
    pretrained = get_pretrained_cfg(name).to_dict()
    return {
        "name": name,
        "family": _model_to_module[architecture],
        "parameters": sum(value.numel() for value in learned.values()),
        "shapes": digest_of_shapes(shapes),
        "config": {
            "architecture": architecture,
            "num_classes": pretrained["num_classes"],
            "num_features": model.num_features,
            "pretrained_cfg": {key: pretrained[key] for key in KEPT if pretrained.get(key) is not None},
        },
    }


def main(table: str) -> None:
    """Record each distinct checkpoint once, the most accurate first."""
    with open(table, encoding="utf-8") as file:
        names = list(dict.fromkeys(row["model"] for row in csv.DictReader(file)))
    lines = [json.dumps(record(name)) for name in names]
    head = json.dumps({"torch": torch.__version__, "timm": timm.__version__, "checkpoints": len(names)})
    path = Path(__file__).with_name("timm_checkpoints.jsonl.xz")
    path.write_bytes(lzma.compress("\n".join([head, *lines, ""]).encode(), preset=9))


if __name__ == "__main__":
    main(sys.argv[1])
