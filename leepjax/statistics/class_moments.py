"""The moments of features class by class: what TransRate stands on, where `Moments` has one Gram for all classes."""

from dataclasses import dataclass, replace
from functools import partial
from typing import Self

import jax
import jax.numpy as jnp
from jax.typing import DTypeLike

from leepjax.kernels import nonzero_or_one, weights_of
from leepjax.kernels.class_grams import class_grams
from leepjax.statistics.moments import choose_anchor


@partial(
    jax.tree_util.register_dataclass,
    data_fields=("anchor", "counts", "rows", "sums", "grams", "unit"),
    meta_fields=(),
)
@dataclass(frozen=True)
class ClassMoments:
    """Sums over the examples of each class of the anchored features x = (f − anchor) / unit: c·d² numbers.

    As with `Moments`, the anchor is near the mean of the first batch and the unit near its size, every other
    leaf is a sum, and `merge` moves the other anchor and unit where they differ.

    >>> features = jnp.array([[1.0, 2.0], [3.0, 4.0]])
    >>> moments = ClassMoments.init(num_classes=2, num_features=2).update(features, jnp.array([0, 1]))
    >>> moments.mean.tolist(), (moments.central().grams[1] * moments.unit**2).tolist()
    ([2.0, 3.0], [[1.0, 1.0], [1.0, 1.0]])
    """

    anchor: jax.Array
    """[d] what is subtracted from the features before summing"""
    counts: jax.Array
    """[c] examples per class, the sum of their weights"""
    rows: jax.Array
    """[c] examples of positive weight per class, which bound the rank of its features whatever the weights are"""
    sums: jax.Array
    """[c d] Σ x over the examples of a class"""
    grams: jax.Array
    """[c d d] Σ x xᵀ over the examples of a class"""
    unit: jax.Array
    """[] what the anchored features are divided by, a power of two; 0 before there is any example"""

    @classmethod
    def init(cls, num_classes: int, num_features: int, dtype: DTypeLike = jnp.float32) -> Self:
        """The moments of no examples; the first `update` chooses the anchor."""
        c, d = num_classes, num_features
        return cls(*(jnp.zeros(shape, dtype) for shape in ((d,), (c,), (c,), (c, d), (c, d, d), ())))

    @classmethod
    def of(cls, features: jax.Array, labels: jax.Array, num_classes: int, where: jax.Array | None = None) -> Self:
        """The moments of one batch: features [n d], labels [n]."""
        return cls.init(num_classes, features.shape[1], features.dtype).update(features, labels, where=where)

    def update(self, features: jax.Array, labels: jax.Array, *, where: jax.Array | None = None) -> Self:
        """The moments with a batch added: features [b d], labels [b]; `where` [b] a mask, or how often each counts."""
        return _add(self, features, labels, where)

    def merge(self, other: Self) -> Self:
        """The moments of both sets of examples, anchored where the larger set is, and so nearer to the mean of both."""
        anchor = jnp.where(self.size >= other.size, self.anchor, other.anchor)
        unit = jnp.maximum(self.unit, other.unit)
        both = (moments.in_units_of(unit).anchored_at(anchor) for moments in (self, other))
        return replace(jax.tree.map(jnp.add, *both), anchor=anchor, unit=unit)

    def in_units_of(self, unit: jax.Array) -> Self:
        """The same examples' moments with another power of two for unit."""
        ratio = self.unit / nonzero_or_one(unit)
        return replace(self, unit=unit, sums=self.sums * ratio, grams=self.grams * ratio**2)

    def anchored_at(self, anchor: jax.Array) -> Self:
        """The same examples' moments about another point; at zero they are raw."""
        return self._moved((self.anchor - anchor) / self.divisor, anchor)

    def central(self) -> Self:
        """The same examples' moments about the mean of all."""
        # Moved by what the sums say, not by a difference of anchors that has been rounded: the sums vanish then.
        return self._moved(-self._mean_of_anchored, self.mean)

    def _moved(self, δ: jax.Array, anchor: jax.Array) -> Self:
        """The moments of x + δ, which is in units as x is."""
        n, across = self.counts[:, None], self.sums[:, :, None] * δ
        grams = self.grams + across + across.mT + n[:, :, None] * jnp.outer(δ, δ)
        return type(self)(anchor, self.counts, self.rows, self.sums + n * δ, grams, self.unit)

    @property
    def size(self) -> jax.Array:
        """n, the number of examples (the sum of their weights)."""
        return self.counts.sum()

    @property
    def mean(self) -> jax.Array:
        """[d] the mean feature."""
        return self.anchor + self._mean_of_anchored * self.divisor

    @property
    def _mean_of_anchored(self) -> jax.Array:
        n = self.size
        return self.sums.sum(axis=0) / nonzero_or_one(n)

    @property
    def divisor(self) -> jax.Array:
        """[] the unit, or 1 before there is any."""
        return nonzero_or_one(self.unit)


@jax.jit
def _add(moments, features, labels, where):
    dtype = moments.grams.dtype
    weights = weights_of(where, len(labels), dtype)
    anchor, unit = choose_anchor(*jax.lax.stop_gradient((moments, features, where)))
    scale = 1 / nonzero_or_one(unit)
    rows = jax.ops.segment_sum((weights > 0).astype(dtype), labels, len(moments.counts))
    counts, *sums = class_grams(features.astype(dtype), labels, weights, anchor, len(moments.counts), scale)
    batch = type(moments)(anchor, counts, rows, *sums, unit)
    return replace(jax.tree.map(jnp.add, moments, batch), anchor=anchor, unit=unit)
