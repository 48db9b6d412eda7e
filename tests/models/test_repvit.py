"""RepViT's heads in timm's files, two norms and linear layers, become one linear layer."""

import numpy as np

from leepjax.models.architectures import abstract

RNG = np.random.default_rng(0)


def normed(name, outputs, width):
    tensors = {f"{name}.bn.{leaf}": RNG.normal(size=width) for leaf in ("weight", "bias", "running_mean")}
    tensors[f"{name}.bn.running_var"] = RNG.random(width) + 0.5
    return tensors | {f"{name}.l.weight": RNG.normal(size=(outputs, width)), f"{name}.l.bias": RNG.normal(size=outputs)}


def logits(tensors, name, x):
    norm, linear = f"{name}.bn.", f"{name}.l."
    x = (x - tensors[norm + "running_mean"]) / np.sqrt(tensors[norm + "running_var"] + 1e-5)
    x = x * tensors[norm + "weight"] + tensors[norm + "bias"]
    return x @ tensors[linear + "weight"].T + tensors[linear + "bias"]


def test_two_heads_become_their_mean():
    network = abstract("repvit_m0_9", 5)
    tensors = normed("head.head", 5, 384) | normed("head.head_dist", 5, 384)
    adapted = network.adapted({"stem.conv1.c.weight": np.zeros(1), **tensors})
    assert adapted.keys() == {"stem.conv1.c.weight", "head.weight", "head.bias"}
    x = RNG.normal(size=(3, 384))
    expected = (logits(tensors, "head.head", x) + logits(tensors, "head.head_dist", x)) / 2
    np.testing.assert_allclose(x @ adapted["head.weight"].T + adapted["head.bias"], expected)


def test_one_head_is_folded_and_a_linear_head_is_kept():
    network = abstract("repvit_m0_9", 5)
    tensors = normed("head.head", 5, 384)
    adapted = network.adapted(tensors)
    x = RNG.normal(size=(3, 384))
    got = x @ adapted["head.weight"].T + adapted["head.bias"]
    np.testing.assert_allclose(got, logits(tensors, "head.head", x))
    assert network.adapted(adapted) == adapted
