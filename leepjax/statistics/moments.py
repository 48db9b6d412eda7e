"""The class moments of features: the one statistic that H-score, its shrunk form and LogME stand on."""

from dataclasses import dataclass, replace
from functools import partial
from typing import Any, Self

import jax
import jax.numpy as jnp
from jax.typing import DTypeLike

from leepjax.kernels import HIGHEST, nonzero_or_one, power_of_two

# Rows that a CPU sums up at once, and columns from which half of a Gram's multiplications are worth leaving out.
BLOCK_ROWS = 2048
BLOCK_COLUMNS = 128


@partial(
    jax.tree_util.register_dataclass,
    data_fields=("anchor", "counts", "rows", "sums", "gram", "cubic", "quartic", "unit"),
    meta_fields=(),
)
@dataclass(frozen=True)
class Moments:
    """Sums over examples of the anchored features x = (f − anchor) / unit, by class where a measure needs the class.

    The anchor is near the mean of the first batch: raw float32 sums of squares of features that are far from zero lose
    the answer. The unit is a power of two near its size: fourth powers of features of 1e-12 or 1e12 are
    beyond float32. Every other leaf is a sum, so batches that share both merge by adding (``jax.lax.psum`` over
    devices); `merge` brings the other batch to one anchor and unit first where they differ.

    >>> features = jnp.array([[1.0, 2.0], [3.0, 4.0]])
    >>> moments = Moments.init(num_classes=2, num_features=2).update(features, jnp.array([0, 1]))
    >>> moments.mean.tolist(), (moments.central().gram * moments.unit**2).tolist()
    ([2.0, 3.0], [[2.0, 2.0], [2.0, 2.0]])
    """

    anchor: jax.Array
    """[d] what is subtracted from the features before summing"""
    counts: jax.Array
    """[c] examples per class, the sum of their weights"""
    rows: jax.Array
    """[] examples of positive weight, which bound the rank of the features whatever the weights are"""
    sums: jax.Array
    """[c d] Σ x over the examples of a class"""
    gram: jax.Array
    """[d d] Σ x xᵀ"""
    cubic: jax.Array
    """[d] Σ ‖x‖² x"""
    quartic: jax.Array
    """[] Σ ‖x‖⁴; with `cubic` it moves to another anchor, and Ledoit–Wolf's shrinkage needs it at the mean"""
    unit: jax.Array
    """[] what the anchored features are divided by, a power of two; 0 before there is any example"""

    @classmethod
    def init(cls, num_classes: int, num_features: int, dtype: DTypeLike = jnp.float32) -> Self:
        """The moments of no examples; the first `update` chooses the anchor."""
        d = num_features
        shapes = ((d,), (num_classes,), (), (num_classes, d), (d, d), (d,), (), ())
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
        unit = jnp.maximum(self.unit, other.unit)
        both = (moments.in_units_of(unit).anchored_at(anchor) for moments in (self, other))
        return replace(jax.tree.map(jnp.add, *both), anchor=anchor, unit=unit)

    def in_units_of(self, unit: jax.Array) -> Self:
        """The same examples' moments with another power of two for unit."""
        ratio = self.unit / nonzero_or_one(unit)
        by_power = {"sums": 1, "gram": 2, "cubic": 3, "quartic": 4}
        return replace(self, unit=unit, **{name: getattr(self, name) * ratio**k for name, k in by_power.items()})

    def anchored_at(self, anchor: jax.Array) -> Self:
        """The same examples' moments about another point; at zero they are raw."""
        return self._moved((self.anchor - anchor) / self.divisor, anchor)

    def central(self) -> Self:
        """The same examples' moments about their mean."""
        # Moved by what the sums say, not by a difference of anchors that has been rounded: the sums vanish then.
        n = self.size
        return self._moved(-self.sums.sum(axis=0) / nonzero_or_one(n), self.mean)

    def _moved(self, δ: jax.Array, anchor: jax.Array) -> Self:
        """The moments of x + δ, which is in units as x is."""
        n, s, G, q = self.size, self.sums.sum(axis=0), self.gram, jnp.trace(self.gram)
        dot = partial(jnp.matmul, precision=HIGHEST)
        δδ, sδ, Gδ = dot(δ, δ), dot(s, δ), dot(G, δ)
        return type(self)(
            anchor,
            self.counts,
            self.rows,
            self.sums + self.counts[:, None] * δ,
            G + jnp.outer(s, δ) + jnp.outer(δ, s) + n * jnp.outer(δ, δ),
            self.cubic + q * δ + 2 * Gδ + 2 * sδ * δ + δδ * s + n * δδ * δ,
            self.quartic + 4 * dot(δ, Gδ) + n * δδ**2 + 4 * dot(δ, self.cubic) + 2 * q * δδ + 4 * δδ * sδ,
            self.unit,
        )

    @property
    def size(self) -> jax.Array:
        """n, the number of examples (the sum of their weights)."""
        return self.counts.sum()

    @property
    def mean(self) -> jax.Array:
        """[d] the mean feature."""
        n = self.size
        return self.anchor + self.sums.sum(axis=0) / nonzero_or_one(n) * self.divisor

    @property
    def mean_in_units(self) -> jax.Array:
        """[d] the mean feature, in units as the sums are."""
        return self.mean / self.divisor

    @property
    def rounding(self) -> jax.Array:
        """[d] the central sum of squares, in units, that rounding alone can give a constant feature."""
        eps = float(jnp.finfo(self.gram.dtype).eps)
        return self.size * (8 * eps * self.mean_in_units) ** 2

    @property
    def divisor(self) -> jax.Array:
        """[] the unit, or 1 before there is any."""
        return nonzero_or_one(self.unit)


