"""How many images per second does fine-tuning process, compared with a plain PyTorch loop of the same network?

TORCH_PYTHON=… python benchmarks --size full fine_tuning

`$TORCH_PYTHON` names an interpreter with PyTorch and timm; without one, PyTorch isn't timed. Both begin from the same
weights and must have the same losses over some steps before anything is timed. On a busy machine, put `taskset -c 0`
in front, which gives both one core, and compare processor times rather than images per second: PyTorch's threads spin
while they wait for each other.
"""

import json
import os
import subprocess
import tempfile
import time
from functools import partial
from pathlib import Path
from typing import NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from flax import nnx
from measuring import all_quartiles, quartiles, report, size, timings

from leepjax.data.preprocessing import Preprocessing
from leepjax.models.architectures import build
from leepjax.models.network import head_paths
from leepjax.transfer.loop import Images
from leepjax.transfer.optimizer import learning_rates
from leepjax.transfer.recipe import Recipe
from leepjax.transfer.step import StepConfig, TrainingBatch, TrainState, initial_state, step
from leepjax.transfer.train import train

NUM_CLASSES = 10
CHECKED_STEPS = 5


class Case(NamedTuple):
    """What is trained, and how many steps are timed at once."""

    architecture: str
    pixels: int
    batch_size: int
    steps: int

    @property
    def preprocessing(self) -> Preprocessing:
        return Preprocessing(image_size=self.pixels, mean=(0.5,) * 3, std=(0.25,) * 3)


SMALL = [Case("resnet20", 32, 16, 2)]
FULL = [*(Case("resnet20", 32, batch_size, 4) for batch_size in (32, 64, 128)), Case("resnet18", 64, 32, 3)]
REPEATS = {"small": 2, "full": 9}


def problem(case: Case) -> Images:
    rng = np.random.default_rng(0)
    n = CHECKED_STEPS * case.batch_size
    images = rng.integers(0, 256, (n, case.pixels, case.pixels, 3), np.uint8)
    return Images(images, rng.integers(0, NUM_CLASSES, n).astype(np.int32))


class PyTorch:
    """PyTorch's loop, in a process of its own, which takes steps on request."""

    def __init__(self, case: Case, data: Images, batches: np.ndarray, recipe: Recipe, rates: np.ndarray, folder: str):
        state = nnx.to_flat_state(nnx.state(build(case.architecture, NUM_CLASSES), (nnx.Param, nnx.BatchStat)))
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
        program = str(Path(__file__).parent / "torch_training.py")
        command = [os.environ["TORCH_PYTHON"], program, case.architecture, str(path)]
        self.process = subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
        self.losses = json.loads(self._answer())

    def learn(self, steps: int) -> float:
        """Take this many steps, and return the seconds of processor time that they took."""
        assert self.process.stdin
        self.process.stdin.write(f"{steps}\n")
        self.process.stdin.flush()
        return float(self._answer())

    def close(self) -> None:
        self.process.communicate()

    def _answer(self) -> str:
        assert self.process.stdout
        if line := self.process.stdout.readline():
            return line
        raise ChildProcessError("PyTorch's process ended; see its message above.")


def plain_losses(case: Case, data: Images, recipe: Recipe) -> list[float]:
    """The losses of our own training without augmentation."""
    losses = []
    model = build(case.architecture, NUM_CLASSES)
    train(model, data, case.preprocessing, recipe, on_step=lambda at: losses.append(at.loss))
    return losses


def measure(case: Case, repeats: int) -> None:
    data, batch_size, steps = problem(case), case.batch_size, case.steps
    recipe = Recipe(epochs=1, batch_size=batch_size, crop=False, flip=False)
    order = np.random.default_rng((recipe.seed, 0)).permutation(len(data.images)).reshape(CHECKED_STEPS, batch_size)
    rates = learning_rates(recipe, CHECKED_STEPS)[:, 0]
    rival, difference = None, None
    with tempfile.TemporaryDirectory() as folder:
        if os.environ.get("TORCH_PYTHON"):
            rival = PyTorch(case, data, order, recipe, rates, folder)
    if rival:
        ours = plain_losses(case, data, recipe)
        difference = float(np.abs(np.subtract(ours, rival.losses)).max())
        assert difference < 1e-2 * max(ours), (ours, rival.losses)
    learn = our_steps(case, data)
    functions = {"leepjax": learn} | ({"pytorch": rival.learn} if rival else {})
    rate, busy = ({name: np.empty(repeats) for name in functions} for _ in range(2))
    for function in functions.values():
        function(2)
    for repeat in range(repeats):
        for name, function in functions.items():
            started = time.perf_counter()
            busy[name][repeat] = function(steps) / steps
            rate[name][repeat] = steps * batch_size / (time.perf_counter() - started)
    report(
        benchmark="transfer_images",
        architecture=case.architecture,
        pixels=case.pixels,
        batch_size=batch_size,
        images_a_second={name: quartiles(values) for name, values in rate.items()},
        over_pytorch=quartiles(rate["leepjax"] / rate["pytorch"]) if rival else None,
        processor_seconds_a_step=all_quartiles(busy),
        processor_time_of_pytorch_over_ours=quartiles(busy["pytorch"] / busy["leepjax"]) if rival else None,
        largest_difference_of_losses=difference,
        steps=steps,
    )
    if rival:
        rival.close()


def our_steps(case: Case, data: Images):
    """A function that takes augmented steps, as `train` takes them; it returns their seconds of processor time."""
    state, config = begun(case)
    batches = [batch_of(data, case.batch_size, number) for number in range(CHECKED_STEPS)]

    def learn(steps: int) -> float:
        nonlocal state
        started = time.process_time()
        for number in range(steps):
            state, seen = step(state, batches[number % CHECKED_STEPS], config=config)
        seen.loss.block_until_ready()
        return time.process_time() - started

    return learn


def begun(case: Case) -> tuple[TrainState, StepConfig]:
    model = build(case.architecture, NUM_CLASSES)
    model.train()
    graphdef, params, statistics = nnx.split(model, nnx.Param, ...)
    recipe = Recipe(epochs=0, batch_size=case.batch_size)
    config = StepConfig(graphdef, head_paths(model), recipe, case.preprocessing, "float32")
    return initial_state(config, params, statistics), config


def batch_of(data: Images, batch_size: int, number: int) -> TrainingBatch:
    chosen = np.arange(batch_size) + number % CHECKED_STEPS * batch_size
    return TrainingBatch(data.images[chosen], data.labels[chosen], np.float32([0.01, 0.01]), jax.random.key(0), number)


def side_by_side(tasks: int, case: Case, repeats: int) -> None:
    """Time a step of several tasks at once by `vmap`, and of one task after the other."""
    state, config = begun(case)
    batch = batch_of(problem(case), case.batch_size, 0)
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
        architecture=case.architecture,
        tasks=tasks,
        batch_size=case.batch_size,
        vmapped_over_in_turn=quartiles(seconds["vmapped"] / seconds["in_turn"]),
        seconds=all_quartiles(seconds),
    )


def main() -> None:
    chosen = size()
    cases = FULL if chosen == "full" else SMALL
    for case in cases:
        measure(case, REPEATS[chosen])
    side_by_side(2 if chosen == "small" else 8, cases[0], REPEATS[chosen])


if __name__ == "__main__":
    main()
