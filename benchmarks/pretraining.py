"""How far does a ResNet-20 come from scratch on CIFAR-10, and how fast?

python benchmarks/pretraining.py --size full

It is what ``leepjax pretrain`` does: 40 epochs on 20,000 images, measured on 10,000 after each. Without CIFAR-10, or
`small`, an epoch on a few digits shows that it runs.
"""

import sys
import tempfile
from functools import partial
from pathlib import Path

import msgspec
import numpy as np
from measuring import report, size

from leepjax.data.readers import digits
from leepjax.data.target import Target, from_arrays
from leepjax.experiments.pretrain import pretrain
from leepjax.transfer.curve import Epoch
from leepjax.transfer.recipe import Recipe

sys.path.append(str(Path(__file__).parents[1] / "tests"))
import shared_sources as shared


def main() -> None:
    if size() == "full" and shared.DATA.is_dir():
        data = shared.load_pack().load_images("cifar10_train20k")
        train_set = from_arrays(data["images"], data["labels"].astype(np.int32), data["classes"], "cifar10-train20k")
        test_set, recipe = shared.cifar10_test(), Recipe(epochs=40)
    else:
        train_set, test_set = digits().subset(np.arange(64)), digits().subset(np.arange(64, 96))
        recipe = Recipe(epochs=1, batch_size=32)
    with tempfile.TemporaryDirectory() as folder:
        pretrain(train_set, test_set, "scratch", Path(folder), recipe=recipe, on_epoch=partial(tell, train_set, recipe))


def tell(train_set: Target, recipe: Recipe, epoch: Epoch) -> None:
    report(
        benchmark="pretraining",
        architecture="resnet20",
        target=train_set.name,
        examples=len(train_set),
        epochs=recipe.epochs,
        batch_size=recipe.batch_size,
        **msgspec.structs.asdict(epoch),
    )


if __name__ == "__main__":
    main()
