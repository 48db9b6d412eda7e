"""The class moments of features: the one statistic that H-score, its shrunk form and LogME stand on."""

from dataclasses import dataclass
from functools import partial
from typing import Self

import jax
import jax.numpy as jnp
from jax.typing import DTypeLike

HIGHEST = jax.lax.Precision.HIGHEST


@partial(
    jax.tree_util.register_dataclass,
    data_fields=("anchor", "counts", "sums", "gram", "cubic", "quartic"),
    meta_fields=(),
)
@dataclass(frozen=True)
class Moments:
    """Sums over examples of the anchored features x = f − anchor, by class where a measure needs the class.

    The anchor is the mean of the first batch: raw float32 sums of squares of features that are far from zero lose the
    answer. Every other leaf is a sum, so batches that share an anchor merge by adding (``jax.lax.psum`` over devices);
    `merge` moves the other anchor first where they differ.

    >>> features = jnp.array([[1.0, 2.0], [3.0, 4.0]])
    >>> moments = Moments.init(num_classes=2, num_features=2).update(features, jnp.array([0, 1]))
    >>> moments.mean.tolist(), moments.central().gram.tolist()
    ([2.0, 3.0], [[2.0, 2.0], [2.0, 2.0]])
    """

    anchor: jax.Array
    """[d] what is subtracted from the features before summing"""
    counts: jax.Array
    """[c] examples per class"""
    sums: jax.Array
    """[c d] Σ x over the examples of a class"""
    gram: jax.Array
    """[d d] Σ x xᵀ"""
    cubic: jax.Array
    """[d] Σ ‖x‖² x"""
    quartic: jax.Array
    """[] Σ ‖x‖⁴; with `cubic` it moves to another anchor, and Ledoit–Wolf's shrinkage needs it at the mean"""

    @classmethod
    def init(cls, num_classes: int, num_features: int, dtype: DTypeLike = jnp.float32) -> Self:
        """The moments of no examples; the first `update` chooses the anchor."""
        d = num_features
        shapes = ((d,), (num_classes,), (num_classes, d), (d, d), (d,), ())
        return cls(*(jnp.zeros(shape, dtype) for shape in shapes))

    @classmethod
    def of(cls, features: jax.Array, labels: jax.Array, num_classes: int, where: jax.Array | None = None) -> Self:
        """The moments of one batch: features [n d], labels [n]."""
        return cls.init(num_classes, features.shape[1], features.dtype).update(features, labels, where=where)

    def update(self, features: jax.Array, labels: jax.Array, *, where: jax.Array | None = None) -> Self:
        """The moments with a batch added: features [b d], labels [b]; `where` [b] a mask, or how often each counts."""
        dtype = self.gram.dtype
        weights = jnp.ones(len(labels), dtype) if where is None else where.astype(dtype)
        features = jnp.where(weights[:, None] > 0, features.astype(dtype), 0)
        total = weights.sum()
        batch_mean = weights @ features / jnp.where(total > 0, total, 1)
        anchor = jax.lax.stop_gradient(jnp.where(self.size > 0, self.anchor, batch_mean))
        x = jnp.where(weights[:, None] > 0, features - anchor, 0)
        weighted = x * weights[:, None]
        squared_norm = (x * x).sum(axis=1)
        return type(self)(
            anchor,
            self.counts + jax.ops.segment_sum(weights, labels, len(self.counts)),
            self.sums + jax.ops.segment_sum(weighted, labels, len(self.counts)),
            self.gram + jnp.matmul(x.T, weighted, precision=HIGHEST),
            self.cubic + jnp.matmul(squared_norm, weighted, precision=HIGHEST),
            self.quartic + weights @ squared_norm**2,
        )

    def merge(self, other: Self) -> Self:
        """The moments of both sets of examples, anchored where these are (where the other are, if these are empty)."""
        anchor = jnp.where(self.size > 0, self.anchor, other.anchor)
        mine, theirs = self.anchored_at(anchor), other.anchored_at(anchor)
        added = jax.tree.map(jnp.add, mine, theirs)
        return type(self)(anchor, added.counts, added.sums, added.gram, added.cubic, added.quartic)

    def anchored_at(self, anchor: jax.Array) -> Self:
        """The same examples' moments about another point; at zero they are raw."""
        return self._moved(self.anchor - anchor, anchor)

    def central(self) -> Self:
        """The same examples' moments about their mean."""
        # Moved by what the sums say, not by a difference of anchors that has been rounded: the sums vanish then.
        n = self.size
        return self._moved(-self.sums.sum(axis=0) / jnp.where(n > 0, n, 1), self.mean)

    def _moved(self, δ: jax.Array, anchor: jax.Array) -> Self:
        """The moments of x + δ."""
        n, s, G, q = self.size, self.sums.sum(axis=0), self.gram, jnp.trace(self.gram)
        δδ = δ @ δ
        Gδ = jnp.matmul(G, δ, precision=HIGHEST)
        return type(self)(
            anchor,
            self.counts,
            self.sums + self.counts[:, None] * δ,
            G + jnp.outer(s, δ) + jnp.outer(δ, s) + n * jnp.outer(δ, δ),
            self.cubic + q * δ + 2 * Gδ + 2 * (s @ δ) * δ + δδ * s + n * δδ * δ,
            self.quartic + 4 * δ @ Gδ + n * δδ**2 + 4 * δ @ self.cubic + 2 * q * δδ + 4 * δδ * (s @ δ),
        )

    @property
    def size(self) -> jax.Array:
        """n, the number of examples (the sum of their weights)."""
        return self.counts.sum()

    @property
    def mean(self) -> jax.Array:
        """[d] the mean feature."""
        n = self.size
        return self.anchor + self.sums.sum(axis=0) / jnp.where(n > 0, n, 1)

    @property
    def rounding(self) -> jax.Array:
        """[d] the central sum of squares that rounding alone can give a constant feature."""
        eps = float(jnp.finfo(self.gram.dtype).eps)
        return self.size * (8 * eps * self.mean) ** 2
