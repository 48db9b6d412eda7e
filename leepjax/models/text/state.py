"""State dicts of transformers: the tensors of an encoder and its classifier, by names of today."""

from collections.abc import Mapping, Sequence

import numpy as np

_OTHER_HEADS = (
    "cls.",
    "lm_head.",
    "qa_outputs.",
    "vocab_transform.",
    "vocab_layer_norm.",
    "vocab_projector.",
    "decoder.",
)
"""Of pretraining and other tasks than classification"""
_LEAVES = {"gamma": "weight", "beta": "bias"}
"""Names of a LayerNorm's tensors in files that were converted from TensorFlow"""


def bare_tensors(
    tensors: Mapping[str, np.ndarray], prefixes: Sequence[str], unused: Sequence[str]
) -> dict[str, np.ndarray]:
    """Tensors without a model's prefix, with today's names, and without heads of other tasks.

    >>> list(bare_tensors({"bert.embeddings.LayerNorm.gamma": np.ones(1), "cls.bias": np.ones(1)}, ("bert.",), ()))
    ['embeddings.LayerNorm.weight']
    """
    found = {}
    for name, value in tensors.items():
        for prefix in prefixes:
            name = name.removeprefix(prefix)
        if not name.startswith((*_OTHER_HEADS, *unused)):
            path, dot, leaf = name.rpartition(".")
            found[f"{path}{dot}{_LEAVES.get(leaf, leaf)}"] = value
    return found
