"""How often does the 95 % interval of a correlation over sources contain the correlation of all such sources?

Sources are drawn at random from a population of scores and accuracies whose underlying normal variables correlate by ρ:

- `normal`: the normal variables themselves;
- `heavy`: both divided by the same χ (t with 5 degrees of freedom), so that some sources are far out in both;
- `saturating`: accuracies near an upper end, as a logistic function of the normal ones;
- `tied`: both rounded, to about five values each;
- `choices`: as `normal`, with accuracies of 0.7 ± 0.1, for statistics of choices.

Intervals are for Pearson's r, Spearman's ρ and Kendall's τ-b of 20,000 sources. Weighted τ has no limit, so its
interval is for the mean over sets of the same number of sources; the same holds for choices (Rel@k, Recall@k, regret).
*percentile* is the bootstrap interval, which was used before; *now* is that of `estimate`.
"""

import math
from collections.abc import Callable
from functools import partial

import numpy as np
import scipy.stats
from measuring import report, size

from leepjax.agreement import STATISTICS, difference, estimate, pearson
from leepjax.agreement.choices import recall_of_rows, regret_of_rows, rel_of_rows
from leepjax.agreement.resampling import of_resamples, resample

RESAMPLES = 1000  # as `estimate` draws
CORRELATIONS = ("pearson", "spearman", "kendall", "weighted_tau")
CHOICES = {
    "rel_at_1": partial(rel_of_rows, k=1),
    "rel_at_3": partial(rel_of_rows, k=3),
    "recall_at_1": partial(recall_of_rows, k=1),
    "recall_at_3": partial(recall_of_rows, k=3),
    "regret": regret_of_rows,
}
NORMAL = (0.0, 0.5, 0.9)
SOURCES = (5, 9, 14)
OTHERS = (("heavy", 0.5, SOURCES), ("saturating", 0.8, (9,)), ("tied", 0.8, (9,)))

Pairs = tuple[np.ndarray, np.ndarray]
Ends = tuple[float, float]


def drawn(population: str, rho: float, m: int, rng: np.random.Generator) -> Pairs:
    """Scores and accuracies [m] of fresh sources."""
    x, noise = rng.standard_normal((2, m))
    y = rho * x + math.sqrt(1 - rho * rho) * noise
    if population == "heavy":
        scale = np.sqrt(5 / rng.chisquare(5, m))
        return x * scale, y * scale
    if population == "choices":
        return x, 0.7 + 0.1 * y
    if population == "saturating":
        return x, 1 / (1 + np.exp(-1.5 * y - 2))
    return (np.round(x), np.round(y)) if population == "tied" else (x, y)


def truth(name: str, draw: Callable[[int], Pairs], m: int, sets: int) -> float:
    """The value for 20,000 sources; for weighted τ and choices, the mean over sets of m sources."""
    if name in ("pearson", "spearman", "kendall"):
        return STATISTICS[name](*draw(20_000))
    return float(np.nanmean([STATISTICS[name](*draw(m)) for _ in range(sets)]))


def percentile(name: str, x: np.ndarray, y: np.ndarray) -> Ends:
    drawn_sources = resample(len(x), RESAMPLES, 0)
    if name in CHOICES:
        values = CHOICES[name](x[drawn_sources.draws], y[drawn_sources.draws])
    else:
        values = of_resamples(STATISTICS[name], x, y, drawn_sources)
    low, high = np.nanpercentile(values, (2.5, 97.5))
    return float(low), float(high)


def coverage(ends: list[Ends], value: float) -> dict[str, float | None]:
    """The percentage of defined intervals that contain a value, with its Monte Carlo error."""
    there = np.array([pair for pair in ends if not math.isnan(pair[0])]).reshape(-1, 2)
    if not len(there):
        return {"covers": None, "error": None, "unavailable": 100.0}
    # An end that equals the value apart from rounding, such as 1 for a perfect order, contains it.
    share = float(np.mean((there[:, 0] <= value + 1e-9) & (value - 1e-9 <= there[:, 1])))
    error = math.sqrt(share * (1 - share) / len(there))
    numbers = {"covers": 100 * share, "error": 100 * error, "unavailable": 100 * (1 - len(there) / len(ends))}
    return {name: round(number, 1) for name, number in numbers.items()}


