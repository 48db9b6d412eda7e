"""Logistic regression with L2 of many labels on the same examples, several weightings of them at once."""

from functools import partial
from typing import NamedTuple

import jax
import jax.numpy as jnp

from leepjax.kernels import HIGHEST

STEPS = 300
"""Largest number of steps of a fit."""


class Rotated(NamedTuple):
    """Features in the basis of their principal directions, in which the average Hessian is nearly diagonal."""

    x: jax.Array
    """[n r+1] coordinates, the last column ones, whose parameter is the bias"""
    curvatures: jax.Array
    """[r+1] mean square of each column"""
    basis: jax.Array
    """[d r]"""

    def kernel(self, params: jax.Array) -> jax.Array:
        """[d …] the kernel of features, of parameters [… r+1]."""
        return jnp.matmul(self.basis, params[..., :-1].T, precision=HIGHEST)


def rotated(x: jax.Array) -> Rotated:
    """Rotate centred features [n d]: the L2 penalty stays what it is."""
    n, d = x.shape
    if n >= d:
        squares, basis = jnp.linalg.eigh(jnp.matmul(x.T, x, precision=HIGHEST) / n)
    else:
        # The kernel lies in the span of the examples.
        basis, triangle = jnp.linalg.qr(x.T)
        squares, directions = jnp.linalg.eigh(jnp.matmul(triangle, triangle.T, precision=HIGHEST) / n)
        basis = jnp.matmul(basis, directions, precision=HIGHEST)
    coordinates = jnp.matmul(x, basis, precision=HIGHEST)
    ones = jnp.ones((n, 1), x.dtype)
    return Rotated(jnp.concatenate([coordinates, ones], 1), jnp.append(jnp.maximum(squares, 0), 1), basis)


def start_of(targets: jax.Array, weights: jax.Array, width: int) -> jax.Array:
    """[k t f] parameters that use only the frequency of each label: its log-odds, smoothed by half an example."""
    shares = jnp.einsum("kn,tn->kt", weights, targets)
    half = 0.5 / jnp.maximum((weights > 0).sum(axis=1, keepdims=True), 1)
    bias = jnp.log((shares + half) / (1 - shares + half))
    return jnp.zeros((*shares.shape, width), targets.dtype).at[..., -1].set(bias)


class _State(NamedTuple):
    params: jax.Array
    """[k t f]"""
    logits: jax.Array
    """[k t n]"""
    gradient: jax.Array
    """[k t f]"""
    before: jax.Array
    """[k t f] the gradient of the previous step"""
    norm: jax.Array
    """[k t] squared norm of that gradient in the metric of the preconditioner; 0 at first"""
    direction: jax.Array
    """[k t f]"""
    done: jax.Array
    """[k t]"""
    steps: jax.Array


def minimise(
    features: Rotated,
    targets: jax.Array,
    weights: jax.Array,
    l2: jax.Array | float,
    start: jax.Array,
    *,
    tolerance: jax.Array | float = 1e-6,
) -> jax.Array:
    """Minimise Σ_i w_i · cross-entropy_i + l2 / 2 · ‖kernel‖² for each of t labels in each of k fits, from `start`.

    Conjugate gradients (Polak and Ribière) with a Newton step along each direction; where that would raise the
    objective, the step is the one that can't, by the bound ¼ on the curvature of a cross-entropy. The preconditioner is
    diagonal in the rotated basis: the curvatures of the features times the mean p (1 − p) of the label, plus the
    penalty. A label that all weighted examples have, or none, keeps its start.

    Args:
        features: of n examples.
        targets: [t n] 0 or 1.
        weights: [k n] how much each example counts in each fit; each row sums to one.
        l2: strength of the penalty, > 0; the bias has none.
        start: [k t f].
        tolerance: the estimated distance to the minimum, relative to the objective, at which a label is done; with
            infinity, `start` is returned.

    Returns:
        [k t f] kernels in the rotated basis, with the biases in the last column.
    """
    penalty = jnp.full(features.x.shape[1], l2, features.x.dtype).at[-1].set(0)
    objective = _Objective(features, targets, weights, penalty)
    shares = jnp.einsum("kn,tn->kt", weights, targets)
    # Sums of weights are rounded: a share less than half an example from 0 or 1 counts as exactly 0 or 1.
    least = 0.5 / jnp.maximum((weights > 0).sum(axis=1, keepdims=True), 1)
    varies = (shares > least) & (shares < 1 - least)

    def goes_on(state):
        return ~state.done.all() & (state.steps < STEPS)

    logits = objective.product(start)
    first = objective.gradient(start, logits)
    done = ~varies | jnp.isinf(tolerance)
    state = _State(start, logits, first, first, jnp.zeros_like(shares), 0 * start, done, jnp.zeros((), int))
    return jax.lax.while_loop(goes_on, partial(objective.step, tolerance), state).params


