"""Multinomial logistic regression with L2, solved for several weightings of the same examples at once."""

from functools import partial
from typing import NamedTuple

import jax
import jax.numpy as jnp

# Step at which each preconditioner is replaced; the last number is the maximal number of steps.
STAGES = (10, 30, 400)
# Number of features from which solving with the preconditioner's factor in every step is faster than inverting it once.
WIDE = 512
# Largest distance of the objective to its minimum at which a fit ends, relative to the objective; estimated from the
# gradient.
TOLERANCE = 1e-6
# The bias of a class without examples: the minimiser is −∞, and this finite number has the same effect.
NEVER = -1e9


def with_ones(x: jax.Array) -> jax.Array:
    """[n d+1] features with a column of ones appended, whose parameter is the bias."""
    return jnp.concatenate([x, jnp.ones((len(x), 1), x.dtype)], axis=1)


def minimise(
    x: jax.Array,
    targets: jax.Array,
    weights: jax.Array,
    l2: jax.Array | float,
    start: jax.Array,
    *,
    tolerance: jax.Array | float = TOLERANCE,
    stages: tuple[int, ...] = STAGES,
) -> jax.Array:
    """Minimise Σ_i w_i · cross-entropy_i + l2 / 2 · ‖kernel‖² for k fits, from `start`.

    The method is conjugate gradients (Polak and Ribière) with a Newton step along each direction, so that each step
    takes one softmax and two products with `x`. The preconditioner is the inverse of the Hessian at the start of a
    stage, averaged over classes and fits: (Xᵀ diag(w ⊙ u) X + l2)⁻¹, with u the mean of p (1 − p), scaled so that it is
    exact where all classes are equally likely. If a step raises the objective, it is shortened to one that can't, by
    Böhning's bound: the Hessian nowhere exceeds ½ I ⊗ Xᵀ diag(w) X + l2.

    Args:
        x: [n f] features, the last column ones.
        targets: [c n] one-hot labels, one row per class.
        weights: [k n] how much each example counts in each fit; each row sums to one.
        l2: the strength of the penalty, > 0.
        start: [k c f] parameters; rows of classes without an example that counts must be zero, and stay zero.
        tolerance: the estimated distance to the minimum, relative to the objective, at which a fit ends;
            with infinity, `start` is returned.
        stages: step at which each preconditioner is replaced.

    Returns:
        [k c f] kernels, with the biases in the last column.

    Reference:
        Böhning, Multinomial logistic regression algorithm, Ann. Inst. Statist. Math. 44, 1992.
    """
    objective = _Objective.of(x, targets, weights, l2)
    limits = jnp.diff(jnp.asarray(stages), prepend=0)

    def stage(carry):
        params, index, _ = carry
        state = objective.state(params)
        step = partial(objective.step, objective.preconditioner(state.probs), tolerance)
        state = jax.lax.while_loop(partial(_goes_on, limits[index]), step, state)
        return state.params, index + 1, state.done.all()

    def unfinished(carry):
        return ~carry[2] & (carry[1] < len(stages))

    return jax.lax.while_loop(unfinished, stage, (start, 0, jnp.isinf(tolerance)))[0]


def logits_of(x: jax.Array, params: jax.Array) -> jax.Array:
    """[k c n] logits of examples [n f] under the parameters [k c f] of k fits."""
    return jnp.einsum("nf,kcf->kcn", x, params)


class _State(NamedTuple):
    """State of the conjugate gradients of k fits."""

    params: jax.Array
    """[k c f]"""
    logits: jax.Array
    """[k c n]"""
    probs: jax.Array
    """[k c n]"""
    value: jax.Array
    """[k]"""
    gradient: jax.Array
    """[k c f]"""
    before: jax.Array
    """[k c f] the gradient from which the last direction was computed"""
    norm: jax.Array
    """[k] squared norm of that gradient in the metric of the preconditioner"""
    direction: jax.Array
    """[k c f]"""
    retreat: jax.Array
    """[k] step back along the direction, ≤ 0; nonzero where the last step was too long"""
    done: jax.Array
    """[k]"""
    steps: jax.Array


