"""Do correlations that others published follow from the columns above them, and how wide are their intervals?

python benchmarks --size full published

Reads the tables of `peers.py`, which aren't part of this repository, and copies none: what is reported are statistics.
"""

import math
from collections.abc import Iterator
from itertools import combinations

import numpy as np
import peers
import scipy.stats
from measuring import report, size
from peers import Setting

from leepjax.agreement import (
    STATISTICS,
    critical_r,
    difference,
    estimate,
    kendall,
    p_value,
    pearson,
    significant_digits,
    weighted_tau,
)
from leepjax.agreement.statistics import Statistic

PRINTED = 3
"""Decimals of the published correlations."""
COMPARED = {"pearson": pearson, "weighted_tau": weighted_tau}


def assert_right() -> None:
    """Check our statistics against SciPy's, on a column with ties."""
    x, y = np.array([1.0, 2, 2, 3, 5]), np.array([0.1, 0.3, 0.2, 0.2, 0.4])
    assert math.isclose(pearson(x, y), scipy.stats.pearsonr(x, y).statistic)
    assert math.isclose(weighted_tau(x, y), scipy.stats.weightedtau(x, y).statistic)


def rounded_alike(setting: Setting, measure: str, accuracy: np.ndarray, tries: int) -> Iterator[tuple]:
    """Columns that round to the printed ones: a published correlation may have been computed before the rounding."""
    rng = np.random.default_rng(0)
    half_x, half_y = (0.5 * 10.0 ** -setting.decimals[name] for name in (measure, "accuracy"))
    yield setting.scores[measure], accuracy
    for _ in range(tries):
        noise_x, noise_y = rng.uniform(-1, 1, (2, len(accuracy)))
        yield setting.scores[measure] + half_x * noise_x, accuracy + half_y * noise_y


def follows(published: float, values: list[float]) -> str:
    """Whether a printed correlation equals the first value, is possible given the columns' rounding, or neither."""
    if round(values[0], PRINTED) == published:
        return "exactly"
    half = 0.5 * 10.0**-PRINTED
    return "rounding" if min(values) - half <= published <= max(values) + half else "no"


def compare_with_published(tries: int) -> None:
    """One line per data set of tllib: its eight printed correlations against ours."""
    published, settings = peers.published_correlations(), peers.tllib()
    for setting in settings:
        cells = {}
        for name, statistic in COMPARED.items():
            for measure in setting.scores:
                printed = published[setting.target, name, measure]
                values = [statistic(x, y) for x, y in rounded_alike(setting, measure, setting.accuracy, tries)]
                cells[f"{measure} {name}"] = [printed, round(values[0], PRINTED), follows(printed, values)]
        count = {kind: sum(cell[2] == kind for cell in cells.values()) for kind in ("exactly", "rounding", "no")}
        report(benchmark="published_cells", target=setting.target, models=len(setting.accuracy), cells=cells, **count)
        if count["no"] > 1:
            for other in settings:
                if other.target != setting.target:
                    tell_exchanged(setting, other, published, tries)


def tell_exchanged(setting: Setting, other: Setting, published: dict, tries: int) -> None:
    """Would another data set's accuracies explain the printed values? Reported if they give three of the four r."""
    explained = {
        name: [
            measure
            for measure in setting.scores
            if follows(
                published[setting.target, name, measure],
                [statistic(x, y) for x, y in rounded_alike(setting, measure, other.accuracy, tries)],
            )
            != "no"
        ]
        for name, statistic in COMPARED.items()
    }
    if len(explained["pearson"]) > 2:
        report(benchmark="published_exchanged", target=setting.target, accuracies_of=other.target, **explained)


