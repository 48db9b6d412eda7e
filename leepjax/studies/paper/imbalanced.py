"""Small imbalanced targets: classes of unequal size, judged by macro F1.

Tasks are like the small balanced ones, but each class has between 30 and 60 training images (supplement, figure 2). In
a second kind of task, which is ours and more imbalanced, class sizes fall exponentially from 60 to 6.

leepjax study small-imbalanced --scale desk
"""

from dataclasses import replace

from leepjax.studies.config import Config, Scale
from leepjax.studies.paper import small
from leepjax.studies.tasks import Between, LongTail, Profile

PAPER = replace(
    small.PAPER,
    study="small-imbalanced",
    profiles=(
        Profile("30-to-60", num_classes=(5, 5), sizes=Between(30, 60)),
        Profile("long-tail", num_classes=(5, 5), sizes=LongTail(6, 60), trained=False),
    ),
)

SCALES: dict[Scale, Config] = {
    "paper": PAPER,
    "desk": replace(PAPER, num_trained=15, image_size=64),
    "smoke": replace(
        small.SCALES["smoke"],
        study="small-imbalanced",
        profiles=(
            Profile("10-to-20", num_classes=(4, 4), sizes=Between(10, 20)),
            Profile("long-tail", num_classes=(4, 4), sizes=LongTail(3, 30), trained=False),
        ),
    ),
}
