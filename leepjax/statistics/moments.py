"""Moments of features, the statistic of H-score, its shrunk form and LogME."""

from dataclasses import dataclass, replace
from functools import partial
from typing import Any, Self

import jax
import jax.numpy as jnp
from jax.typing import DTypeLike

from leepjax.checks.statistics import check_batch, check_merged, check_sum_dtype
from leepjax.kernels import HIGHEST, accumulator, nonzero_or_one, power_of_two, settled
from leepjax.kernels.symmetric import mirrored, upper_product

# Rows per block on a CPU.
BLOCK_ROWS = 2048


@partial(
    jax.tree_util.register_dataclass,
    data_fields=("anchor", "counts", "rows", "sums", "gram", "cubic", "quartic", "unit"),
    meta_fields=(),
)
@dataclass(frozen=True)
class Moments:
    """Sums over examples of the anchored features x = (f − anchor) / unit, per class where a measure needs it.

    The anchor is near the mean of the first batch, because float32 sums of squares of features far from zero lose
    their variance. The unit is a power of two near the batch's magnitude, because fourth powers of 1e-12 or 1e12 exceed
    the range of float32. Every other leaf is a sum, so batches with the same anchor and unit are added
    (``jax.lax.psum`` over devices); `merge` first converts the other batch where they differ.

    >>> from leepjax import Moments
    >>> features = [[1.0, 2.0], [3.0, 4.0]]
    >>> moments = Moments.init(num_classes=2, num_features=2).update(features, [0, 1])
    >>> moments.mean.tolist(), (moments.central().gram * moments.unit**2).tolist()
    ([2.0, 3.0], [[2.0, 2.0], [2.0, 2.0]])
    """

    anchor: jax.Array
    """[d] subtracted from the features before summing"""
    counts: jax.Array
    """[c] number of examples (sum of weights) per class"""
    rows: jax.Array
    """[] examples of positive weight, an upper bound on the rank of the features"""
    sums: jax.Array
    """[c d] Σ x over the examples of a class"""
    gram: jax.Array
    """[d d] Σ x xᵀ"""
    cubic: jax.Array
    """[d] Σ ‖x‖² x"""
    quartic: jax.Array
    """[] Σ ‖x‖⁴, which Ledoit–Wolf's shrinkage needs about the mean; `cubic` is needed to change its anchor"""
    unit: jax.Array
    """[] divisor of the anchored features, a power of two; 0 without examples"""

    @classmethod
    def init(cls, num_classes: int, num_features: int, dtype: DTypeLike = jnp.float32) -> Self:
        """The moments of no examples, in float32 or float64; the first `update` chooses the anchor."""
        check_sum_dtype("Moments.init", dtype)
        d = num_features
        shapes = ((d,), (num_classes,), (), (num_classes, d), (d, d), (d,), (), ())
        return cls(*(jnp.zeros(shape, dtype) for shape in shapes))

    @classmethod
    def of(cls, features: jax.Array, labels: jax.Array, num_classes: int, where: jax.Array | None = None) -> Self:
        """The moments of one batch: features [n d], labels [n]."""
        rows, *rest = check_batch("Moments.of", "features", features, labels, where, num_classes)
        empty = cls.init(num_classes, rows.shape[1], accumulator(rows))
        return settled(_add(empty, rows, *rest), features, labels, where)

    def update(self, features: jax.Array, labels: jax.Array, *, where: jax.Array | None = None) -> Self:
        """The moments with a batch added: features [b d], labels [b]; `where` [b] a mask, or how often each counts.

        Raises:
            InputError: for features of another width; unless traced, for labels that aren't class numbers in [0, c),
                and weights below zero.
        """
        batch = check_batch("Moments.update", "features", features, labels, where, *self.sums.shape)
        return settled(_add(self, *batch), features, labels, where)

    def merge(self, other: Self) -> Self:
        """The moments of both sets of examples, with the anchor of the larger, which is nearer to the joint mean."""
        check_merged("Moments.merge", self.sums, other.sums)
        return merged(self, other)

    def in_units_of(self, unit: jax.Array) -> Self:
        """The moments of the same examples in another unit, a power of two."""
        ratio = self.unit / nonzero_or_one(unit)
        by_power = {"sums": 1, "gram": 2, "cubic": 3, "quartic": 4}
        return replace(self, unit=unit, **{name: getattr(self, name) * ratio**k for name, k in by_power.items()})

    def anchored_at(self, anchor: jax.Array) -> Self:
        """The moments of the same examples about another anchor; raw moments at zero."""
        return self._moved((self.anchor - anchor) / self.divisor, anchor)

    def central(self) -> Self:
        """The moments of the same examples about their mean."""
        # Shift by the mean from the sums, not by the rounded difference of anchors: the new sums are then exactly zero.
        n = self.size
        return self._moved(-self.sums.sum(axis=0) / nonzero_or_one(n), self.mean)

    def _moved(self, δ: jax.Array, anchor: jax.Array) -> Self:
        """The moments of x + δ, with δ in the same unit as x."""
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
        """[d] the mean feature, in the unit of the sums."""
        return self.mean / self.divisor

    @property
    def rounding(self) -> jax.Array:
        """[d] bound on the central sum of squares, in the sums' unit, that rounding gives a constant feature."""
        eps = float(jnp.finfo(self.gram.dtype).eps)
        return self.size * (8 * eps * self.mean_in_units) ** 2

    @property
    def divisor(self) -> jax.Array:
        """[] the unit, or 1 without examples."""
        return nonzero_or_one(self.unit)


