"""The second half of `transfer.py`: images a second of fine-tuning, and of a plain PyTorch loop of the same network.

With PyTorch, both begin from the same weights and must have the same losses over some steps before anything is timed.
"""

import json
import os
import subprocess
import tempfile
import time
from functools import partial
from pathlib import Path

import jax
import jax.numpy as jnp
import numpy as np
from flax import nnx
from measuring import all_quartiles, quartiles, report, timings

from leepjax.data.preprocessing import Preprocessing
from leepjax.models.architectures import build
from leepjax.transfer.loop import Images
from leepjax.transfer.optimizer import learning_rates
from leepjax.transfer.recipe import Recipe
from leepjax.transfer.step import StepConfig, TrainingBatch, TrainState, initial_state, step
from leepjax.transfer.train import train

PREPROCESSING = Preprocessing(image_size=32, mean=(0.5,) * 3, std=(0.25,) * 3)
NUM_CLASSES = 10
CHECKED_STEPS = 5
SIZES = {"small": ([16], 2, 2), "full": ([32, 64, 128], 12, 9)}
"""Batch sizes, steps that are timed at once, and how often."""


def problem(batch_size: int) -> Images:
    rng = np.random.default_rng(0)
    n = CHECKED_STEPS * batch_size
    return Images(rng.integers(0, 256, (n, 32, 32, 3), np.uint8), rng.integers(0, NUM_CLASSES, n).astype(np.int32))


class PyTorch:
    """The other loop, in a process of its own; it learns when it is asked to."""

    def __init__(self, data: Images, batches: np.ndarray, recipe: Recipe, rates: np.ndarray, folder: str):
        state = nnx.to_flat_state(nnx.state(build("resnet20", NUM_CLASSES), (nnx.Param, nnx.BatchStat)))
        weights = {f"weights.{'.'.join(map(str, path))}": np.asarray(leaf[...]) for path, leaf in state}
        path = Path(folder) / "problem.npz"
        np.savez(
            path,
            **data._asdict(),
            **weights,
            batches=batches,
            rates=rates,
            num_classes=NUM_CLASSES,
            weight_decay=recipe.weight_decay,
            momentum=recipe.momentum,
        )
        command = [os.environ["TORCH_PYTHON"], str(Path(__file__).parent / "torch_resnet20.py"), str(path)]
        self.process = subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
        self.losses = json.loads(self._answer())

    def learn(self, steps: int) -> None:
        assert self.process.stdin
        self.process.stdin.write(f"{steps}\n")
        self.process.stdin.flush()
        self._answer()

    def close(self) -> None:
        self.process.communicate()

    def _answer(self) -> str:
        assert self.process.stdout
        if line := self.process.stdout.readline():
            return line
        raise ChildProcessError("PyTorch's process ended; see its message above.")


def plain_losses(data: Images, recipe: Recipe) -> list[float]:
    """Of our own training without augmentation."""
    losses = []
    model = build("resnet20", NUM_CLASSES)
    train(model, data, PREPROCESSING, recipe, on_step=lambda at: losses.append(at.loss))
    return losses


def measure(batch_size: int, steps: int, repeats: int) -> None:
    data = problem(batch_size)
    recipe = Recipe(epochs=1, batch_size=batch_size, crop=False, flip=False)
    order = np.random.default_rng((recipe.seed, 0)).permutation(len(data.images)).reshape(CHECKED_STEPS, batch_size)
    rates = learning_rates(recipe, CHECKED_STEPS)[:, 0]
    rival, difference = None, None
    with tempfile.TemporaryDirectory() as folder:
        if os.environ.get("TORCH_PYTHON"):
            rival = PyTorch(data, order, recipe, rates, folder)
    if rival:
        ours = plain_losses(data, recipe)
        difference = float(np.abs(np.subtract(ours, rival.losses)).max())
        assert difference < 1e-2 * max(ours), (ours, rival.losses)
    learn = our_steps(data, batch_size)
    functions = {"leepjax": learn} | ({"pytorch": rival.learn} if rival else {})
    rate = {name: np.empty(repeats) for name in functions}
    for function in functions.values():
        function(2)
    for repeat in range(repeats):
        for name, function in functions.items():
            started = time.perf_counter()
            function(steps)
            rate[name][repeat] = steps * batch_size / (time.perf_counter() - started)
    report(
        benchmark="transfer_images",
        architecture="resnet20",
        batch_size=batch_size,
        images_a_second={name: quartiles(values) for name, values in rate.items()},
        over_pytorch=quartiles(rate["leepjax"] / rate["pytorch"]) if rival else None,
        largest_difference_of_losses=difference,
        steps=steps,
    )
    if rival:
        rival.close()


def our_steps(data: Images, batch_size: int):
    """A function that takes augmented steps, as `train` takes them."""
    state, config = begun(batch_size)
    batches = [batch_of(data, batch_size, number) for number in range(CHECKED_STEPS)]

    def learn(steps: int) -> None:
        nonlocal state
        for number in range(steps):
            state, seen = step(state, batches[number % CHECKED_STEPS], config=config)
        seen.loss.block_until_ready()

    return learn


def begun(batch_size: int) -> tuple[TrainState, StepConfig]:
    model = build("resnet20", NUM_CLASSES)
    model.train()
    graphdef, params, statistics = nnx.split(model, nnx.Param, ...)
    config = StepConfig(graphdef, model.HEAD, Recipe(epochs=0, batch_size=batch_size), PREPROCESSING, "float32")
    return initial_state(config, params, statistics), config


def batch_of(data: Images, batch_size: int, number: int) -> TrainingBatch:
    chosen = np.arange(batch_size) + number % CHECKED_STEPS * batch_size
    return TrainingBatch(data.images[chosen], data.labels[chosen], np.float32([0.01, 0.01]), jax.random.key(0), number)


def side_by_side(tasks: int, batch_size: int, repeats: int) -> None:
    """A step of several tasks at once by `vmap`, and one task after the other."""
    data = problem(batch_size)
    state, config = begun(batch_size)
    batch = batch_of(data, batch_size, 0)
    stacked_batch = TrainingBatch(*(jnp.stack([jnp.asarray(leaf)] * tasks) for leaf in batch))
    together = jax.jit(jax.vmap(partial(step, config=config)))
    states = [jax.tree.map(jnp.copy, state) for _ in range(tasks)]
    stacked = jax.tree.map(lambda leaf: jnp.stack([leaf] * tasks), state)
    _, alone = step(jax.tree.map(jnp.copy, state), batch, config=config)
    np.testing.assert_allclose(together(stacked, stacked_batch)[1].loss, [float(alone.loss)] * tasks, rtol=1e-4)

    def in_turn():
        nonlocal states
        states = [step(each, batch, config=config)[0] for each in states]
        return states

    seconds = timings({"in_turn": in_turn, "vmapped": lambda: together(stacked, stacked_batch)}, repeats)
    report(
        benchmark="transfer_side_by_side",
        architecture="resnet20",
        tasks=tasks,
        batch_size=batch_size,
        vmapped_over_in_turn=quartiles(seconds["vmapped"] / seconds["in_turn"]),
        seconds=all_quartiles(seconds),
    )


def images_a_second(chosen: str) -> None:
    """Report each batch size of that size of the benchmark, and what several tasks at once cost."""
    batch_sizes, steps, repeats = SIZES[chosen]
    for batch_size in batch_sizes:
        measure(batch_size, steps, repeats)
    side_by_side(2 if chosen == "small" else 8, batch_sizes[0], repeats)