class _Objective(NamedTuple):
    x: jax.Array
    weights: jax.Array
    own: jax.Array
    """[c n] one-hot labels as booleans"""
    class_sums: jax.Array
    """[k c f] Σ_i w_i x_i over the examples of each class, the linear part of the objective"""
    seen: jax.Array
    """[k c 1] whether each class has an example that counts"""
    penalty: jax.Array
    """[f] L2 per parameter, zero for the bias"""

    @classmethod
    def of(cls, x, targets, weights, l2):
        class_sums = jnp.einsum("cn,kn,nf->kcf", targets, weights, x)
        seen = jnp.einsum("cn,kn->kc", targets, weights)[..., None] > 0
        return cls(x, weights, targets > 0, class_sums, seen, jnp.full(x.shape[1], l2, x.dtype).at[-1].set(0))

    def state(self, params):
        logits = logits_of(self.x, params)
        value, _, probs, gradient = self.evaluate(params, logits)
        zero = jnp.zeros_like(value)
        return _State(
            params, logits, probs, value, gradient, gradient, zero, 0 * params, zero, zero > 0, jnp.zeros((), int)
        )

    def evaluate(self, params, logits):
        masked = jnp.where(self.seen, logits, -jnp.inf)
        highest = masked.max(axis=1, keepdims=True)
        powers = jnp.exp(masked - highest)
        sums = powers.sum(axis=1, keepdims=True)
        probs = powers / sums
        linear = self.penalty / 2 * params - self.class_sums
        norms, product = (jnp.log(sums) + highest)[:, 0], _dot(linear, params)
        value = (self.weights * norms).sum(axis=1) + product
        rounding = jnp.finfo(value.dtype).eps * ((self.weights * jnp.abs(norms)).sum(axis=1) + jnp.abs(product))
        # 1 − p of the own class is summed from the other classes: near p = 1 a subtraction would cancel to zero.
        missing = jnp.where(self.own, 0, powers).sum(axis=1, keepdims=True) / sums
        errors = self.weights[:, None] * jnp.where(self.own, -missing, probs)
        return value, rounding, probs, jnp.einsum("nf,kcn->kcf", self.x, errors) + self.penalty * params

    def preconditioner(self, probs):
        """A function that multiplies gradients [k c f] by the inverse of the Hessian averaged over fits and classes."""
        contrasts = jnp.maximum(self.seen.sum(axis=1, dtype=probs.dtype) - 1, 1)
        spread = (self.weights * (1 - (probs**2).sum(axis=1)) / contrasts).mean(axis=0)
        hessian = (self.x * spread[:, None]).T @ self.x
        # Add a little, so that rounding can't make it indefinite: a preconditioner needn't be exact.
        ridge = self.penalty + 1e-6 * jnp.trace(hessian) + 1e-30
        factor = jnp.linalg.cholesky(hessian + jnp.diag(ridge))
        if len(factor) > WIDE:
            return lambda gradient: _solve(factor, gradient)
        inverse = _solve(factor, jnp.eye(len(factor), dtype=factor.dtype))
        return lambda gradient: gradient @ inverse

    def step(self, precondition, tolerance, s: _State) -> _State:
        back = s.retreat < 0
        scaled = precondition(s.gradient)
        norm = _dot(s.gradient, scaled)
        done = ~back & (s.done | (norm <= tolerance * s.value))
        turn = jnp.maximum(0, norm - _dot(s.before, scaled)) / jnp.where(s.norm > 0, s.norm, jnp.inf)
        direction = _each(turn) * s.direction - scaled
        direction = jnp.where(_each(_dot(s.gradient, direction) < 0), direction, -scaled)
        direction = jnp.where(_each(back), s.direction, direction)

        change, slope = logits_of(self.x, direction), _dot(s.gradient, direction)
        curvature, bound = self.curvatures(s.probs, change, direction)
        newton, safe = (-slope / jnp.where(c > 0, c, jnp.inf) for c in (curvature, bound))
        length = jnp.where(back, s.retreat, jnp.where(done, 0, newton))
        params, logits = s.params + _each(length) * direction, s.logits + _each(length) * change
        value, rounding, probs, gradient = self.evaluate(params, logits)
        # The objective is convex: if it still falls at the end of a step, it fell along the whole step. Near the
        # minimum it changes by less than it is rounded.
        rose = ~back & (value > s.value + rounding) & (_dot(gradient, direction) > 0)
        retreat = jnp.where(rose, safe - newton, 0)
        before, norm = jnp.where(_each(back), s.before, s.gradient), jnp.where(back, s.norm, norm)
        return _State(params, logits, probs, value, gradient, before, norm, direction, retreat, done, s.steps + 1)

    def curvatures(self, probs, change, direction):
        """[k] the second derivative of the objective along a direction, and [k] Böhning's bound on it."""
        mean, square = (probs * change).sum(axis=1), (probs * change**2).sum(axis=1)
        highest = jnp.where(self.seen, change**2, 0).sum(axis=1) / 2
        decay = _dot(self.penalty * direction, direction)
        return (self.weights * (square - mean**2)).sum(axis=1) + decay, (self.weights * highest).sum(axis=1) + decay


def _goes_on(limit, state):
    return (~state.done | (state.retreat < 0)).any() & (state.steps < limit)


def _solve(factor, gradient):
    rows = gradient.reshape(-1, len(factor))
    return jax.scipy.linalg.cho_solve((factor, True), rows.T).T.reshape(gradient.shape)


def _dot(a, b):
    return (a * b).sum(axis=(1, 2))


def _each(values):
    return values[:, None, None]
