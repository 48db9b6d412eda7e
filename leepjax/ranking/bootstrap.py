"""Intervals for measures: resampled examples as weights, all resamples in one compiled program."""

import logging
import math
from functools import partial
from typing import Any

import jax
import numpy as np
import scipy.special

from leepjax.measures import FurtherMeasure, Measure
from leepjax.measures.by_task import evidence_of, measure_of
from leepjax.ranking.draws import defined
from leepjax.types import InputError, check_whole

# How many numbers the temporaries of a batch of resamples may have: 256 MiB in float32.
_BUDGET = 2**26
# How many arrays XLA holds at a time, each of the size that a measure's row states as memory.
_ARRAYS = 6
# How many resamples are scored again in float64 at once; one program serves any number of resamples.
_AGAIN = 8
# Probs are padded with columns of zeros to a multiple of this width, so that sources with few classes share programs.
_WIDTH, _WIDEST = 16, 64


def bootstrap_weights(num_examples: int, resamples: int, seed: int, groups: np.ndarray | None = None) -> np.ndarray:
    """[resamples n] how often each example is drawn in each resample; with groups [n], whole groups are drawn."""
    if groups is not None:
        names, numbers = np.unique(groups, return_inverse=True)
        return bootstrap_weights(len(names), resamples, seed)[:, numbers]
    uniform = np.full(num_examples, 1 / num_examples)
    return np.random.default_rng(seed).multinomial(num_examples, uniform, size=resamples).astype(np.float32)


FEWEST_RESAMPLES = 10
"""Fewer say nothing about how far a value varies."""


def check_resamples(caller: str, resamples: int) -> None:
    """Check the number of resamples.

    Raises:
        InputError: for anything but 0 or at least `FEWEST_RESAMPLES`.
    """
    check_whole(caller, "resamples", resamples, 0)
    if 0 < resamples < FEWEST_RESAMPLES:
        raise InputError(
            f"{caller}: expected 0 or at least {FEWEST_RESAMPLES} resamples, got {resamples}; pass 0 for no intervals."
        )


def warn_of_few_resamples(resamples: int, confidence: float) -> None:
    """Warn if none of the resamples is expected beyond one of the ends of an interval."""
    needed = math.ceil(round(2 / (1 - confidence), 6))
    if 0 < resamples < needed:
        logging.getLogger("leepjax").warning(
            "Intervals with a confidence of %g %% need at least %s resamples, got %s: they may be too narrow.",
            100 * confidence,
            f"{needed:,}",
            f"{resamples:,}",
        )


def score_with_draws(
    measure: str,
    features: jax.Array | np.ndarray | None,
    probs: jax.Array | np.ndarray | None,
    labels: jax.Array | np.ndarray,
    num_classes: int,
    weights: np.ndarray,
) -> tuple[float, np.ndarray]:
    """A measure's score [] and its value in each resample [resamples]; NaN where it is undefined.

    Of `features` [n d] and `probs` [n z], the one that the measure doesn't read may be None; for a measure of outputs,
    `probs` are logits. Labels are [n] classes, or columns [n num_classes] of numbers or of 0 and 1.
    """
    row = measure_of(measure)
    # An array that isn't read is left out, or the program would be compiled again for its shape in each source.
    features, probs = (features, None) if evidence_of(row) == "features" else (None, _padded(row, probs))
    # The whole set is one more resample, in which each example is drawn once: one program computes both.
    weights = np.concatenate([np.ones((1, len(labels)), np.float32), weights])
    if isinstance(row, Measure) and row.resampled is not None:
        values = row.resampled(features if probs is None else probs, labels, num_classes, weights)
    else:
        values = np.full(len(weights), np.nan, np.float32)
    if (missing := np.flatnonzero(np.isnan(values))).size:
        size = batch_of(row, np.shape(probs if features is None else features), num_classes, len(missing))
        values[missing] = _scored(measure, num_classes, size, features, probs, labels, weights[missing])
    if (unresolved := np.flatnonzero(np.isnan(values))).size:
        wide = [None if x is None else np.asarray(x, np.float64) for x in (features, probs)]
        with jax.enable_x64(True):
            for few in np.split(unresolved, range(_AGAIN, len(unresolved), _AGAIN)):
                again = weights[np.resize(few, _AGAIN)]
                values[few] = _score_each(measure, num_classes, 1, *wide, labels, again)[: len(few)]
    return float(values[0]), values[1:]


def _scored(measure, num_classes, batch_size, features, probs, labels, weights) -> np.ndarray:
    """The score for each of the weights, padded to whole batches, since a smaller batch would need another program."""
    missing = -len(weights) % batch_size
    whole = np.concatenate([weights, weights[:missing]]) if missing else weights
    found = _score_each(measure, num_classes, batch_size, features, probs, labels, whole)
    return np.array(found)[: len(weights)]


