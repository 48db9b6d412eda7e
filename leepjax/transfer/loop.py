"""The training loop: steps, epochs, checkpoints and resumption."""

import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from functools import cached_property
from typing import NamedTuple

import jax
import jax.numpy as jnp
import msgspec
import numpy as np
from flax import nnx
from jax.sharding import NamedSharding, PartitionSpec

from leepjax.data.preparation import Preparation
from leepjax.data.target import Target
from leepjax.distributed.sharding import local_rows
from leepjax.interrupts import Interrupted, postponed
from leepjax.models.source import Merged
from leepjax.transfer.checkpoints import Checkpoints
from leepjax.transfer.curve import Epoch, Position
from leepjax.transfer.metrics import Metrics, metrics
from leepjax.transfer.optimizer import learning_rates
from leepjax.transfer.predict import predict
from leepjax.transfer.recipe import Recipe
from leepjax.transfer.step import StepConfig, StepMetrics, TrainingBatch, TrainState, step


class Images(NamedTuple):
    """Labelled examples in memory, and integer labels [n].

    Images are uint8 [n s s 3], in the size of the model's input; texts an array [n] of arrays.
    """

    images: np.ndarray
    labels: np.ndarray


def in_memory(target: Target, preparation: Preparation) -> Images:
    """Read and prepare all examples of a target for a model."""
    prepared = [preparation.on_host(target.read(i)) for i in range(len(target))]
    return Images(preparation.in_memory(prepared), target.labels)


class Progress(NamedTuple):
    """Progress of a training run after a step."""

    epoch: int
    step: int
    num_steps: int
    loss: float
    """Loss of the step's batch before the update."""
    accuracy: float | None
    """Accuracy on the test set after the last finished epoch; None without one."""


