"""The joint table of source and target classes, the statistic of LEEP, softNCE and NCE."""

from dataclasses import dataclass
from functools import partial
from typing import Self

import jax
import jax.numpy as jnp
from jax.typing import ArrayLike, DTypeLike

from leepjax.checks.statistics import check_batch, check_merged
from leepjax.kernels import accumulator, class_sums, nonzero_or_one, settled, weights_of


@partial(jax.tree_util.register_dataclass, data_fields=("table", "counts"), meta_fields=())
@dataclass(frozen=True)
class Joint:
    """How often target class y and source class z occur together: n·P̂(y, z), with P̂ as in the LEEP paper.

    Both leaves are sums over examples, so joints of batches, devices and hosts are added (`merge`, ``jax.lax.psum``).
    Probabilities give LEEP's soft joint, one-hot rows of source labels give NCE's hard one.

    >>> from leepjax import Joint
    >>> joint = Joint.init(num_classes=2, num_source_classes=2)
    >>> joint = joint.update([[0.75, 0.25], [0.5, 0.5]], [0, 1])
    >>> joint.conditional.round(2).tolist()
    [[0.5999999642372131, 0.32999998331069946], [0.3999999761581421, 0.6699999570846558]]
    """

    table: jax.Array
    """[c z] Σ θ(x_i)_z over the examples i with y_i = y"""
    counts: jax.Array
    """[c] examples per target class"""

    @classmethod
    def init(cls, num_classes: int, num_source_classes: int, dtype: DTypeLike = jnp.float32) -> Self:
        """The joint of zero examples."""
        return cls(jnp.zeros((num_classes, num_source_classes), dtype), jnp.zeros(num_classes, dtype))

    @classmethod
    def of(
        cls,
        probs: jax.Array,
        labels: jax.Array,
        num_classes: int,
        where: jax.Array | None = None,
        log_norm: jax.Array | None = None,
    ) -> Self:
        """The joint of one batch: probs [n z], or logits with their `log_norm` [n]; labels [n]."""
        return cls._of_batch("Joint.of", probs, labels, where, log_norm, num_classes)

    def update(self, probs: jax.Array, labels: jax.Array, *, where: jax.Array | None = None) -> Self:
        """The joint with a batch added: probs [b z], labels [b]; `where` [b] a mask, or how often each counts.

        Raises:
            InputError: for probs of another width; unless traced, for labels that aren't class numbers in [0, c), and
                weights below zero.
        """
        return self.merge(self._of_batch("Joint.update", probs, labels, where, None, *self.table.shape))

    @classmethod
    def _of_batch(cls, function, probs, labels, where, log_norm, num_classes, columns=None) -> Self:
        rows, ys, weights = check_batch(function, "probs", probs, labels, where, num_classes, columns)
        weights = weights_of(weights, len(ys), accumulator(rows))
        return settled(cls(*class_sums(rows, ys, weights, num_classes, log_norm)), probs, labels, where, log_norm)

    def merge(self, other: Self) -> Self:
        """The joint of both sets of examples."""
        check_merged("Joint.merge", self.table, other.table)
        return jax.tree.map(jnp.add, self, other)

    @property
    def size(self) -> jax.Array:
        """n, the number of examples (the sum of their weights)."""
        return self.counts.sum()

    @property
    def conditional(self) -> jax.Array:
        """P̂(y|z) [c z]; a source class without mass has a column of zeros, and so contributes nothing."""
        mass = self.table.sum(axis=0)
        # Divide by the mass as a constant first, then by the columns' sum, which is one: the derivative of dividing by
        # a mass of 1e-30 would overflow.
        share = self.table / jax.lax.stop_gradient(nonzero_or_one(mass))
        return jnp.where(mass > 0, share / jnp.where(mass > 0, share.sum(axis=0), 1), 0)

    def neg_conditional_entropy(self) -> jax.Array:
        """−H(Y|Z) = Σ P̂(y, z) log P̂(y|z) in nats: softNCE of a soft joint, NCE of a hard one. NaN if empty."""
        return (self.table * safe_log(self.conditional)).sum() / self.size

    def label_entropy(self) -> jax.Array:
        """H(Y) in nats, from the counts; NaN without examples."""
        marginal = self.counts / self.size
        return -(marginal * safe_log(marginal)).sum()


def safe_log(p: ArrayLike) -> jax.Array:
    """Log p where p > 0 and 0 elsewhere, so that 0·log 0 = 0 in value and gradient."""
    p = jnp.asarray(p)
    return jnp.where(p > 0, jnp.log(nonzero_or_one(p)), 0)
