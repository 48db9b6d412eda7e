"""What is computed for a task: FiLM layers and classes from its examples, and logits of further images."""

from dataclasses import dataclass
from functools import partial
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
import optax
from flax import nnx

from leepjax.data.preprocessing import Preprocessing
from leepjax.meta.film import Film, FilmLayer, with_films
from leepjax.meta.gaussians import TaskGaussians, fit_classes, mahalanobis_logits, nearest_mean_logits

FEWEST_ROWS = 32
"""Shortest padded length: tasks of up to this many images share a program."""


class TaskExamples(NamedTuple):
    """Labelled images, padded: weight 1 for an image, 0 for padding."""

    images: Any
    """uint8 [n h w 3]"""
    labels: Any
    """int32 [n] within the task"""
    weights: Any
    """float32 [n]"""


@dataclass(frozen=True)
class Program:
    """The static part of a meta-learner; equal ones share compiled programs."""

    extractor: Any
    """Graph of the frozen network."""
    adapter: Any
    """Graph of the adaptation network."""
    layers: tuple[FilmLayer, ...]
    preprocessing: Preprocessing
    ridge: float

    def films(self, params: Any, support: TaskExamples) -> list[Film]:
        """The FiLM layers for a task."""
        network = nnx.merge(self.adapter, params)
        return network(self.preprocessing.normalise(jnp.asarray(support.images)), support.weights)

    def features(self, frozen: Any, films: list[Film] | None, images: jax.Array) -> jax.Array:
        """[n d] features of uint8 images [n h w 3]; the source's own without FiLM layers."""
        state = frozen if films is None else with_films(frozen, self.layers, films)
        return nnx.merge(self.extractor, state)(self.preprocessing.normalise(jnp.asarray(images))).features

    def classes(self, features: jax.Array, support: TaskExamples, num_classes: int) -> TaskGaussians:
        """The Gaussians of a task's classes."""
        return fit_classes(features, support.labels, support.weights, num_classes, self.ridge)


class AdaptedState(NamedTuple):
    """A meta-learner adapted to a task."""

    films: list[Film]
    classes: TaskGaussians


@partial(jax.jit, static_argnames=("program", "num_classes"))
def adapt(program: Program, frozen: Any, params: Any, support: TaskExamples, *, num_classes: int) -> AdaptedState:
    """Adapt to a task; compiled once per padded length and number of classes.

    Args:
        program: the static part.
        frozen: weights of the source.
        params: weights of the adaptation network.
        support: the task's examples.
        num_classes: c, at least the task's.
    """
    films = program.films(params, support)
    return AdaptedState(films, program.classes(program.features(frozen, films, support.images), support, num_classes))


@partial(jax.jit, static_argnames="program")
def classify(program: Program, frozen: Any, adapted: AdaptedState, images: jax.Array) -> jax.Array:
    """[n c] logits of uint8 images [n h w 3]; −∞ for classes without an example."""
    return mahalanobis_logits(program.features(frozen, adapted.films, images), adapted.classes)


@partial(jax.jit, static_argnames="program")
def own_features(program: Program, frozen: Any, images: jax.Array) -> jax.Array:
    """[n d] the source's own features of uint8 images [n h w 3]."""
    return program.features(frozen, None, images)


@partial(jax.jit, static_argnames="num_classes")
def classify_features(
    support: TaskExamples, queries: jax.Array, ridge: float, *, num_classes: int
) -> dict[str, jax.Array]:
    """Logits [n c] of features [n d], by the classifier ``unadapted`` and by ``nearest_mean``.

    Args:
        support: the task's examples, with features [s d] in place of images.
        queries: [n d].
        ridge: β.
        num_classes: c, at least the task's.
    """
    classes = fit_classes(*support, num_classes, ridge)
    return {"unadapted": mahalanobis_logits(queries, classes), "nearest_mean": nearest_mean_logits(queries, classes)}


class Measured(NamedTuple):
    """Mean cross-entropy in nats, and accuracy, of the predictions of an episode."""

    loss: jax.Array
    accuracy: jax.Array


@partial(jax.jit, static_argnames=("program", "num_classes"))
def add_gradient(
    program: Program,
    frozen: Any,
    params: Any,
    total: Any,
    support: TaskExamples,
    query: TaskExamples,
    *,
    num_classes: int,
) -> tuple[Any, Measured]:
    """Add the gradient of an episode's loss to `total`; compiled once per padded lengths."""

    def loss(params: Any) -> tuple[jax.Array, Measured]:
        films = program.films(params, support)
        # Support and queries pass through the network together.
        images = jnp.concatenate([support.images, query.images])
        features, queries = jnp.split(program.features(frozen, films, images), [len(support.images)])
        logits = mahalanobis_logits(queries, program.classes(features, support, num_classes))
        losses = optax.softmax_cross_entropy_with_integer_labels(logits, query.labels)
        right = logits.argmax(axis=1) == query.labels
        mean, accuracy = (jnp.average(each, weights=query.weights) for each in (losses, right))
        return mean, Measured(mean, accuracy)

    gradient, measured = jax.grad(loss, has_aux=True)(params)
    return jax.tree.map(jnp.add, total, gradient), measured


def padded_length(length: int) -> int:
    """The next number 2ᵏ or 3 · 2ᵏ, so that few programs serve all tasks."""
    power = max(FEWEST_ROWS, 1 << (length - 1).bit_length())
    return power * 3 // 4 if power > FEWEST_ROWS and length <= power * 3 // 4 else power


def padded(images: np.ndarray, labels: np.ndarray, length: int | None = None) -> TaskExamples:
    """Pad labelled images, or features, with examples of weight 0."""
    pad = (length or padded_length(len(images))) - len(images)
    return TaskExamples(
        np.pad(images, ((0, pad), *[(0, 0)] * (images.ndim - 1))),
        np.pad(np.asarray(labels, np.int32), (0, pad)),
        np.pad(np.ones(len(images), np.float32), (0, pad)),
    )
