"""A distribution over source classes for each example: the variational part of PACTran's bounds for probabilities."""

from typing import NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from jax.core import Tracer

from leepjax.kernels import HIGHEST, accumulator, class_sums, nonzero_or_one, theta, weights_of
from leepjax.types import InputError


class Choices(NamedTuple):
    """The sums that the bounds need of q [n z], a distribution over source classes for each example."""

    table: jax.Array
    """[c z] n_yz = Σ w_i q_iz over the examples of class y"""
    divergence: jax.Array
    """[] Σ_i w_i Σ_z q_iz log(q_iz / θ_iz)"""


class Examples(NamedTuple):
    """Source probabilities and labels, prepared for the bounds."""

    probs: jax.Array
    """[n z] θ, zero in rows that don't count"""
    labels: jax.Array
    """[n]"""
    weights: jax.Array
    """[n]"""
    counts: jax.Array
    """[c] sums of weights"""

    @classmethod
    def of(cls, probs: jax.Array, labels: jax.Array, where: jax.Array | None, num_classes: int):
        """Probs [n z] in any float type, labels [n], weights [n] or None."""
        weights = weights_of(where, len(labels), accumulator(probs))
        counts = jax.ops.segment_sum(weights, labels, num_classes)
        return cls(jnp.where(weights[:, None] > 0, theta(probs), 0), labels, weights, counts)

    @property
    def present(self) -> jax.Array:
        """[c 1] which classes have an example that counts."""
        return self.counts[:, None] > 0

    def prior(self, strength: jax.Array) -> jax.Array:
        """[c 1] a prior of this strength, around the labels' shares."""
        return strength * self.counts[:, None] / nonzero_or_one(self.counts.sum())

    def start(self) -> Choices:
        """The sums of q = θ, each row divided by its sum."""
        totals = nonzero_or_one(self.probs.sum(axis=1))
        return Choices(self._table(self.probs / totals[:, None]), -(self.weights * jnp.log(totals)).sum())

    def choose(self, preference: jax.Array) -> Choices:
        """The sums of q_iz ∝ θ_iz exp(preference[y_i, z]), where preference [c z] is finite.

        Preferences of small classes reach −1e5, so the largest one with θ > 0 is subtracted from each row.
        """
        wanted = preference[self.labels]
        top = jnp.where(self.probs > 0, wanted, -jnp.inf).max(axis=1)
        top = jax.lax.stop_gradient(jnp.where(jnp.isfinite(top), top, 0))
        # Where θ is zero q is zero, but the exponential could overflow without this.
        powers = self.probs * jnp.exp(jnp.where(wanted > top[:, None], 0, wanted - top[:, None]))
        totals = nonzero_or_one(powers.sum(axis=1))
        table = self._table(powers / totals[:, None])
        log_normalizers = (self.weights * (top + jnp.log(totals))).sum()
        return Choices(table, (table * preference).sum() - log_normalizers)

    def _table(self, q):
        return class_sums(q, self.labels, self.weights, len(self.counts))[0]

    def expected(self, values: jax.Array) -> jax.Array:
        """[n] Σ_z θ_iz values_z."""
        return jnp.matmul(self.probs, values, precision=HIGHEST)

    def mass(self, shares: jax.Array) -> jax.Array:
        """[z] Σ_i w_i shares_i θ_iz."""
        return jnp.matmul(self.weights * shares, self.probs, precision=HIGHEST)

    def average(self, total: jax.Array) -> jax.Array:
        """The mean over examples, from their sum; NaN if there are none."""
        n = self.counts.sum()
        return jnp.where(n > 0, total / nonzero_or_one(n), jnp.nan)


def check_positive(function: str, name: str, value: float) -> None:
    """Raise unless an option is a finite number > 0; a traced value isn't checked."""
    if not isinstance(value, Tracer) and not (value > 0 and np.isfinite(value)):
        raise InputError(f"{function}: {name} must be a finite number > 0, got {value}; pass a positive number.")


def check_steps(function: str, num_steps: int) -> int:
    """The number of steps as an int; raise unless it is an int >= 0."""
    if isinstance(num_steps, bool) or not isinstance(num_steps, (int, np.integer)) or num_steps < 0:
        raise InputError(f"{function}: num_steps must be an int >= 0, got {num_steps!r}; pass 10, as in the paper.")
    return int(num_steps)
