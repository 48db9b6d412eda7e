"""Small targets: does LEEP still predict the accuracy when a task has a few dozen images of each class?

Tasks have five classes (four for Fashion-MNIST) with fifty training images each; these numbers are ours. Their test
accuracy is averaged in each of five levels of LEEP (section 5.2 and the supplement's figure 1).

leepjax study small-balanced --scale desk
"""

from dataclasses import replace

from leepjax.studies.config import CIFAR100, DIGITS, FASHION_MNIST, Config, Scale
from leepjax.studies.tasks import Each, Profile
from leepjax.transfer.recipe import FineTuning

PAPER = Config(
    study="small-balanced",
    sources=("resnet18", "cifar10"),
    targets=(CIFAR100, FASHION_MNIST),
    profiles=(Profile(num_classes=(5, 5), sizes=Each(50)),),
    tests_per_class=100,
)

SCALES: dict[Scale, Config] = {
    "paper": PAPER,
    "desk": replace(PAPER, num_trained=30, image_size=64),
    "smoke": replace(
        PAPER,
        sources=("fashion-mnist", "random"),
        targets=(DIGITS,),
        profiles=(Profile(num_classes=(4, 4), sizes=Each(10)),),
        num_tasks=8,
        num_trained=1,
        tests_per_class=10,
        recipe=FineTuning(epochs=1, batch_size=16),
    ),
}
