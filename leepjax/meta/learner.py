"""Meta-learners: a frozen source with an adaptation network."""

from collections.abc import Callable, Iterable
from dataclasses import dataclass, replace
from functools import cached_property
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from flax import nnx
from threadpoolctl import threadpool_limits

from leepjax.meta.adaptation import AdaptationNetwork
from leepjax.meta.episodes import Episode
from leepjax.meta.film import film_layers
from leepjax.meta.gaussians import RIDGE
from leepjax.meta.program import AdaptedState, Program, adapt, classify, classify_features, own_features, padded
from leepjax.models.source import Source
from leepjax.storage.files import digest
from leepjax.types import InputError

BATCH = 256
"""Most images that are classified at once."""


@dataclass(frozen=True, eq=False)
class MetaLearner:
    """Simple CNAPs on a frozen source: adapts to a task by one pass over its labelled images, without training.

    >>> learner = new_learner(load_source("cifar10"))  # doctest: +SKIP
    >>> learner.adapt(images, labels).logits(further_images).argmax(axis=1)  # doctest: +SKIP
    """

    source: Source
    program: Program
    frozen: Any
    """Weights of the source."""
    params: Any
    """Weights of the adaptation network."""

    @cached_property
    def identity(self) -> str:
        """Digest of everything that its predictions depend on besides the source."""
        arrays = [np.ascontiguousarray(leaf) for leaf in jax.tree.leaves(self.params)]
        return digest(repr((self.program.preprocessing, self.program.ridge)).encode(), *arrays)

    def adapt(self, images: np.ndarray, labels: np.ndarray) -> "AdaptedLearner":
        """Adapt to a task: uint8 images [n s s 3] in the size of the source's input, and labels [n] in [0, c).

        Args:
            images: the task's examples.
            labels: their classes.

        Raises:
            InputError: without an image, or for labels that aren't one class number per image.
        """
        labels = np.asarray(labels)
        if not len(images) or labels.shape != (len(images),) or labels.dtype.kind not in "iu" or labels.min() < 0:
            raise InputError(
                f"adapt: expected a class number >= 0 for each of one or more images, got {labels.dtype} "
                f"{list(labels.shape)} for {len(images)}; pass integers."
            )
        num_classes = int(labels.max()) + 1
        examples, most_classes = padded(images, labels), padded_classes(num_classes)
        # Tiny matrices: the threads of a BLAS would only wait for each other.
        with threadpool_limits(1, "blas"):
            adapted = adapt(self.program, self.frozen, self.params, examples, num_classes=most_classes)
            jax.block_until_ready(adapted)
        return AdaptedLearner(self, adapted, num_classes)

    def own_features(self, images: np.ndarray) -> np.ndarray:
        """[n d] the source's own features of uint8 images [n s s 3], without adaptation."""
        return _in_batches(lambda batch: own_features(self.program, self.frozen, batch), images)

    def network(self) -> AdaptationNetwork:
        """The adaptation network as a module."""
        return nnx.merge(self.program.adapter, self.params)

    def with_network(self, network: AdaptationNetwork) -> "MetaLearner":
        """The same with another adaptation network of the same shapes."""
        return self.with_params(nnx.state(network))

    def with_params(self, params: Any) -> "MetaLearner":
        """The same with other weights of the adaptation network."""
        return replace(self, params=params)


@dataclass(frozen=True, eq=False)
class AdaptedLearner:
    """A meta-learner adapted to a task of `num_classes` classes."""

    learner: MetaLearner
    adapted: AdaptedState
    num_classes: int

    def logits(self, images: np.ndarray) -> np.ndarray:
        """[n c] logits of uint8 images [n s s 3]; −∞ for classes without an example."""
        learner = self.learner

        def compute(batch: np.ndarray) -> jax.Array:
            return classify(learner.program, learner.frozen, self.adapted, batch)

        return _in_batches(compute, images)[:, : self.num_classes]


def _in_batches(compute: Callable[[np.ndarray], jax.Array], images: np.ndarray) -> np.ndarray:
    """Apply a function to images, `BATCH` at a time and padded, and join what it returns."""
    found = []
    for start in range(0, max(len(images), 1), BATCH):
        batch = images[start : start + BATCH]
        rows = padded(batch, np.zeros(len(batch), np.int32)).images
        with threadpool_limits(1, "blas"):
            found.append(np.asarray(compute(rows))[: len(batch)])
    return np.concatenate(found)


def new_learner(source: Source, seed: int = 0, ridge: float = RIDGE) -> MetaLearner:
    """A meta-learner that isn't trained: it leaves the source's features as they are.

    Args:
        source: one of leepjax's networks whose blocks have BatchNorm, such as a ResNet.
        seed: of the adaptation network's weights.
        ridge: β, the multiple of the identity that is added to every covariance.

    Raises:
        InputError: for another network.
    """
    network = source.network.model()
    size = source.card.pixels.size
    layers = film_layers(network, size)
    graph, frozen = nnx.split(network)
    adapter, params = nnx.split(AdaptationNetwork(layers, min(size), rngs=nnx.Rngs(seed)))
    program = Program(graph, adapter, layers, source.card.pixels, ridge)
    return MetaLearner(source, program, jax.tree.map(jnp.asarray, frozen), params)


def padded_classes(num_classes: int) -> int:
    """The next power of two, at least 8, so that few programs serve all tasks."""
    return max(8, 1 << (num_classes - 1).bit_length())


def accuracies(
    learner: MetaLearner, images: np.ndarray, episodes: Iterable[Episode], features: np.ndarray | None = None
) -> dict[str, np.ndarray]:
    """Accuracy on the queries of each episode [e]: ``adapted`` and, with features, ``unadapted`` and ``nearest_mean``.

    Args:
        learner: what is tested.
        images: uint8 [n s s 3] that the episodes index into.
        episodes: the tasks.
        features: [n d] the source's own features of the images. With them, the same classifier on these, and their
            nearest class means, are measured too.
    """
    found: dict[str, list[float]] = {}
    for episode in episodes:
        adapted = learner.adapt(images[episode.support], episode.support_labels)
        logits = {"adapted": adapted.logits(images[episode.query])}
        if features is not None:
            support = padded(features[episode.support], episode.support_labels)
            queries = padded(features[episode.query], episode.query_labels).images
            most_classes = padded_classes(adapted.num_classes)
            with threadpool_limits(1, "blas"):
                own = classify_features(support, queries, learner.program.ridge, num_classes=most_classes)
                logits |= jax.tree.map(np.asarray, own)
        for name, each in logits.items():
            predicted = each[: len(episode.query)].argmax(axis=1)
            found.setdefault(name, []).append(float(np.mean(predicted == episode.query_labels)))
    return {name: np.array(values) for name, values in found.items()}
