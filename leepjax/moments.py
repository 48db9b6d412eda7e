"""The class moments of features: the one statistic that H-score, its shrunk form and LogME stand on."""

from dataclasses import dataclass, replace
from functools import partial
from typing import Any, Self

import jax
import jax.numpy as jnp
from jax.typing import DTypeLike

HIGHEST = jax.lax.Precision.HIGHEST
# Rows that a CPU sums up at once, and columns from which half of a Gram's multiplications are worth leaving out.
BLOCK_ROWS = 2048
BLOCK_COLUMNS = 128


@partial(
    jax.tree_util.register_dataclass,
    data_fields=("anchor", "counts", "sums", "gram", "cubic", "quartic"),
    meta_fields=(),
)
@dataclass(frozen=True)
class Moments:
    """Sums over examples of the anchored features x = f − anchor, by class where a measure needs the class.

    The anchor is near the mean of the first batch: raw float32 sums of squares of features that are far from zero lose
    the answer. Every other leaf is a sum, so batches that share an anchor merge by adding (``jax.lax.psum`` over
    devices); `merge` moves the other anchor first where they differ.

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
        return _add(self, features, labels, where)

    def merge(self, other: Self) -> Self:
        """The moments of both sets of examples, anchored where the larger set is, and so nearer to the mean of both."""
        anchor = jnp.where(self.size >= other.size, self.anchor, other.anchor)
        return replace(jax.tree.map(jnp.add, self.anchored_at(anchor), other.anchored_at(anchor)), anchor=anchor)

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
        dot = partial(jnp.matmul, precision=HIGHEST)
        δδ, sδ, Gδ = dot(δ, δ), dot(s, δ), dot(G, δ)
        return type(self)(
            anchor,
            self.counts,
            self.sums + self.counts[:, None] * δ,
            G + jnp.outer(s, δ) + jnp.outer(δ, s) + n * jnp.outer(δ, δ),
            self.cubic + q * δ + 2 * Gδ + 2 * sδ * δ + δδ * s + n * δδ * δ,
            self.quartic + 4 * dot(δ, Gδ) + n * δδ**2 + 4 * dot(δ, self.cubic) + 2 * q * δδ + 4 * δδ * sδ,
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


@jax.jit
def _add(moments, features, labels, where):
    weights = None if where is None else where.astype(moments.gram.dtype)
    anchor = choose_anchor(*jax.lax.stop_gradient((moments, features, weights)))
    sums = _sums(features, labels, weights, anchor, len(moments.counts))
    return replace(jax.tree.map(jnp.add, moments, sums), anchor=anchor)


def choose_anchor(moments: Any, features: jax.Array, weights: jax.Array | None) -> jax.Array:
    """[d] the anchor there is, or the mean of the first examples that count."""
    if weights is None and jax.device_count() == 1:  # Some of them, spread over all, have a mean that is near enough.
        features = features[:: max(len(features) // BLOCK_ROWS, 1)]

    def mean():
        total, n = _over_rows(partial(_total, dtype=moments.anchor.dtype), features, weights)
        return total / jnp.where(n > 0, n, 1)

    return jax.lax.cond(moments.size > 0, lambda: moments.anchor, mean)


def _total(features, weights, dtype):
    counting = jnp.ones(len(features), bool) if weights is None else weights > 0
    return jnp.where(counting[:, None], features, 0).astype(dtype).sum(axis=0), counting.sum()


@partial(jax.custom_jvp, nondiff_argnums=(4,))
def _sums(features, labels, weights, anchor, num_classes):
    """The moments of a batch about an anchor."""
    upper = _over_rows(partial(_upper_sums, anchor=anchor, num_classes=num_classes), features, labels, weights)
    return replace(upper, gram=_mirror(upper.gram))


@_sums.defjvp
def _sums_jvp(num_classes, primals, tangents):
    """At once: the transpose of a loop over blocks would add an array as large as the features for each of them."""

    def at_once(*batch):
        upper = _upper_sums(*batch, num_classes=num_classes)
        return replace(upper, gram=_mirror(upper.gram))

    return jax.jvp(at_once, primals, tangents)


def _upper_sums(features, labels, weights, anchor, num_classes):
    """The moments of a batch, of whose Gram only what `_upper_gram` says."""
    x = features.astype(anchor.dtype) - anchor
    if weights is None:
        weighted, weights = x, jnp.ones(len(labels), x.dtype)
    else:
        x = jnp.where(weights[:, None] > 0, x, 0)
        weighted = x * weights[:, None]
    squared_norm = (x * x).sum(axis=1)
    return Moments(
        anchor,
        jax.ops.segment_sum(weights, labels, num_classes),
        jax.ops.segment_sum(weighted, labels, num_classes),
        _upper_gram(x, weighted),
        jnp.matmul(squared_norm, weighted, precision=HIGHEST),
        (weights * squared_norm**2).sum(),
    )


def _upper_gram(x, weighted, halvings=2) -> Any:
    """xᵀ weighted, which is symmetric, without the quarter below the diagonal, nor that of the two halves on it.

    The parts are a nested tuple, in which blocks of rows are added; `_mirror` puts them together once.
    """
    half = x.shape[1] // 2
    if halvings == 0 or half < BLOCK_COLUMNS:
        return jnp.matmul(x.T, weighted, precision=HIGHEST)
    return (
        _upper_gram(x[:, :half], weighted[:, :half], halvings - 1),
        jnp.matmul(x[:, :half].T, weighted[:, half:], precision=HIGHEST),
        _upper_gram(x[:, half:], weighted[:, half:], halvings - 1),
    )


def _mirror(upper):
    if not isinstance(upper, tuple):
        return upper
    left, across, right = upper
    return jnp.block([[_mirror(left), across], [across.T, _mirror(right)]])


def _over_rows(sum_up, *rows):
    """`sum_up(*rows)`, where what it returns for blocks of rows adds.

    On a CPU a block stays in cache from one operation to the next, and no array as large as the features is made. An
    accelerator wants one large product; and where there are several devices rows may be sharded, and a loop over them
    would gather them.
    """
    if jax.device_count() > 1:
        return sum_up(*rows)
    return jax.lax.platform_dependent(*rows, cpu=partial(_by_blocks, sum_up), default=sum_up)


def _by_blocks(sum_up, *rows):
    blocks = len(rows[0]) // BLOCK_ROWS
    if blocks == 0:
        return sum_up(*rows)

    def add(i, sums):
        block = jax.tree.map(lambda x: jax.lax.dynamic_slice_in_dim(x, i * BLOCK_ROWS, BLOCK_ROWS), rows)
        return jax.tree.map(jnp.add, sums, sum_up(*block))

    rest = jax.tree.map(lambda x: x[blocks * BLOCK_ROWS :], rows)
    return jax.lax.fori_loop(0, blocks, add, sum_up(*rest))
