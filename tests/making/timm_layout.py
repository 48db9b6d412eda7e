"""A small network as timm would publish it: a configuration and a state dict."""

import numpy as np
from flax import nnx
from recorded.random_state import random_state

from leepjax.models import weights
from leepjax.models.network import NamedParam

CONFIG = {
    "architecture": "resnet20",
    "num_classes": 10,
    "pretrained_cfg": {
        "input_size": [3, 32, 32],
        "crop_pct": 0.9,
        "interpolation": "bicubic",
        "mean": [0.1, 0.2, 0.3],
        "std": [0.4, 0.5, 0.6],
        "license": "mit",
        "origin_url": "https://example.org",
    },
}


LEAVES = {"kernel": "weight", "scale": "weight", "bias": "bias", "mean": "running_mean", "var": "running_var"}


def torch_name(path, leaf, model):
    """timm's name of the tensor at a path in a model."""
    first, *rest = path if isinstance(leaf, NamedParam) else (*path[:-1], LEAVES.get(path[-1], path[-1]))
    return ".".join(map(str, (getattr(model, "TIMM_NAMES", {}).get(first, first), *rest)))


def torch_shapes(model):
    """The names and shapes that PyTorch has for a model's tensors."""
    shapes = {}
    for path, leaf in nnx.to_flat_state(nnx.state(model, (nnx.Param, nnx.BatchStat))):
        shape = leaf.shape
        shapes[torch_name(path, leaf, model)] = (shape[-1], shape[-2], *shape[:-2]) if path[-1] == "kernel" else shape
    return shapes


computed = nnx.jit(lambda network, images: network(images))


def filled(network):
    """A network with the random state, which takes no program to make; an abstract one is enough."""
    weights.load_torch(network, random_state(torch_shapes(network)))
    return network


def torch_layout(model):
    """A model's tensors as timm would store them."""
    state = {}
    for path, leaf in nnx.to_flat_state(nnx.state(model, (nnx.Param, nnx.BatchStat))):
        array = np.asarray(leaf[...])
        if path[-1] == "kernel":
            array = array.transpose(-1, -2, *range(array.ndim - 2))
        state[torch_name(path, leaf, model)] = np.ascontiguousarray(array)
    return state