def assert_intervals_are_right() -> None:
    """Compare Fisher's interval and resampled τ with SciPy."""
    x, y = drawn("normal", 0.5, 9, np.random.default_rng(0))
    expected = scipy.stats.pearsonr(x, y).confidence_interval(0.95)
    np.testing.assert_allclose(estimate(pearson, x, y)[1:], expected, atol=1e-9)
    draws = resample(9, RESAMPLES, 0).draws
    taus = [scipy.stats.kendalltau(x[i], y[i]).statistic for i in draws]  # pyright: ignore[reportAttributeAccessIssue]
    np.testing.assert_allclose(percentile("kendall", x, y), np.nanpercentile(taus, (2.5, 97.5)))


def cover(population: str, rho: float, m: int, simulations: int, names: tuple[str, ...] = CORRELATIONS) -> None:
    rng = np.random.default_rng(m)
    draw = lambda m: drawn(population, rho, m, rng)  # noqa: E731
    sets = [draw(m) for _ in range(simulations)]
    for name in names:
        defined = [(x, y) for x, y in sets if not math.isnan(STATISTICS[name](x, y))]
        value = truth(name, draw, m, 2 * simulations)
        now = [estimate(STATISTICS[name], x, y, resamples=RESAMPLES)[1:] for x, y in defined]
        report(
            benchmark="coverage_sources",
            population=population,
            rho=rho,
            sources=m,
            statistic=name,
            simulations=len(defined),
            truth=round(value, 4),
            percentile=coverage([percentile(name, x, y) for x, y in defined], value),
            now=coverage(now, value),
        )


def cover_differences(a: float, b: float, m: int, simulations: int) -> None:
    """Coverage for two measures that correlate with accuracy by a and b, and whose errors correlate by 0.6."""
    rng = np.random.default_rng(m)
    sets = []
    for _ in range(simulations):
        y, own, other = rng.standard_normal((3, m))
        x1, x2 = a * y + math.sqrt(1 - a * a) * own, b * y + math.sqrt(1 - b * b) * (0.6 * own + 0.8 * other)
        sets.append((x1, x2, y))
    drawn_sources = resample(m, RESAMPLES, 0)
    for name, value in (("pearson", a - b), ("kendall", 2 / math.pi * (math.asin(a) - math.asin(b)))):
        statistic = STATISTICS[name]
        before = []
        for x1, x2, y in sets:
            values = (of_resamples(statistic, x, y, drawn_sources) for x in (x1, x2))
            low, high = np.nanpercentile(np.subtract(*values), (2.5, 97.5))
            before.append((float(low), float(high)))
        report(
            benchmark="coverage_differences",
            correlations=[a, b],
            sources=m,
            statistic=name,
            simulations=simulations,
            percentile=coverage(before, value),
            now=coverage([difference(statistic, *each, resamples=RESAMPLES)[1:] for each in sets], value),
        )


def main() -> None:
    assert_intervals_are_right()
    if size() == "small":
        cover("tied", 0.8, 9, 5)
        cover_differences(0.9, 0.6, 5, 5)
        return
    for rho in NORMAL:
        for m in SOURCES:
            cover("normal", rho, m, 1000)
    for population, rho, sources in OTHERS:
        for m in sources:
            cover(population, rho, m, 1000)
    for m in SOURCES:
        cover_differences(0.9, 0.6, m, 1000)
    for m in (5, 14, 60):
        cover("choices", 0.7, m, 1000, tuple(CHOICES))
    cover("normal", 0.5, 30, 1000, ("pearson", "kendall"))


if __name__ == "__main__":
    main()
