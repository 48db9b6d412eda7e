"""The steps around a measure's kernel: check arguments, choose how the kernel runs, and check the rows of probs.

A kernel is a compiled function ``kernel(evidence, labels, where, num_classes=…, **options)`` that trusts its arguments.
"""

from collections.abc import Callable
from functools import partial
from typing import Any

import jax
from jax.typing import ArrayLike

from leepjax.checks.arrays import Arguments, check_features, check_probs, check_rows
from leepjax.kernels import in_auto_axes, of_features


def score_features(
    function: str,
    kernel: Callable[..., Any],
    features: ArrayLike,
    labels: ArrayLike,
    num_classes: int | None,
    where: ArrayLike | None,
    *,
    run: Callable[..., Any] = of_features,
    exact: Callable[..., Any] | None = None,
    **options: Any,
) -> Any:
    """Check the arguments of a measure of features [n d], and run its kernel.

    Args:
        function: the measure's name, for error messages.
        kernel: as described above, with features as its evidence.
        features: as passed to the measure, like the following three.
        labels: likewise.
        num_classes: likewise.
        where: likewise.
        run: `of_features`, which computes in float64 if a few rows dwarf all others, or `resolved` for kernels that
            such rows don't harm.
        exact: a slower, more exact kernel for the same score, used in float64.
        options: keyword arguments of the kernel.
    """
    arguments = check_features(function, features, labels, num_classes, where)
    return score(arguments, kernel, run=run, exact=exact, **options)


def score_probs(
    function: str,
    kernel: Callable[..., Any],
    probs: ArrayLike,
    labels: ArrayLike,
    num_classes: int | None,
    where: ArrayLike | None,
    *,
    run: Callable[..., Any] | None = in_auto_axes,
    **options: Any,
) -> Any:
    """Check the arguments of a measure of probs [n z], whose rows must be distributions, and run its kernel."""
    return score(check_probs(function, probs, labels, num_classes, where), kernel, run=run, **options)


def score_rows(
    function: str,
    kernel: Callable[..., Any],
    probs: ArrayLike,
    labels: ArrayLike,
    num_classes: int | None,
    where: ArrayLike | None,
    *,
    from_logits: bool = False,
    run: Callable[..., Any] | None = None,
    **options: Any,
) -> Any:
    """As `score_probs`, for a kernel that returns the score and the sums [n] of the rows, by which rows are checked."""
    arguments = check_probs(function, probs, labels, num_classes, where, read_rows=False)
    result, totals = score(arguments, kernel, run=run, **options)
    check_rows(function, arguments, totals, logits=from_logits)
    return result


def score(
    arguments: Arguments,
    kernel: Callable[..., Any],
    *,
    run: Callable[..., Any] | None = in_auto_axes,
    exact: Callable[..., Any] | None = None,
    **options: Any,
) -> Any:
    """Run a kernel on checked arguments. With None for `run` it is called directly: it handles sharded rows itself.

    The result is waited for: the evidence may be the caller's own memory, which may change after the return.
    """
    options |= {"num_classes": arguments.num_classes}
    if run is None:
        return jax.block_until_ready(kernel(*arguments[:3], **options))
    wide = {} if exact is None else {"exact": partial(exact, **options)}
    return run(partial(kernel, **options), *arguments[:3], **wide)
