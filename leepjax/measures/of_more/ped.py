"""PED (Li et al., ICCV 2023): features whose classes have pushed each other apart, for any measure to score."""

from collections.abc import Callable
from functools import partial
from typing import NamedTuple

import jax
import jax.numpy as jnp
from jax.typing import ArrayLike

from leepjax.checks.arrays import check_features, check_finite
from leepjax.kernels import in_auto_axes, unit_of
from leepjax.measures.of_features.logme import logme
from leepjax.statistics.fisher import Classes
from leepjax.types import InputError

# The least deviation that a feature is divided by, as in the authors' code.
LEAST_STD = 1e-3
STEPS = 6
EXIT_RATIO = 0.5


class _Motion(NamedTuple):
    moved: jax.Array
    """[c d] how far the means are from where they started"""
    first: jax.Array
    """the size of the first step"""
    goes_on: jax.Array
    steps: jax.Array


def ped(
    features: ArrayLike,
    labels: ArrayLike,
    *,
    measure: Callable[..., jax.Array] = logme,
    reference: ArrayLike | None = None,
    radius: float = 0.6,
    time_step: float = 0.1,
    stiffness: float = 1.0,
    num_classes: int | None = None,
    where: ArrayLike | None = None,
) -> jax.Array:
    """A measure of features, after the classes have been moved as fine-tuning is likely to move them.

    Classes are balls that repel each other where they overlap (`ped_features`). So a source whose overlapping classes
    would soon be separated by fine-tuning isn't scored as if they stayed together.

    Args:
        features: [n d] finite numbers, the input of the source's head.
        labels: [n] integer target classes in [0, num_classes).
        measure: any measure of features, called as ``measure(features, labels, num_classes=…, where=…)``.
        reference: [r d] features of the source's own data, which standardise the motion; those of the target when left
            out.
        radius: radius of the balls, in units of the root mean square distance of a class's examples from its mean. The
            authors take 0.3 or 0.6.
        time_step: of the motion.
        stiffness: force per unit of overlap.
        num_classes: c; read from the labels when left out, needed under `jax.jit`.
        where: [n] mask of the examples that count, or non-negative weights.

    Returns:
        The measure's score of the moved features; NaN where the measure is NaN.

    Raises:
        InputError: for a radius, time step or stiffness that isn't positive, or a reference of another width; outside
            jit, for features or a reference that aren't finite, labels out of range or shapes that don't fit.

    >>> from leepjax import logme, ped
    >>> features, labels = [[-1.0], [-2], [1], [2], [0], [0.5]], [0, 0, 1, 1, 0, 1]
    >>> print(f"{logme(features, labels):.4f} {ped(features, labels, radius=2, time_step=1):.4f}")
    -1.0301 -1.0072

    Reference:
        Li, Hu, Ge, Shan, Duan, *Exploring Model Transferability through the Lens of Potential Energy*, ICCV 2023,
        arXiv:2308.15074, algorithm 1.
    """
    options = {"reference": reference, "radius": radius, "time_step": time_step, "stiffness": stiffness}
    arguments = _checked("ped", features, labels, num_classes, where, **options)
    c = arguments[0].num_classes
    return measure(_moved_features(*arguments), labels, num_classes=c, where=where)