@jax.jit
def _add(moments, features, labels, where):
    weights = None if where is None else where.astype(moments.gram.dtype)
    anchor, unit = choose_anchor(*jax.lax.stop_gradient((moments, features, weights)))
    sums = _sums(features, labels, weights, anchor, unit, len(moments.counts))
    return replace(jax.tree.map(jnp.add, moments, sums), anchor=anchor, unit=unit)


@jax.jit
def merged(one, other):
    """Moments of both, in one program: for each new shape, its operations one by one are dozens."""
    anchor = jnp.where(one.size >= other.size, one.anchor, other.anchor)
    unit = jnp.maximum(one.unit, other.unit)
    both = (moments.in_units_of(unit).anchored_at(anchor) for moments in (one, other))
    return replace(jax.tree.map(jnp.add, *both), anchor=anchor, unit=unit)


def choose_anchor(moments: Any, features: jax.Array, weights: jax.Array | None) -> tuple[jax.Array, jax.Array]:
    """[d] the anchor and [] the unit of the moments; for empty moments, near the mean and magnitude of the features."""
    dtype = moments.anchor.dtype
    if weights is None and jax.device_count() == 1:  # The mean of evenly spaced rows is near enough.
        features = features[:: max(len(features) // BLOCK_ROWS, 1)]

    def first():
        total, size, n = _over_rows(partial(_total, dtype=dtype), features, weights)
        return total / nonzero_or_one(n), power_of_two(size.max() / nonzero_or_one(n))

    known = moments.anchor, moments.unit
    return jax.lax.cond((moments.size > 0) & (moments.unit > 0), lambda: known, first)


def _total(features, weights, dtype):
    counting = jnp.ones(len(features), bool) if weights is None else weights > 0
    counted = jnp.where(counting[:, None], features, 0).astype(dtype)
    return counted.sum(axis=0), jnp.abs(counted).sum(axis=0), counting.sum(dtype=dtype)


@partial(jax.custom_jvp, nondiff_argnums=(5,))
def _sums(features, labels, weights, anchor, unit, num_classes):
    """The sums of a batch about an anchor, in a unit."""
    sum_up = partial(_upper_sums, anchor=anchor, unit=unit, num_classes=num_classes)
    upper = _over_rows(sum_up, features, labels, weights)
    return replace(upper, gram=mirrored(upper.gram))


@_sums.defjvp
def _sums_jvp(num_classes, primals, tangents):
    """Differentiate without blocks: the transpose of a loop adds an array of the features' size per block."""

    def at_once(*batch):
        upper = _upper_sums(*batch, num_classes=num_classes)
        return replace(upper, gram=mirrored(upper.gram))

    return jax.jvp(at_once, primals, tangents)


def _upper_sums(features, labels, weights, anchor, unit, num_classes):
    """The sums of a batch, with the Gram matrix in the form of `upper_product`."""
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
        upper_product(x, weighted),
        jnp.matmul(squared_norm, weighted, precision=HIGHEST),
        (weights * squared_norm**2).sum(),
        jnp.zeros_like(unit),
    )


def _over_rows(sum_up, *rows):
    """Compute `sum_up(*rows)`, block by block on a CPU; its results for blocks of rows must be additive.

    On a CPU, a block stays in the cache between operations, and no array of the features' size is allocated. An
    accelerator is faster with one large product. With several devices rows may be sharded, and a loop over them would
    gather them on one.
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
