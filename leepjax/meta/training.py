"""Meta-training: episodes, steps, validations, checkpoints and resumption."""

import math
import time
from collections.abc import Callable, Sequence
from contextlib import closing
from dataclasses import dataclass
from functools import cached_property, partial
from pathlib import Path
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import msgspec
import numpy as np
import optax
from threadpoolctl import threadpool_limits

from leepjax.interrupts import Interrupted, postponed
from leepjax.meta.episodes import Episode, draw_episode, members_of
from leepjax.meta.learner import MetaLearner, accuracies
from leepjax.meta.program import add_gradient, padded
from leepjax.meta.recipe import MetaTraining
from leepjax.transfer.checkpoints import Checkpoints
from leepjax.transfer.loop import Images

_TRAINING, _VALIDATION = 0, 1
"""Parts of the seeds of episodes, so that training and validation draw different ones."""


_ADAM = optax.scale_by_adam()


class Validation(msgspec.Struct, frozen=True, kw_only=True):
    """The measurements of a validation, after a number of training episodes."""

    episodes: int
    """Training episodes so far; 0 for the unadapted source."""
    loss: float | None
    """Mean cross-entropy in nats of the queries of the training episodes since the last validation, if any."""
    train_accuracy: float | None
    """Accuracy of the same predictions."""
    validation_accuracy: float
    """Mean accuracy on the validation episodes."""
    seconds: float
    """Duration of the training episodes since the last validation."""


class EpisodePosition(msgspec.Struct, kw_only=True):
    """The position within a run: the content of a checkpoint besides the arrays."""

    episode: int = 0
    """Training episodes so far."""
    curve: list[Validation] = []
    loss: float = 0.0
    """Sum over the episodes since the last validation; also the next two."""
    accuracy: float = 0.0
    seconds: float = 0.0
    best: float = -1.0
    """The highest validation accuracy so far."""


class EpisodeProgress(NamedTuple):
    """Progress of meta-training after a step."""

    episode: int
    num_episodes: int
    loss: float
    """Mean loss of the step's episodes before the update."""
    validation_accuracy: float
    """At the last validation."""


class MetaState(NamedTuple):
    """Weights of the adaptation network, the optimizer's state, and the weights of the best validation."""

    params: Any
    optimizer: Any
    best: Any