def compile_scores(
    measure: str, shape: tuple[int, int], labels: jax.ShapeDtypeStruct, num_classes: int, resamples: int
) -> None:
    """Compile what `score_with_draws` runs for a measure's evidence [n width] in float32, without the evidence."""
    row, (n, width) = measure_of(measure), shape
    if not width or (isinstance(row, Measure) and row.resampled is not None):
        return
    width += _missing_columns(row, width)
    size = batch_of(row, (n, width), num_classes, resamples + 1)
    evidence, weights = (
        jax.ShapeDtypeStruct(each, np.float32) for each in ((n, width), (resamples + 1 + -(resamples + 1) % size, n))
    )
    features, probs = (evidence, None) if evidence_of(row) == "features" else (None, evidence)
    _score_each.lower(measure, num_classes, size, features, probs, labels, weights).compile()


def _padded(row: Measure | FurtherMeasure, probs: Any) -> Any:
    """Probs [n z], padded with columns of zeros if there are few classes, so that sources share programs."""
    missing = 0 if probs is None else _missing_columns(row, probs.shape[1])
    return np.pad(np.asarray(probs), ((0, 0), (0, missing))) if missing else probs


def _missing_columns(row: Measure | FurtherMeasure, width: int) -> int:
    """How many columns of zeros are added to evidence of this width; source classes without mass change no score."""
    is_padded = isinstance(row, Measure) and row.reads != "features" and width <= _WIDEST
    return -width % _WIDTH if is_padded else 0


def batch_of(row: Measure | FurtherMeasure, shape: tuple[int, ...], num_classes: int, resamples: int) -> int:
    """How many resamples of evidence [n width] are scored at once: as many as fit, in batches of equal size."""
    most = int(np.clip(_BUDGET // _numbers_held(row, shape, num_classes), 1, resamples))
    return -(-resamples // -(-resamples // most))


def _numbers_held(row: Measure | FurtherMeasure, shape: tuple[int, ...], num_classes: int) -> int:
    """About how many numbers the temporaries of a resample of evidence [n width] have, by XLA's analysis of programs.

    Resamples share the probs that they read, but each has its own weighted features.
    """
    (n, width), c = shape, num_classes
    if evidence_of(row) != "features":
        return _ARRAYS * max(row.numbers_held(n=n, z=width, c=c), n)
    return _ARRAYS * max(row.numbers_held(n=n, d=width, c=c), n * (width + c) + width**2)


def ends_of_range(measure: str, features: Any, labels: Any) -> tuple[float, float]:
    """The ends of a measure's range for features [n d] and its labels, for `interval`; infinite where it has none."""
    row = measure_of(measure)
    if row.ends is None:
        low, high = row.range[1:-1].split(", ")
        return _end(low, -math.inf), _end(high, math.inf)
    return row.ends(features.shape[1], len(np.unique(labels)) if np.ndim(labels) == 1 else labels.shape[1])


def _end(text: str, infinite: float) -> float:
    """An end of a range as the table has it; one that depends on the evidence counts as none."""
    try:
        return float(text.replace("−", "-").replace("∞", "inf"))
    except ValueError:
        return infinite


def interval(
    value: float, draws: np.ndarray, confidence: float, ends: tuple[float, float] = (-math.inf, math.inf)
) -> tuple[float, float]:
    """The percentile interval of a score's draws, centred on the score. Undefined draws are left out; the ends are NaN
    if these are more than half of the draws, or if there is none.

    The interval is for the expected score at this n: the mean over fresh sets of as many examples. By this score,
    sources that are scored on the same examples are compared. The interval isn't for the score of the whole population:
    measures that fit a table or a covariance to the examples differ from it, by more than the interval's width if there
    are many classes or features for n. Duplicates in a resample raise these measures further, so the draws are shifted
    to have the score as their mean (`about`).

    With two `ends` of a measure's range, the interval is computed on log-odds, log((x − low) / (high − x)): near an
    end, draws are crowded, and vary less than scores of fresh sets do. If the score or a draw is at an end, or the
    range has only one end, percentiles beyond an end are moved to it.

    92 to 98 % of 95 % intervals contained the expected score (`benchmarks/correctness/coverage.py`).
    """
    draws = np.asarray(draws)[defined(np.atleast_2d(draws))]
    if not draws.size:
        return math.nan, math.nan
    tail, (first, last) = (1 - confidence) / 2, ends
    if math.isinf(last - first) or not all(first < x < last for x in (value, draws.min(), draws.max())):
        low, high = np.quantile(about(value, draws), (tail, 1 - tail))
        # Rounding may put the score itself beyond an end.
        return float(max(low, min(first, value))), float(min(high, max(last, value)))
    odds = about(_log_odds(value, ends), _log_odds(draws, ends))
    low, high = first + (last - first) * scipy.special.expit(np.quantile(odds, (tail, 1 - tail)))
    return float(low), float(high)


def _log_odds(scores: Any, ends: tuple[float, float]) -> Any:
    return np.log(scores - ends[0]) - np.log(ends[1] - scores)


def about(value: float, draws: np.ndarray) -> np.ndarray:
    """Shift draws to have the score as their mean: they show how much a score varies, but not where it lies."""
    return value + draws - draws.mean()


@partial(jax.jit, static_argnums=(0, 1, 2))
def _score_each(measure, num_classes, batch_size, features, probs, labels, weights):
    def score(where):
        return measure_of(measure).score(features, probs, labels, num_classes=num_classes, where=where)

    return jax.lax.map(score, weights, batch_size=batch_size)