@jax.jit
def _add(moments, features, labels, where):
    weights = None if where is None else where.astype(moments.gram.dtype)
    anchor, unit = choose_anchor(*jax.lax.stop_gradient((moments, features, weights)))
    sums = _sums(features, labels, weights, anchor, unit, len(moments.counts))
    return replace(jax.tree.map(jnp.add, moments, sums), anchor=anchor, unit=unit)


def choose_anchor(moments: Any, features: jax.Array, weights: jax.Array | None) -> tuple[jax.Array, jax.Array]:
    """[d] the anchor and [] the unit there are, or the mean of the first examples that count and near their size."""
    dtype = moments.anchor.dtype
    if weights is None and jax.device_count() == 1:  # Some of them, spread over all, have a mean that is near enough.
        features = features[:: max(len(features) // BLOCK_ROWS, 1)]

    def first():
        total, size, n = _over_rows(partial(_total, dtype=dtype), features, weights)
        return total / nonzero_or_one(n), power_of_two(size.max() / nonzero_or_one(n))

    known = moments.anchor, moments.unit
    return jax.lax.cond((moments.size > 0) & (moments.unit > 0), lambda: known, first)


def _total(features, weights, dtype):
    counting = jnp.ones(len(features), bool) if weights is None else weights > 0
    counted = jnp.where(counting[:, None], features, 0).astype(dtype)
    return counted.sum(axis=0), jnp.abs(counted).sum(axis=0), counting.sum()


@partial(jax.custom_jvp, nondiff_argnums=(5,))
def _sums(features, labels, weights, anchor, unit, num_classes):
    """The moments of a batch about an anchor, in a unit."""
    sum_up = partial(_upper_sums, anchor=anchor, unit=unit, num_classes=num_classes)
    upper = _over_rows(sum_up, features, labels, weights)
    return replace(upper, gram=_mirror(upper.gram))


@_sums.defjvp
def _sums_jvp(num_classes, primals, tangents):
    """At once: the transpose of a loop over blocks would add an array as large as the features for each of them."""

    def at_once(*batch):
        upper = _upper_sums(*batch, num_classes=num_classes)
        return replace(upper, gram=_mirror(upper.gram))

    return jax.jvp(at_once, primals, tangents)


def _upper_sums(features, labels, weights, anchor, unit, num_classes):
    """The moments of a batch, of whose Gram only what `_upper_gram` says."""
    x = (features.astype(anchor.dtype) - anchor) * (1 / nonzero_or_one(unit))
    if weights is None:
        weighted, weights = x, jnp.ones(len(labels), x.dtype)
    else:
        x = jnp.where(weights[:, None] > 0, x, 0)
        weighted = x * weights[:, None]
    squared_norm = (x * x).sum(axis=1)
    return Moments(
        anchor,
        jax.ops.segment_sum(weights, labels, num_classes),
        (weights > 0).sum(dtype=x.dtype),
        jax.ops.segment_sum(weighted, labels, num_classes),
        _upper_gram(x, weighted),
        jnp.matmul(squared_norm, weighted, precision=HIGHEST),
        (weights * squared_norm**2).sum(),
        jnp.zeros_like(unit),
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
