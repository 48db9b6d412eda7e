"""Convergence: how much faster than from scratch does a source with a high LEEP learn a task?

The small balanced tasks are fine-tuned, and learned from scratch by the same network, from the same batches. The
difference of their test accuracies is averaged, epoch by epoch, over the tasks of each level of LEEP (section 5.3 and
the supplement's figure 3; two levels for Fashion-MNIST). Where it is zero, the reference has caught up.

leepjax study convergence --scale desk
"""

from dataclasses import replace

from leepjax.studies.config import Config, Scale
from leepjax.studies.paper import small

PAPER = replace(small.PAPER, study="convergence", methods=("finetune", "scratch"))

SCALES: dict[Scale, Config] = {
    "paper": PAPER,
    "desk": replace(PAPER, sources=("cifar10",), num_tasks=30, num_trained=30, image_size=64),
    "smoke": replace(small.SCALES["smoke"], study="convergence", methods=("finetune", "scratch")),
}
