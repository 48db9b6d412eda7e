"""Does fine-tuning a source beat training from scratch on small tasks, and when is the reference level with it?

python benchmarks/convergence.py --size full

Tasks: 5 of CIFAR-100's classes with 50 training images each, measured on 60 test images a class. Both trainings of a
task see the same batches, augmented alike; one begins with `cifar10`, a ResNet-20 that comes along, the other with
fresh weights. Without CIFAR-100, or `small`, one task of four digits shows that it runs.
"""

import sys
from dataclasses import replace
from pathlib import Path

import numpy as np
from measuring import report, size

from leepjax.data.readers import digits
from leepjax.data.split import train_test_split
from leepjax.data.target import Target, from_arrays
from leepjax.models.opening import load_source
from leepjax.transfer.finetune import fine_tune, from_scratch
from leepjax.transfer.recipe import FineTuning

sys.path.append(str(Path(__file__).parents[1] / "tests"))
import shared_sources as shared

NUM_TASKS, NUM_CLASSES, LEARNED, TESTED = 12, 5, 50, 60
RECIPE = FineTuning(epochs=20, batch_size=32, learning_rate=0.05, flip=True)
BRIEF = replace(RECIPE, epochs=1, flip=False)


def cifar100_tasks():
    """Disjoint draws of classes, as far as a hundred suffice: the task's name, its training and its test images."""
    parts = {}
    for name in ("train", "test"):
        data = shared.load_pack().load_images(f"cifar100_{name}")
        parts[name] = from_arrays(data["images"], data["labels"].astype(np.int32), data["classes"], "cifar100")
    order = np.random.default_rng(0).permutation(parts["train"].classes)
    for task in range(NUM_TASKS):
        classes = order[NUM_CLASSES * task : NUM_CLASSES * (task + 1)].tolist()
        yield ", ".join(classes), few(parts["train"], classes, LEARNED, task), few(parts["test"], classes, TESTED, task)


def few(target: Target, classes: list[str], count: int, seed: int) -> Target:
    """So many examples of each of these classes."""
    chosen = target.of_classes(classes)
    order = np.random.default_rng(seed).permutation(len(chosen))
    return chosen.subset(
        np.sort(np.concatenate([order[chosen.labels[order] == i][:count] for i in range(len(classes))]))
    )


def digits_task():
    target = digits().of_classes(["1", "2", "3", "4"])
    train, test = train_test_split(target.labels, 0.9, 0)
    yield "1, 2, 3, 4", target.subset(train), target.subset(test[:64])


def main() -> None:
    full = size() == "full" and shared.DATA.is_dir()
    recipe = RECIPE if full else BRIEF
    source = load_source("cifar10")
    for seed, (name, train_set, test_set) in enumerate(cifar100_tasks() if full else digits_task()):
        pair = replace(recipe, seed=seed)
        curves = {
            how: train(source, train_set, test_set, recipe=pair).curve
            for how, train in (("fine_tuned", fine_tune), ("from_scratch", from_scratch))
        }
        report(
            benchmark="convergence",
            source=source.name,
            target=test_set.name,
            classes=name,
            examples=len(train_set),
            test_examples=len(test_set),
            epochs=recipe.epochs,
            batch_size=recipe.batch_size,
            learning_rate=recipe.learning_rate,
            seed=seed,
            accuracy={how: [round(epoch.accuracy, 4) for epoch in curve] for how, curve in curves.items()},
            seconds={how: round(sum(epoch.seconds for epoch in curve), 1) for how, curve in curves.items()},
        )


if __name__ == "__main__":
    main()
