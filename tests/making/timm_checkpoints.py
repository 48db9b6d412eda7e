"""The checkpoints in timm's table of ImageNet results, and which of them open here."""

import json
import lzma
from functools import cache

from places import RECORDED
from recorded.random_state import digest_of_shapes
from timm_layout import torch_shapes

from leepjax.models import architectures, weights
from leepjax.models.timm_config import read_config
from leepjax.types import InputError


@cache
def checkpoints():
    """A record of each checkpoint, the most accurate first (see `recorded/make_timm_checkpoints.py`)."""
    lines = lzma.decompress((RECORDED / "timm_checkpoints.jsonl.xz").read_bytes()).decode().splitlines()
    return [json.loads(line) for line in lines[1:]]


def refusal(record):
    """Why a checkpoint doesn't open, by its configuration alone; None if its configuration has no obstacle."""
    return _refusal(record["name"], json.dumps(record["config"]))


@cache
def _refusal(name, config):
    try:
        read_config(config.encode(), name)
    except InputError as error:
        return str(error)
    return None


def misfit(record):
    """How the network that leepjax builds differs from timm's, by its number of parameters and its tensors."""
    config = read_config(json.dumps(record["config"]).encode(), record["name"])
    network = architectures.abstract(config.model, config.num_classes)
    if config.num_features not in (weights.num_features(network), network.num_features):
        return f"features of a width other than {config.num_features}"
    if (got := weights.num_parameters(network)) != record["parameters"]:
        return f"{got} parameters instead of {record['parameters']}"
    shapes = torch_shapes(network)
    # Some of timm's heads are 1 × 1 convolutions, which open as linear layers.
    convolution = {name: (*shape, 1, 1) for name, shape in shapes.items() if name == f"{network.HEAD}.weight"}
    forms = shapes, shapes | convolution
    return None if record["shapes"] in map(digest_of_shapes, forms) else "other tensors"