def ped_features(
    features: ArrayLike,
    labels: ArrayLike,
    *,
    reference: ArrayLike | None = None,
    radius: float = 0.6,
    time_step: float = 0.1,
    stiffness: float = 1.0,
    num_classes: int | None = None,
    where: ArrayLike | None = None,
) -> jax.Array:
    """Features whose classes have pushed each other apart where they overlapped.

    In standardised units, class y is a ball around its mean μ_y of radius ρ r_y, where r_y² is the sum of its features'
    variances. Two balls that overlap by o = max(ρ (r_y + r_z) − ‖μ_y − μ_z‖, 0) repel each other with a force k·o. From
    rest and in a time δ, this force moves each by min(½ δ² k o, o) along the line through their means. There are at
    most six steps; they end when the classes together move by no more than half of what they moved in the first step.
    A class moves as a whole.

    Args:
        features: [n d] finite numbers, the input of the source's head.
        labels: [n] integer target classes in [0, num_classes).
        reference: [r d] features of the source's own data, which standardise the motion; those of the target when left
            out.
        radius: ρ.
        time_step: δ.
        stiffness: k.
        num_classes: c; read from the labels when left out, needed under `jax.jit`. Absent classes have no effect.
        where: [n] mask of the examples that count, or non-negative weights. Hidden rows stay where they are.

    Returns:
        [n d] features. With one class, or classes that don't overlap, they are unchanged. NaN when no example counts.

    Raises:
        InputError: as `ped`.

    >>> from leepjax import ped_features
    >>> features, labels = [[-1.0], [1], [0], [2]], [0, 0, 1, 1]
    >>> print([f"{x:.1f}" for x in ped_features(features, labels, time_step=1).ravel()])
    ['-1.1', '0.9', '0.1', '2.1']

    Notes:
        Follows the authors' code (lixiaotong97/PED), which needs a reference. There is no line through two equal means:
        that code divides by zero, and here such classes don't repel each other. Only means move, so that a step takes
        O(c² d) time and O(c d) memory, where the code holds [c c d] numbers.
    """
    options = {"reference": reference, "radius": radius, "time_step": time_step, "stiffness": stiffness}
    return _moved_features(*_checked("ped_features", features, labels, num_classes, where, **options))


def _checked(function, features, labels, num_classes, where, reference, **positive):
    arguments = check_features(function, features, labels, num_classes, where)
    for name, value in positive.items():
        if not value > 0:
            raise InputError(f"{function}: expected {name} > 0, got {value}; pass a positive number.")
    if reference is not None:
        reference = jnp.asarray(reference, arguments.evidence.dtype)
        if reference.ndim != 2 or reference.shape[1] != arguments.evidence.shape[1]:
            raise InputError(
                f"{function}: expected reference of {arguments.evidence.shape[1]} features per row, got shape "
                f"{reference.shape}; pass the same source's features of its own data."
            )
        check_finite(function, "reference", reference, None)
    push = positive["time_step"] ** 2 / 2 * positive["stiffness"]
    return arguments, reference, positive["radius"], min(push, 1.0)


def _moved_features(arguments, reference, radius, push):
    features, labels, where, num_classes = arguments
    compute = partial(_move, num_classes=num_classes)
    return in_auto_axes(compute, features, labels, where, reference, radius, push)


@partial(jax.jit, static_argnames="num_classes")
def _move(features, labels, where, reference, radius, push, num_classes):
    unit = unit_of(features, where)
    classes = Classes.of(features * (1 / unit), labels, where, num_classes)
    if reference is None:
        std = jnp.sqrt(jnp.diagonal(classes.total))
    else:
        reference_unit = unit_of(reference)
        std = (reference * (1 / reference_unit)).std(axis=0) * (reference_unit / unit)
    std = jnp.maximum(std, LEAST_STD / unit)
    squares = jax.ops.segment_sum(classes.weights * ((classes.residuals / std) ** 2).sum(axis=1), labels, num_classes)
    present = classes.counts > 0
    radii = radius * jnp.sqrt(squares / jnp.where(present, classes.counts, 1))
    moves = _pushed_apart(classes.means / std, radii, present, push) * std
    return features + jnp.where(classes.weights[:, None] > 0, moves[labels] * unit, 0)


def _pushed_apart(means, radii, present, push):
    """[c d] how far the means have moved after the last step."""

    def moves_of(means, own):
        mean, radius, is_present = own
        away = mean - means
        distance = jnp.sqrt((away**2).sum(axis=1))
        overlap = jnp.maximum(radius + radii - distance, 0)
        apart = present & is_present & (distance > 0)
        return (jnp.where(apart, push * overlap / jnp.where(apart, distance, 1), 0)[:, None] * away).sum(axis=0)

    def step(motion):
        now = means + motion.moved
        moves = jax.lax.map(partial(moves_of, now), (now, radii, present))
        change = jnp.abs(moves).sum()
        first = jnp.where(motion.steps == 0, change, motion.first)
        goes_on = (change > EXIT_RATIO * first) & (change > 0)
        return _Motion(motion.moved + jnp.where(goes_on, moves, 0), first, goes_on, motion.steps + 1)

    start = _Motion(jnp.zeros_like(means), jnp.zeros((), means.dtype), jnp.array(True), jnp.array(0))
    return jax.lax.while_loop(lambda motion: motion.goes_on & (motion.steps < STEPS), step, start).moved
