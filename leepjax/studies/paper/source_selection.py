"""Source selection: which of nine pretrained networks is best for a target, and which measures would have found it?

Nine networks trained on ImageNet are candidates for CIFAR-100; their test accuracy with a re-trained head and after
fine-tuning is compared with LEEP, NCE, H-score and their accuracy on ImageNet (section 5.5 and the supplement's
figure 4). How many training images the paper used isn't known: we use twenty of each of the hundred classes, and ten
at the scale ``desk``.

leepjax study source-selection --scale desk
"""

from dataclasses import replace

from leepjax.studies.config import CIFAR100, DIGITS, SHORT_RECIPE, Config, Scale
from leepjax.studies.tasks import Each, Profile

PAPER = Config(
    study="source-selection",
    sources=("paper9",),
    targets=(CIFAR100,),
    profiles=(Profile(num_classes=(100, 100), sizes=Each(20)),),
    num_tasks=1,
)

SCALES: dict[Scale, Config] = {
    "paper": PAPER,
    "desk": replace(
        PAPER,
        profiles=(Profile(num_classes=(100, 100), sizes=Each(10)),),
        tests_per_class=10,
        recipe=replace(SHORT_RECIPE, epochs=3),
        image_size=64,
    ),
    "smoke": replace(
        PAPER,
        sources=("shipped",),
        targets=(DIGITS,),
        profiles=(Profile(num_classes=(10, 10), sizes=Each(10)),),
        tests_per_class=10,
        methods=("head",),
    ),
}
