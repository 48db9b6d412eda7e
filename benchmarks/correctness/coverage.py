"""How often does the 95 % interval of a score contain the score that it estimates?

The interval is for the *expected score at this n*: the mean over fresh sets of as many examples from the same
population. For measures that fit a table or a covariance to the examples, this is higher than the score of the whole
population (n → ∞), which is also reported. In the populations, one logit is raised for each class (LEEP), or features
lie around a mean per class and are cut at zero (H-score, LogME). Other intervals from the same draws are compared.
"""

from typing import NamedTuple

import numpy as np
import scipy.stats
from measuring import report, size
from problems import assert_leep_is_right, reference

import leepjax as lj
from leepjax.ranking.bootstrap import bootstrap_weights, ends_of_range, interval, score_with_draws

RESAMPLES = 200  # as `leepjax rank` draws
CONFIDENCE = 0.95


class Setting(NamedTuple):
    """A measure, its population and the number of examples."""

    measure: str
    n: int
    width: int
    num_classes: int
    separation: float


SETTINGS = [
    Setting("leep", 40, 10, 2, 2),
    Setting("leep", 60, 10, 10, 2),
    Setting("leep", 200, 20, 10, 1),
    Setting("leep", 200, 20, 10, 4),
    *(
        Setting(measure, *shape)
        for measure in ("h_score", "logme")
        for shape in ((60, 8, 3, 0.5), (60, 8, 3, 2), (100, 16, 5, 0.5))
    ),
]


def drawn(setting: Setting, n: int, rng: np.random.Generator) -> tuple[np.ndarray, np.ndarray]:
    """Features or probabilities [n width] and labels [n] of n examples of the setting's population."""
    labels = rng.integers(0, setting.num_classes, n)
    noise = rng.standard_normal((n, setting.width), dtype=np.float32)
    if setting.measure == "leep":
        noise[np.arange(n), labels % setting.width] += setting.separation
        return np.asarray(scipy.special.softmax(noise, axis=1)), labels
    means = np.random.default_rng(99).standard_normal((setting.num_classes, setting.width), dtype=np.float32)
    return np.maximum(noise + setting.separation * means[labels] + 0.5, 0), labels


def scored(setting: Setting, n: int, resamples: int, rng: np.random.Generator) -> tuple[float, np.ndarray]:
    """The score of n fresh examples, and its draws."""
    evidence, labels = drawn(setting, n, rng)
    features, probs = (None, evidence) if setting.measure == "leep" else (evidence, None)
    weights = bootstrap_weights(n, resamples, 0)
    return score_with_draws(setting.measure, features, probs, labels, setting.num_classes, weights)


def assert_scores_are_right(settings: list[Setting]) -> None:
    assert_leep_is_right()
    for setting in settings:
        features, labels = drawn(setting, setting.n, np.random.default_rng(0))
        expected = getattr(reference, setting.measure)(features.astype(np.float64), labels)
        score = lj.MEASURES[setting.measure].score(features, None, labels, num_classes=setting.num_classes)
        np.testing.assert_allclose(score, expected, rtol=1e-4, atol=1e-5)


def ends_of(setting: Setting) -> tuple[float, float]:
    """The ends of the measure's range, which are passed to the interval."""
    features, labels = np.empty((0, setting.width)), np.arange(setting.num_classes)
    return ends_of_range(setting.measure, features, labels)


def covered(ends: np.ndarray, truth: float) -> float:
    """Per cent of intervals [s 2] that hold the truth."""
    return float(round(100 * np.mean((ends[:, 0] <= truth) & (truth <= ends[:, 1])), 1))


def cover(setting: Setting, simulations: int, fresh: int, population: int) -> None:
    rng = np.random.default_rng(1)
    found = [scored(setting, setting.n, RESAMPLES, rng) for _ in range(simulations)]
    values, draws = np.array([value for value, _ in found]), np.stack([of_set for _, of_set in found])
    expected = np.mean([scored(setting, setting.n, 0, rng)[0] for _ in range(fresh)])
    limit = scored(setting, population, 0, rng)[0]
    ends = np.array([interval(value, of_set, CONFIDENCE, ends_of(setting)) for value, of_set in found])
    percentile = np.quantile(draws, (0.025, 0.975), axis=1).T
    basic = 2 * values[:, None] - percentile[:, ::-1]
    sd = draws.std(axis=1, ddof=1)[:, None] * scipy.stats.t.ppf(0.975, setting.n - 1)
    corrected = 2 * values[:, None] - draws.mean(axis=1)[:, None] + sd * np.array([-1, 1])
    share = covered(ends, expected) / 100
    report(
        benchmark="coverage",
        **setting._asdict(),
        simulations=simulations,
        resamples=RESAMPLES,
        expected=float(f"{expected:.5g}"),
        population=float(f"{limit:.5g}"),
        sd=float(f"{values.std():.3g}"),
        covers_expected=covered(ends, expected),
        monte_carlo_error=float(round(100 * np.sqrt(share * (1 - share) / simulations), 1)),
        entirely_below=float(round(100 * np.mean(ends[:, 1] < expected), 1)),
        entirely_above=float(round(100 * np.mean(ends[:, 0] > expected), 1)),
        covers_population=covered(ends, limit),
        plain_percentile_covers_expected=covered(percentile, expected),
        plain_percentile_covers_population=covered(percentile, limit),
        basic_covers_population=covered(basic, limit),
        bias_corrected_covers_population=covered(corrected, limit),
    )


def main() -> None:
    if size() == "small":
        assert_scores_are_right(SETTINGS[4::3])  # one setting of each measure
        cover(SETTINGS[0], simulations=5, fresh=5, population=1000)
        return
    assert_scores_are_right(SETTINGS[4:])
    for setting in SETTINGS:
        cover(setting, simulations=1000, fresh=1000, population=20_000)


if __name__ == "__main__":
    main()