@dataclass(frozen=True)
class MetaLoop:
    """A run of meta-training: everything that doesn't change between steps."""

    learner: MetaLearner
    recipe: MetaTraining
    data: Images
    """Examples of the training classes."""
    held_out: Images
    """Examples of the validation classes."""
    on_step: Callable[[EpisodeProgress], None]

    @cached_property
    def members(self) -> list[np.ndarray]:
        return members_of(self.data.labels)

    @cached_property
    def validations(self) -> list[Episode]:
        return self._episodes(members_of(self.held_out.labels), _VALIDATION, range(self.recipe.validation_episodes))

    def _learning_rate(self, episode: int) -> float:
        return 0.5 * self.recipe.learning_rate * (1 + math.cos(math.pi * episode / self.recipe.episodes))

    def _episodes(self, members: Sequence[np.ndarray], kind: int, numbers: range) -> list[Episode]:
        """Episodes by their numbers: each depends on nothing but the seed and its own number."""
        draw = partial(draw_episode, members, self.recipe)
        return [draw(np.random.default_rng((self.recipe.seed, kind, number))) for number in numbers]

    def run(self, saved: Checkpoints | None) -> tuple[MetaLearner, list[Validation]]:
        """Train, from the newest checkpoint if there is one; return the best learner and the curve."""
        params = self.learner.params
        state = MetaState(params, _ADAM.init(params), jax.tree.map(jnp.copy, params))
        position = EpisodePosition()
        if saved and (found := saved.restore(state)):
            state, progress = found
            position = msgspec.convert(progress["position"], EpisodePosition)
        state = jax.tree.map(jnp.asarray, state)
        with postponed(saved is not None) as request, threadpool_limits(1, "blas"):
            if not position.curve:  # validate the unadapted source, so that the best is never worse
                state = self._validate(state, position)
            while position.episode < self.recipe.episodes:
                state = self._step(state, position)
                if position.episode % self.recipe.validate_every == 0 or position.episode == self.recipe.episodes:
                    state = self._validate(state, position)
                done = position.episode == self.recipe.episodes
                if saved and (request.number is not None or saved.due or done):
                    saved.save(position.episode, state, {"position": msgspec.to_builtins(position)})
                if request.number is not None and not done:
                    raise Interrupted(
                        request.number,
                        f"interrupted after {position.episode} of {self.recipe.episodes} episodes; the same command "
                        "resumes from there.",
                    )
        return self.learner.with_params(state.best), position.curve

    def _step(self, state: MetaState, position: EpisodePosition) -> MetaState:
        started, recipe, learner = time.perf_counter(), self.recipe, self.learner
        numbers = range(position.episode, position.episode + recipe.episodes_per_step)
        total = jax.tree.map(jnp.zeros_like, state.params)
        measured = []
        for episode in self._episodes(self.members, _TRAINING, numbers):
            support = padded(self.data.images[episode.support], episode.support_labels)
            query = padded(self.data.images[episode.query], episode.query_labels)
            arguments = learner.program, learner.frozen, state.params, total, support, query
            total, seen = add_gradient(*arguments, num_classes=recipe.max_ways)
            measured.append(seen)
        params, optimizer = _update(
            state.params, state.optimizer, total, len(measured), self._learning_rate(numbers[0])
        )
        losses, rights = (np.array([float(value) for value in values]) for values in zip(*measured, strict=True))
        if not np.isfinite(losses).all():
            raise FloatingPointError(
                f"metatrain: the loss became {losses[~np.isfinite(losses)][0]} at episode {position.episode} of "
                f"{recipe.episodes}; lower the learning rate."
            )
        position.episode += len(measured)
        position.loss, position.accuracy = position.loss + float(losses.sum()), position.accuracy + float(rights.sum())
        position.seconds += time.perf_counter() - started
        known = position.curve[-1].validation_accuracy
        self.on_step(EpisodeProgress(position.episode, recipe.episodes, float(losses.mean()), known))
        return state._replace(params=params, optimizer=optimizer)

    def _validate(self, state: MetaState, position: EpisodePosition) -> MetaState:
        learner = self.learner.with_params(state.params)
        accuracy = float(accuracies(learner, self.held_out.images, self.validations)["adapted"].mean())
        count = position.episode - (position.curve[-1].episodes if position.curve else 0)
        position.curve.append(
            Validation(
                episodes=position.episode,
                loss=position.loss / count if count else None,
                train_accuracy=position.accuracy / count if count else None,
                validation_accuracy=accuracy,
                seconds=round(position.seconds, 2),
            )
        )
        position.loss = position.accuracy = position.seconds = 0.0
        if accuracy >= position.best:
            position.best = accuracy
            return state._replace(best=jax.tree.map(jnp.copy, state.params))
        return state


def meta_train(
    learner: MetaLearner,
    data: Images,
    held_out: Images,
    recipe: MetaTraining,
    *,
    checkpoints: Path | None = None,
    identity: str = "",
    on_step: Callable[[EpisodeProgress], None] = lambda progress: None,
) -> tuple[MetaLearner, list[Validation]]:
    """Meta-train the adaptation network of a learner; return the learner of the best validation, and the curve.

    Args:
        learner: what training starts from.
        data: examples of the training classes, in the size of the source's input.
        held_out: examples of the validation classes.
        recipe: how to train.
        checkpoints: a folder for the state, written every 30 seconds and at Ctrl-C or SIGTERM. The same call with the
            same folder resumes from it, and ends with the same weights as an uninterrupted run.
        identity: digest of everything that the run depends on, for the checkpoints.
        on_step: called after every step.

    Raises:
        InputError: for a folder that holds anything but checkpoints of this run.
        FloatingPointError: when the loss is no longer finite.
    """
    loop = MetaLoop(learner, recipe, data, held_out, on_step)
    if checkpoints is None:
        return loop.run(None)
    with closing(Checkpoints(checkpoints, identity)) as saved:
        return loop.run(saved)


@jax.jit
def _update(params: Any, optimizer: Any, total: Any, count: int, learning_rate: float) -> tuple[Any, Any]:
    """Take a step along the mean of `count` gradients with the sum `total`."""
    directions, optimizer = _ADAM.update(jax.tree.map(lambda leaf: leaf / count, total), optimizer, params)
    return jax.tree.map(lambda leaf, direction: leaf - learning_rate * direction, params, directions), optimizer
