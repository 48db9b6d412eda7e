"""The training curve, one flat record per epoch, and the position within a run."""

from collections.abc import Iterable
from pathlib import Path

import msgspec

from leepjax.storage.files import write_atomically
from leepjax.transfer.metrics import Metrics


class Epoch(msgspec.Struct, frozen=True, kw_only=True):
    """Loss, speed and test metrics of one epoch."""

    epoch: int
    """Epochs done, from 1."""
    step: int
    """Steps done since the beginning of the run."""
    learning_rate: float
    """Learning rate of the body at the last step of the epoch."""
    loss: float
    """Mean cross-entropy in nats over the epoch's augmented batches, each before its update."""
    train_accuracy: float
    """Accuracy of the same predictions."""
    validation_loss: float | None = None
    """Log-loss on the part held out for early stopping, if there is one."""
    accuracy: float | None = None
    """Accuracy on the test set, if there is one; also the next four (`leepjax.transfer.metrics`)."""
    balanced_accuracy: float | None = None
    macro_f1: float | None = None
    log_loss: float | None = None
    ece: float | None = None
    seconds: float
    """Duration of the epoch's steps; in the first epoch with compilation, always without evaluation."""
    steps_per_second: float
    images_per_second: float


class Position(msgspec.Struct, kw_only=True):
    """The position within a training run: the content of a checkpoint besides the arrays."""

    step: int = 0
    """Steps done."""
    curve: list[Epoch] = []
    losses: float = 0.0
    """Sum over the steps of the current epoch; also the next two."""
    correct: int = 0
    seconds: float = 0.0
    best_loss: float = float("inf")
    """`best_loss` and `best_epoch`: the lowest validation loss, and the epochs done when it was reached."""
    best_epoch: int = 0
    finished: bool = False

    def count(self, step: int, loss: float, correct: int) -> None:
        """Count a step."""
        self.step, self.losses, self.correct = step + 1, self.losses + loss, self.correct + correct

    def close_epoch(
        self,
        *,
        steps: int,
        batch_size: int,
        learning_rate: float,
        validation_loss: float | None,
        test: Metrics | None,
    ) -> Epoch:
        """Turn the sums of an epoch into its record, and reset them."""
        epoch = Epoch(
            epoch=len(self.curve) + 1,
            step=self.step,
            learning_rate=learning_rate,
            loss=self.losses / steps,
            train_accuracy=self.correct / (steps * batch_size),
            validation_loss=validation_loss,
            seconds=round(self.seconds, 4),
            steps_per_second=round(steps / self.seconds, 3),
            images_per_second=round(steps * batch_size / self.seconds, 2),
            **({} if test is None else test._asdict()),
        )
        self.curve.append(epoch)
        self.losses, self.correct, self.seconds = 0.0, 0, 0.0
        return epoch


def write_curve(path: Path, curve: Iterable[Epoch]) -> None:
    """Write a curve as JSON lines, atomically."""
    write_atomically(path, b"".join(msgspec.json.encode(epoch) + b"\n" for epoch in curve))