@dataclass(frozen=True)
class Loop:
    """A training run: everything that doesn't change between steps."""

    config: StepConfig
    evaluated: Merged
    """The network as it is evaluated."""
    recipe: Recipe
    data: Images
    held_out: Images | None
    """Examples held out for early stopping."""
    test: Images | None
    per_epoch: bool
    """Whether to evaluate on the test set after every epoch, or only after the last."""
    on_step: Callable[[Progress], None]
    on_epoch: Callable[[Epoch], None]

    @cached_property
    def batch_size(self) -> int:
        """The recipe's batch size, at most the size of the set, rounded up to a multiple of `accumulate`."""
        pieces = self.recipe.accumulate
        return pieces * -(-min(self.recipe.batch_size, len(self.data.images)) // pieces)

    @cached_property
    def steps_per_epoch(self) -> int:
        return -(-len(self.data.images) // self.batch_size)

    @cached_property
    def learning_rates(self) -> np.ndarray:
        """[steps, 2] learning rates of the body and of the head."""
        return learning_rates(self.recipe, self.steps_per_epoch)

    @property
    def num_steps(self) -> int:
        return len(self.learning_rates)

    @cached_property
    def rows(self) -> NamedSharding:
        """Sharding of a batch: each of its `accumulate` pieces over as many devices as divide it evenly."""
        return local_rows(self.batch_size // self.recipe.accumulate)

    def run(self, initial: TrainState, saved: Checkpoints | None) -> tuple[TrainState, list[Epoch]]:
        """Train, from the newest checkpoint if there is one; return the final state and the curve."""
        everywhere = NamedSharding(self.rows.mesh, PartitionSpec())
        # Copy, because steps donate the buffers of their state, and the caller's model keeps using its own.
        state, best = jax.tree.map(jnp.copy, initial), self._kept(initial)
        position = Position()
        if saved and (found := saved.restore((state, best))):
            (state, best), progress = found
            position = msgspec.convert(progress["position"], Position)
        state, best = jax.device_put((state, best), everywhere)

        with postponed(saved is not None) as request:

            def pause() -> bool:
                return saved is not None and (saved.due or request.number is not None)

            while not position.finished:
                state = self._steps(state, position, pause)
                if position.step % self.steps_per_epoch == 0:
                    best = self._end_epoch(state, best, position)
                stop = request.number
                kept = True
                if saved and (stop is not None or saved.due or position.finished):
                    kept = saved.save(position.step, (state, best), {"position": msgspec.to_builtins(position)})
                if stop is not None and not position.finished:
                    at = f"step {position.step} of {self.num_steps}"
                    there = "there" if kept else "the checkpoint before, if there is one"
                    raise Interrupted(stop, f"interrupted at {at}; the same command resumes from {there}.")
        return best or state, position.curve

    def _steps(self, state: TrainState, position: Position, pause: Callable[[], bool]) -> TrainState:
        """Take the remaining steps of the epoch or until a pause; read a step's metrics while the next step runs."""
        started = time.perf_counter()
        unread: list[tuple[int, StepMetrics]] = []
        for batch in self._rest_of_epoch(position.step):
            state, seen = step(state, batch, config=self.config)
            unread.append((batch.number, seen))
            if len(unread) > 1:
                self._read(position, *unread.pop(0))
            if pause():
                break
        for number, seen in unread:
            self._read(position, number, seen)
        position.seconds += time.perf_counter() - started
        return state

    def _rest_of_epoch(self, first: int) -> Iterator[TrainingBatch]:
        """The batches of the epoch from step `first` on; they depend only on the seed and the step."""
        epoch, place = divmod(first, self.steps_per_epoch)
        order = np.random.default_rng((self.recipe.seed, epoch)).permutation(len(self.data.images))
        order = np.resize(order, self.steps_per_epoch * self.batch_size).reshape(-1, self.batch_size)
        key = jax.random.key(self.recipe.seed)
        for number, chosen in enumerate(order[place:], first):
            inputs = self.config.preparation.batch(self.data.images[chosen])
            images, labels = jax.device_put((inputs, self.data.labels[chosen]), self.rows)
            yield TrainingBatch(images, labels, self.learning_rates[number], key, number)

    def _read(self, position: Position, number: int, seen: StepMetrics) -> None:
        loss = float(seen.loss)
        if not np.isfinite(loss):
            raise self._diverged(f"loss became {loss}", number)
        position.count(number, loss, int(seen.correct))
        accuracy = position.curve[-1].accuracy if position.curve else None
        self.on_step(Progress(number // self.steps_per_epoch, number, self.num_steps, loss, accuracy))

    def _end_epoch(self, state: TrainState, best: TrainState | None, position: Position) -> TrainState | None:
        """Record an epoch, decide whether training is finished, and return the best state for early stopping."""
        last = position.step - 1
        epochs = len(position.curve) + 1
        position.finished = position.step == self.num_steps
        if validation := self._evaluate(state, self.held_out, last):
            if validation.log_loss < position.best_loss:
                position.best_loss, position.best_epoch = validation.log_loss, epochs
                best = self._kept(state)
            position.finished |= epochs - position.best_epoch == self.recipe.patience
        test = self.test if self.per_epoch or position.finished else None
        epoch = position.close_epoch(
            steps=self.steps_per_epoch,
            batch_size=self.batch_size,
            learning_rate=float(self.learning_rates[last, 0]),
            validation_loss=validation and validation.log_loss,
            test=self._evaluate(state, test, last),
        )
        self.on_epoch(epoch)
        return best

    def _evaluate(self, state: TrainState, images: Images | None, step: int) -> Metrics | None:
        if images is None:
            return None
        network = nnx.merge_state(state.params, state.statistics)
        logits = predict(self.evaluated, network, images.images, self.config.preparation, self.config.dtype, self.rows)
        if not np.isfinite(logits).all():
            raise self._diverged("logits are infinite or NaN", step)
        return metrics(logits, images.labels)

    def _diverged(self, what: str, number: int) -> FloatingPointError:
        # At step 0, the learning rate can't be the cause.
        advice = "lower the learning rate" if number else "check the images and the source's weights"
        return FloatingPointError(
            f"train: the {what} at step {number} of {self.num_steps} with learning rate "
            f"{self.learning_rates[number].max():.3g}; {advice}."
        )

    def _kept(self, state: TrainState) -> TrainState | None:
        """Copy the state for early stopping, without the optimizer's; None without early stopping."""
        if self.held_out is None:
            return None
        return jax.tree.map(jnp.copy, state._replace(optimizer=()))
