"""What the tables hold of each measure. All that is said of a measure elsewhere is taken from its row."""

from collections.abc import Callable
from typing import Any, Literal, NamedTuple

import jax
import jax.numpy as jnp
from jax.typing import ArrayLike

from leepjax.statistics.class_moments import ClassMoments
from leepjax.statistics.joint import Joint
from leepjax.statistics.moments import Moments


class Measure(NamedTuple):
    """A row of the table of measures; higher scores are better in every row."""

    name: str
    function: Callable[..., jax.Array]
    """(evidence, labels, *, num_classes, where) → score []"""
    title: str
    """the name as it is written in text and figures"""
    reads: Literal["probs", "source_labels", "features"]
    range: str
    summary: str
    paper: str
    cost: str
    """operations, to their order, in n examples, d features, z source and c target classes"""
    memory: str
    """numbers held beside the evidence, to their order, in the same letters; `numbers_held` computes it"""
    passes: int
    """how often the evidence is read"""
    streams: bool
    """whether it can be computed from batches, whatever the number of examples"""
    default: bool = False
    """whether a ranking, a sweep or a study scores it where no measures are named"""
    smooth: bool = True
    """whether it has a gradient in the evidence"""
    ends: Callable[[int, int], tuple[float, float]] | None = None
    """(d, classes with an example) → the ends of the range, where scores come near both of them"""
    from_moments: Callable[[Moments], jax.Array] | None = None
    """the measure of features that were summed up in `Moments`, where it reads no more of them"""
    from_class_moments: Callable[[ClassMoments], jax.Array] | None = None
    """likewise of features in `ClassMoments`"""
    from_joint: Callable[[Joint], jax.Array] | None = None
    """likewise of probs, or of one-hot source labels, in `Joint`"""

    def score(
        self,
        features: ArrayLike | None,
        probs: ArrayLike | None,
        labels: ArrayLike,
        *,
        num_classes: int | None = None,
        where: ArrayLike | None = None,
    ) -> jax.Array:
        """The measure of one source's features [n d] and probs [n z]; what it doesn't read may be None."""
        if self.reads == "source_labels":
            probs = jnp.asarray(probs)
            predicted, z = jnp.argmax(probs, axis=1), probs.shape[1]
            return self.function(predicted, labels, num_source_classes=z, num_classes=num_classes, where=where)
        evidence = features if self.reads == "features" else probs
        return self.function(evidence, labels, num_classes=num_classes, where=where)

    def numbers_held(self, *, n: int, c: int, d: int = 0, z: int = 0) -> int:
        """What `memory` comes to, for n examples, c target classes, and d features or z source classes.

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
    """the name as it is written in text and figures"""
    reads: str
    """the arguments, in words"""
    range: str
    summary: str
    paper: str
    cost: str
    """operations, to their order: n examples, d features, z source and c target classes, m sources, t target columns"""
    memory: str
    """numbers held beside the evidence, to their order"""


def compute(formula: str, **letters: int) -> int:
    """The value of a formula of the tables, which has letters, +, ·, ², parentheses and ``min(…)``."""
    return eval(formula.replace("·", "*").replace("²", "**2"), {"__builtins__": {}, "min": min}, letters)
