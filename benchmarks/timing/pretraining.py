"""Which accuracy does a ResNet-20 reach from scratch on CIFAR-10, and how fast?

python benchmarks --size full pretraining

It does the same as two commands: ``leepjax pretrain`` for 40 epochs on 20,000 images, and ``leepjax finetune`` of the
result on the same images, for 12 epochs with twice the weight decay, which is a warm restart (Loshchilov, Hutter,
*SGDR*, ICLR 2017). After each epoch the network is measured on 10,000 images. With `small`, or without CIFAR-10, it
trains one epoch of each on a few digits, to check that it runs.
"""

import tempfile
from dataclasses import replace
from functools import partial
from pathlib import Path

import msgspec
import numpy as np
import shared_sources as shared
from measuring import report, size

from leepjax.adapting.pretrain import pretrain
from leepjax.data.readers import digits
from leepjax.data.target import Target, from_arrays
from leepjax.transfer.curve import Epoch
from leepjax.transfer.finetune import fine_tune
from leepjax.transfer.recipe import FineTuning, Recipe

FIRST = Recipe(epochs=40)
RESTART = FineTuning(epochs=12, batch_size=128, learning_rate=0.05, weight_decay=1e-3, flip=True)


def main() -> None:
    first, restart = FIRST, RESTART
    if size() == "full" and shared.DATA.is_dir():
        data = shared.load_pack().load_images("cifar10_train20k")
        train_set = from_arrays(data["images"], data["labels"].astype(np.int32), data["classes"], "cifar10-train20k")
        test_set = shared.cifar10_test()
    else:
        train_set, test_set = digits().subset(np.arange(64)), digits().subset(np.arange(64, 96))
        first, restart = (replace(recipe, epochs=1, batch_size=32) for recipe in (FIRST, RESTART))
    with tempfile.TemporaryDirectory() as folder:
        on_epoch = partial(tell, train_set, 1)
        source = pretrain(train_set, test_set, "scratch", Path(folder), recipe=first, on_epoch=on_epoch)
        fine_tune(source, train_set, test_set, recipe=restart, on_epoch=partial(tell, train_set, 2))


def tell(train_set: Target, cycle: int, epoch: Epoch) -> None:
    report(
        benchmark="pretraining",
        architecture="resnet20",
        target=train_set.name,
        examples=len(train_set),
        cycle=cycle,
        **msgspec.structs.asdict(epoch),
    )


if __name__ == "__main__":
    main()
