"""Large targets: does LEEP predict the accuracy of transfer to many images of few or many classes?

For each source, 200 target tasks are random subsets of 2 to 100 of CIFAR-100's classes with all their training images.
The source's head is re-trained on its frozen features, and separately the whole network is fine-tuned. The accuracies
on the test images of the same classes are compared with LEEP (section 5.1 and figure 1 of the paper).

The number of classes alone predicts much of the accuracy of such tasks. So there is a second kind of task, which is
ours: all of its tasks have twenty classes.

leepjax study large --scale desk
"""

from dataclasses import replace

from leepjax.studies.config import CIFAR100, DIGITS, Config, Scale
from leepjax.studies.tasks import All, Each, Profile
from leepjax.transfer.recipe import FineTuning

PAPER = Config(
    study="large",
    sources=("resnet18", "cifar10"),
    targets=(CIFAR100,),
    profiles=(
        Profile(num_classes=(2, 100), sizes=All()),
        Profile("twenty-classes", num_classes=(20, 20), sizes=All(), trained=False),
    ),
    l2=1e-3,
    recipe=FineTuning(epochs=10, batch_size=128, flip=True),
)

SCALES: dict[Scale, Config] = {
    "paper": PAPER,
    # Heads are re-trained as in the paper, but with 100 images of each class; some tasks are fine-tuned briefly.
    "desk": replace(
        PAPER,
        profiles=(
            Profile(num_classes=(2, 100), sizes=Each(100)),
            Profile("twenty-classes", num_classes=(20, 20), sizes=Each(100), trained=False),
        ),
        num_trained=16,
        recipe=FineTuning(epochs=2, batch_size=64, flip=True),
        image_size=64,
    ),
    "smoke": replace(
        PAPER,
        sources=("fashion-mnist", "random"),
        targets=(DIGITS,),
        profiles=(Profile(num_classes=(2, 10), sizes=Each(20)),),
        num_tasks=8,
        methods=("head",),
    ),
}
