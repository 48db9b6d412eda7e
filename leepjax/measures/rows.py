"""The rows of the tables of measures. Documentation, reports and checks take the facts about a measure from its row."""

from collections.abc import Callable
from typing import Any, Literal, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from jax.typing import ArrayLike

from leepjax.inputs.containers import native
from leepjax.kernels import first_largest
from leepjax.statistics.class_moments import ClassMoments
from leepjax.statistics.joint import Joint
from leepjax.statistics.moments import Moments
from leepjax.types import Task


class Measure(NamedTuple):
    """A row of the table of measures; higher scores are better in every row."""

    name: str
    function: Callable[..., jax.Array]
    """(evidence, labels, *, num_classes, where) → score []"""
    title: str
    """the name in text and figures"""
    reads: Literal["probs", "source_labels", "features"]
    range: str
    summary: str
    paper: str
    cost: str
    """order of the number of operations, for n examples, d features, z source classes and c target classes"""
    memory: str
    """order of the number of values held besides the evidence, in the same letters; `numbers_held` computes it"""
    passes: int
    """how often the evidence is read"""
    streams: bool
    """whether it can be computed batch by batch, for any number of examples"""
    default: bool = False
    """whether rankings, sweeps and studies compute it by default"""
    smooth: bool = True
    """whether it has a gradient with respect to the evidence"""
    ends: Callable[[int, int], tuple[float, float]] | None = None
    """(d, number of classes with an example) → ends of the range, for measures whose scores come near both ends"""
    from_moments: Callable[[Moments], jax.Array] | None = None
    """`Moments` of the features → score, for measures that depend on nothing else"""
    from_class_moments: Callable[[ClassMoments], jax.Array] | None = None
    """`ClassMoments` of the features → score, likewise"""
    from_joint: Callable[[Joint], jax.Array] | None = None
    """`Joint` of probs or of one-hot source labels → score, likewise"""
    resampled: Callable[[Any, Any, int, np.ndarray], np.ndarray] | None = None
    """(evidence, labels, num_classes, weights [r n]) → scores [r], for measures whose resamples share most of the work;
    NaN for a resample that must be scored separately"""

    def score(
        self,
        features: ArrayLike | None,
        probs: ArrayLike | None,
        labels: ArrayLike,
        *,
        num_classes: int | None = None,
        where: ArrayLike | None = None,
    ) -> jax.Array:
        """The score [] of one source with these features [n d] and probs [n z]; pass None for what isn't read."""
        if self.reads == "source_labels":
            probs = jnp.asarray(native(probs))
            predicted, z = first_largest(probs), probs.shape[1]
            return self.function(predicted, labels, num_source_classes=z, num_classes=num_classes, where=where)
        evidence = features if self.reads == "features" else probs
        return self.function(evidence, labels, num_classes=num_classes, where=where)

    def numbers_held(self, *, n: int, c: int, d: int = 0, z: int = 0) -> int:
        """The value of `memory` for n examples, c target classes, and d features or z source classes.

        >>> from leepjax import MEASURES
        >>> MEASURES["lda"].memory, MEASURES["lda"].numbers_held(n=100, d=8, c=2)
        ('n·(d + c) + d²', 1064)
        """
        return compute(self.memory, n=n, d=d, z=z, c=c)


class FurtherMeasure(NamedTuple):
    """A row of the table of further measures; higher scores are better in every row."""

    name: str
    function: Callable[..., Any]
    title: str
    """the name in text and figures"""
    reads: str
    """the arguments, in words"""
    range: str
    summary: str
    paper: str
    cost: str
    """as in `Measure`, for m sources and t target columns"""
    memory: str
    """as in `Measure`"""
    fits: Task | None = None
    """the task for which rankings can compute it; None if they can't"""
    evidence: Literal["probs", "source_labels", "features", "outputs"] = "features"
    """which outputs of a source rankings pass to it; ``outputs`` are the logits"""
    default: bool = False
    """whether rankings of its task compute it by default"""
    ends: Callable[[int, int], tuple[float, float]] | None = None
    """as in `Measure`"""

    def score(
        self,
        features: ArrayLike | None,
        probs: ArrayLike | None,
        labels: ArrayLike,
        *,
        num_classes: int | None = None,
        where: ArrayLike | None = None,
    ) -> jax.Array:
        """As `Measure.score`, for labels [n t]; only for a measure that `fits` a task.

        For the evidence ``outputs``, logits are passed in place of probs.
        """
        if self.evidence == "source_labels":
            outputs = jnp.asarray(native(probs))
            predicted = first_largest(outputs)
            return self.function(predicted, labels, num_source_classes=outputs.shape[1], where=where)
        return self.function(features if self.evidence == "features" else probs, labels, where=where)

    def numbers_held(self, *, n: int, c: int, d: int = 0, z: int = 0) -> int:
        """The value of `memory` for n examples, c columns of labels, and d features or z source classes."""
        return compute(self.memory, n=n, d=d, z=z, t=c)


def compute(formula: str, **letters: int) -> int:
    """The value of a formula from the tables, made of letters, +, ·, ², parentheses and ``min(…)``."""
    return eval(formula.replace("·", "*").replace("²", "**2"), {"__builtins__": {}, "min": min}, letters)