def complete(x: np.ndarray, y: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    there = ~np.isnan(x + y)
    return x[there], y[there]


def tell_agreement(settings: list[Setting]) -> None:
    """One line per table and measure: correlations over its targets, and how wide their intervals are."""
    groups: dict[tuple[str, str], list[tuple[np.ndarray, np.ndarray]]] = {}
    for setting in settings:
        for measure, scores in setting.scores.items():
            groups.setdefault((setting.table, measure), []).append(complete(scores, setting.accuracy))
    for (table, measure), pairs in groups.items():
        pairs = [(significant_digits(x), y) for x, y in pairs]
        found = {name: [estimate(STATISTICS[name], x, y) for x, y in pairs] for name in COMPARED}
        r, tau = (np.array(intervals) for intervals in found.values())
        sizes = sorted(len(y) for _, y in pairs)
        report(
            benchmark="published_agreement",
            table=table,
            measure=measure,
            targets=len(pairs),
            sources=[sizes[0], sizes[-1]],
            critical_r=rounded(critical_r(sizes[len(sizes) // 2])),
            undefined=int(np.isnan(r[:, 0]).sum()),
            pearson=spread(r[:, 0]),
            pearson_width=spread(r[:, 2] - r[:, 1])[1],
            without_zero=int(((r[:, 1] > 0) | (r[:, 2] < 0)).sum()),
            significant=sum(p_value(x, y) < 0.05 for x, y in pairs),
            weighted_tau=spread(tau[:, 0]),
            weighted_tau_width=spread(tau[:, 2] - tau[:, 1])[1],
            rel_at_1=spread(np.array([STATISTICS["rel_at_1"](x, y) for x, y in pairs])),
        )


def tell_differences(table: list[Setting]) -> None:
    """One line per table: how many pairs of its measures a paired bootstrap distinguishes."""
    told, pairs = dict.fromkeys(COMPARED, 0), 0
    for setting in table:
        for (_, one), (_, other) in combinations(setting.scores.items(), 2):
            pairs += 1
            for name, statistic in COMPARED.items():
                found = difference(statistic, one, other, setting.accuracy)
                told[name] += found.low > 0 or found.high < 0
    report(benchmark="published_differences", table=table[0].table, targets=len(table), pairs=pairs, **told)


def spread(values: np.ndarray) -> list[float | None]:
    """The lowest, the median and the highest of the defined values."""
    defined = values[~np.isnan(values)]
    return [rounded(f(defined)) if len(defined) else None for f in (np.min, np.median, np.max)]


def rounded(value: float) -> float:
    return round(float(value), 4)


def anomalies(setting: Setting) -> Iterator[tuple[str, str]]:
    """Yield (column, reason) for columns that are impossible or can't rank anything."""
    for name, x in setting.scores.items():
        plain = name.lower().replace("-", "").replace("_", "")
        bound = setting.classes - 1 if setting.classes and plain in ("hscore", "hscorer", "reghscore") else math.inf
        # A regularised H-score may pass c − 1 by n/(n − 1); no other does.
        if above := int((x > 1.01 * bound).sum()):
            yield name, f"{above} of {len(x)} above the bound of c − 1 = {bound}, up to {np.nanmax(x):.4g}"
        elif 2 * (at := int((x > 0.99 * bound).sum())) >= len(x):
            yield name, f"{at} of {len(x)} within 1 % of the bound of c − 1 = {bound}"
        if plain in ("leep", "nce") and (above := int((x > 0).sum())):
            yield name, f"{above} of {len(x)} log-likelihoods above 0"
        values, counts = np.unique(np.round(x[~np.isnan(x)], 6), return_counts=True)
        if not len(values):
            yield name, "empty"
        elif 2 * counts.max() >= len(x):
            yield name, f"{counts.max()} of {len(x)} are {values[counts.argmax()]:.6g}"
        for other, y in setting.scores.items():
            if name < other and np.array_equal(x, y, equal_nan=True):
                yield f"{name}, {other}", "the same column twice"


def tell_anomalies(settings: list[Setting]) -> None:
    """One line per anomaly, with the targets in which it occurs."""
    found: dict[tuple[str, str], dict[str, str]] = {}
    for setting in settings:
        for column, what in anomalies(setting):
            found.setdefault((setting.table, column), {})[setting.target] = what
    for (table, column), targets in found.items():
        report(benchmark="published_anomaly", table=table, column=column, targets=targets)


RANKED_BY = {
    "kendall": kendall,
    "weighted_tau": weighted_tau,
    "absolute weighted_tau": lambda x, y: abs(weighted_tau(x, y)),
}


def compare_ranks(settings: list[Setting]) -> None:
    """Are measures ranked on MedMNIST as in its authors' table of Kendall's τ, and by which τ?"""
    for kind in ("dataset", "model"):
        ranks = peers.medmnist_ranks(kind)
        here = {setting.target: setting for setting in settings if setting.table == f"MedMNIST, {kind}s"}
        equal = {
            name: sum(
                own == printed[measure]
                for target, printed in ranks.items()
                for measure, own in ranked(here[target], printed, statistic).items()
            )
            for name, statistic in RANKED_BY.items()
        }
        report(benchmark="published_ranks", kind=kind, targets=len(ranks), ranks=sum(map(len, ranks.values())), **equal)


def ranked(setting: Setting, measures: dict[str, int], statistic: Statistic) -> dict[str, int]:
    """Measure → its rank by how well it orders the sources; undefined comes last."""
    values = {}
    for measure in measures:
        value = statistic(*complete(setting.scores[measure], setting.accuracy))
        values[measure] = -math.inf if math.isnan(value) else value
    return {measure: 1 + sum(other > value for other in values.values()) for measure, value in values.items()}


def main() -> None:
    assert_right()
    if not peers.PEERS.is_dir():
        report(benchmark="published", skipped="no shared data")
        return
    full = size() == "full"
    compare_with_published(400 if full else 10)
    settings = peers.every() if full else [*peers.tllib(), *peers.medmnist()]
    tell_agreement(settings if full else settings[:2])
    for table in (peers.tllib(), peers.model_spider()) if full else [settings[:2]]:
        tell_differences(table)
    tell_anomalies(settings)
    compare_ranks(settings)


if __name__ == "__main__":
    main()
