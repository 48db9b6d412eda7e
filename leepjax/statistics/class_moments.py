"""Moments of features with one Gram matrix per class, for TransRate; `Moments` has one for all classes."""

from dataclasses import dataclass, replace
from functools import partial
from typing import Self

import jax
import jax.numpy as jnp
from jax.typing import DTypeLike

from leepjax.checks.statistics import check_batch, check_merged, check_sum_dtype
from leepjax.kernels import accumulator, nonzero_or_one, settled, weights_of
from leepjax.kernels.class_grams import class_grams
from leepjax.statistics.moments import choose_anchor, merged


@partial(
    jax.tree_util.register_dataclass,
    data_fields=("anchor", "counts", "rows", "sums", "grams", "unit"),
    meta_fields=(),
)
@dataclass(frozen=True)
class ClassMoments:
    """Sums over the examples of each class of the anchored features x = (f − anchor) / unit: c·d² numbers.

    As in `Moments`, the anchor is near the mean of the first batch, the unit near its magnitude, and every other leaf
    is a sum. `merge` converts the other statistic if its anchor or unit differs.

    >>> from leepjax import ClassMoments
    >>> features = [[1.0, 2.0], [3.0, 4.0]]
    >>> moments = ClassMoments.init(num_classes=2, num_features=2).update(features, [0, 1])
    >>> moments.mean.tolist(), (moments.central().grams[1] * moments.unit**2).tolist()
    ([2.0, 3.0], [[1.0, 1.0], [1.0, 1.0]])
    """

    anchor: jax.Array
    """[d] subtracted from the features before summing"""
    counts: jax.Array
    """[c] number of examples (sum of weights) per class"""
    rows: jax.Array
    """[c] examples of positive weight per class, an upper bound on the rank of its features"""
    sums: jax.Array
    """[c d] Σ x over the examples of a class"""
    grams: jax.Array
    """[c d d] Σ x xᵀ over the examples of a class"""
    unit: jax.Array
    """[] divisor of the anchored features, a power of two; 0 without examples"""

    @classmethod
    def init(cls, num_classes: int, num_features: int, dtype: DTypeLike = jnp.float32) -> Self:
        """The moments of no examples, in float32 or float64; the first `update` chooses the anchor."""
        check_sum_dtype("ClassMoments.init", dtype)
        c, d = num_classes, num_features
        return cls(*(jnp.zeros(shape, dtype) for shape in ((d,), (c,), (c,), (c, d), (c, d, d), ())))

    @classmethod
    def of(cls, features: jax.Array, labels: jax.Array, num_classes: int, where: jax.Array | None = None) -> Self:
        """The moments of one batch: features [n d], labels [n]."""
        rows, *rest = check_batch("ClassMoments.of", "features", features, labels, where, num_classes)
        empty = cls.init(num_classes, rows.shape[1], accumulator(rows))
        return settled(_add(empty, rows, *rest), features, labels, where)

    def update(self, features: jax.Array, labels: jax.Array, *, where: jax.Array | None = None) -> Self:
        """The moments with a batch added: features [b d], labels [b]; `where` [b] a mask, or how often each counts.

        Raises:
            InputError: for features of another width; unless traced, for labels that aren't class numbers in [0, c),
                and weights below zero.
        """
        batch = check_batch("ClassMoments.update", "features", features, labels, where, *self.sums.shape)
        return settled(_add(self, *batch), features, labels, where)

    def merge(self, other: Self) -> Self:
        """The moments of both sets of examples, with the anchor of the larger, which is nearer to the joint mean."""
        check_merged("ClassMoments.merge", self.sums, other.sums)
        return merged(self, other)

    def in_units_of(self, unit: jax.Array) -> Self:
        """The moments of the same examples in another unit, a power of two."""
        ratio = self.unit / nonzero_or_one(unit)
        return replace(self, unit=unit, sums=self.sums * ratio, grams=self.grams * ratio**2)

    def anchored_at(self, anchor: jax.Array) -> Self:
        """The moments of the same examples about another anchor; raw moments at zero."""
        return self._moved((self.anchor - anchor) / self.divisor, anchor)

    def central(self) -> Self:
        """The moments of the same examples about the mean of all."""
        # Shift by the mean from the sums, not by the rounded difference of anchors: the new sums are then exactly zero.
        return self._moved(-self._mean_of_anchored, self.mean)

    def _moved(self, δ: jax.Array, anchor: jax.Array) -> Self:
        """The moments of x + δ, with δ in the same unit as x."""
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
        """[] the unit, or 1 without examples."""
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