class _Objective(NamedTuple):
    """The loss of each of t labels in each of k fits."""

    features: Rotated
    targets: jax.Array
    """[t n]"""
    weights: jax.Array
    """[k n]"""
    penalty: jax.Array
    """[f] L2 per parameter, zero for the bias"""

    def product(self, parameters):
        """[k t n] the logits under parameters [k t f], or their change along a direction [k t f]."""
        return jnp.einsum("nf,ktf->ktn", self.features.x, parameters, precision=HIGHEST)

    def value(self, params, logits):
        """[k t]"""
        losses = jax.nn.softplus(logits) - self.targets * logits
        return jnp.einsum("kn,ktn->kt", self.weights, losses) + (self.penalty * params**2).sum(axis=-1) / 2

    def gradient(self, params, logits):
        """[k t f]"""
        errors = self.weights[:, None] * (jax.nn.sigmoid(logits) - self.targets)
        return jnp.einsum("ktn,nf->ktf", errors, self.features.x, precision=HIGHEST) + self.penalty * params

    def step(self, tolerance, s: _State) -> _State:
        """A step along the conjugate direction, for the labels that aren't done."""
        probs = jax.nn.sigmoid(s.logits)
        spread = self.weights[:, None] * probs * (1 - probs)
        mean_spread = jnp.maximum(spread.sum(axis=-1, keepdims=True), 1e-6)
        scaled = s.gradient / (mean_spread * self.features.curvatures + self.penalty + 1e-6)
        norm = (s.gradient * scaled).sum(axis=-1)
        before = self.value(s.params, s.logits)
        done = s.done | (norm <= tolerance * before)
        direction = _conjugate(s, scaled, norm)

        change, slope = self.product(direction), (s.gradient * direction).sum(axis=-1)
        curvatures = self.curvatures(spread, change, direction)
        newton, safe = (jnp.where(done, 0, -slope / jnp.where(c > 0, c, jnp.inf)) for c in curvatures)
        reached = self.value(s.params + newton[..., None] * direction, s.logits + newton[..., None] * change)
        length = jnp.where(reached <= before, newton, safe)[..., None]
        params, logits = s.params + length * direction, s.logits + length * change
        return _State(params, logits, self.gradient(params, logits), s.gradient, norm, direction, done, s.steps + 1)

    def curvatures(self, spread, change, direction):
        """[k t] the second derivative along a direction, and [k t] its bound, in which p (1 − p) is ¼."""
        decay = (self.penalty * direction**2).sum(axis=-1)
        bound = jnp.einsum("kn,ktn->kt", self.weights, change**2) / 4 + decay
        return (spread * change**2).sum(axis=-1) + decay, bound


def _conjugate(s: _State, scaled, norm):
    """[k t f] the direction of Polak and Ribière; the preconditioned gradient `scaled` where it wouldn't descend."""
    turn = jnp.maximum(0, norm - (s.before * scaled).sum(axis=-1)) / jnp.where(s.norm > 0, s.norm, jnp.inf)
    direction = turn[..., None] * s.direction - scaled
    descends = ((s.gradient * direction).sum(axis=-1) < 0)[..., None]
    return jnp.where(descends, direction, -scaled)
