"""A small network as timm would publish it: a configuration and a state dict."""

import numpy as np

from leepjax.models import weights

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


def torch_layout(model):
    """A model's tensors as timm would store them."""
    leaf = {"kernel": "weight", "scale": "weight", "bias": "bias", "mean": "running_mean", "var": "running_var"}
    state = {}
    for name, value in weights._leaves(model).items():
        path, _, last = name.rpartition(".")
        array = np.asarray(value[...])
        array = array.transpose(3, 2, 0, 1) if array.ndim == 4 else array.T
        state[f"{path}.{leaf[last]}"] = np.ascontiguousarray(array)
    return state
