"""Compare scores with accuracies (or another metric) that were measured elsewhere, joined by source and target."""

import itertools
import math
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Literal, NamedTuple

import numpy as np
from threadpoolctl import threadpool_limits

from leepjax.agreement.correlation import RESAMPLES, Interval, alike_if_rounding, estimates, significance_note, ties
from leepjax.agreement.few_sources import MOST
from leepjax.agreement.of_rows import statistics_of_rows
from leepjax.agreement.statistics import STATISTICS, p_value
from leepjax.printable import printable
from leepjax.tables import Format, Row, render, some
from leepjax.types import LOWER_IS_BETTER, METRICS, InputError, Metric

Over = Literal["sources", "targets"]

FEWEST = 3
"""With fewer items, correlations are meaningless."""

_MOST_SHOWN = 200
"""Comparisons that tables for people show; JSON and CSV hold all of them."""
_MOST_IN_ROWS = 300
"""With more items, comparing all pairs takes longer than SciPy's algorithms."""
_MOST_RESAMPLED, _FEWEST_RESAMPLES = 20_000_000, 200
"""How many items are resampled in all comparisons together, and the least number of resamples of each comparison."""

_CORRELATIONS = {"pearson": "Pearson r", "spearman": "Spearman ρ", "kendall": "Kendall τ", "weighted_tau": "weighted τ"}
_CHOICES = {"rel_at_1": "Rel@1", "rel_at_3": "Rel@3", "recall_at_1": "Recall@1", "recall_at_3": "Recall@3"}
_CHOICES |= {"regret": "regret"}


_Named = tuple[str, str]
"""A group and a measure."""


class Score(NamedTuple):
    """The score of one source on one target by one measure; NaN if it is undefined."""

    source: str
    target: str
    """Empty where there is only one."""
    measure: str
    value: float


class Accuracy(NamedTuple):
    """The accuracy of a source on a target."""

    source: str
    target: str
    """Empty where there is only one."""
    value: float
    """The accuracy, or the value of another metric as it was measured"""


class Comparison(NamedTuple):
    """One measure against the truth: over the sources of one target, or over the targets of one source."""

    group: str
    """The target, or the source."""
    measure: str
    n: int
    ties: int
    p_value: float
    """Two-sided p-value of Pearson's r being zero."""
    statistics: dict[str, Interval]
    """By the names of `STATISTICS`."""


@dataclass(frozen=True)
class Verification:
    """Every measure in every group against a metric; ``print(verification)`` shows the tables."""

    comparisons: tuple[Comparison, ...]
    over: Over
    without_accuracy: tuple[str, ...]
    """Sources on targets that have scores but no value of the metric."""
    without_score: tuple[str, ...]
    resamples: int = RESAMPLES
    """Number of resamples of the items, for the intervals that use them"""
    metric: Metric = "accuracy"
    """The metric that is compared with the scores; if lower is better, it is negated first."""

    def to_records(self) -> list[Row]:
        """One flat dictionary for each comparison; None where a number is undefined."""
        return [_record(comparison, self.over, self.metric) for comparison in self.comparisons]

    def render(self, format: Format = "table") -> str:
        """The comparisons as text; JSON and CSV hold `to_records`, the others tables for people, and the remarks."""
        if format in ("json", "csv"):
            return render(self.to_records(), format)
        parts = []
        for group, of_group in itertools.groupby(self._shown(), lambda comparison: comparison.group):
            rows = list(of_group)
            agreement = f"agreement with {METRICS[self.metric]}"
            for title, row in ((agreement, _agreement_row), ("result of choosing by each measure", _choice_row)):
                parts.append(render([row(c) for c in rows], format, f"{group or 'Scores'}: {title}"))
        if (more := len(self.comparisons) - _MOST_SHOWN) > 0:
            parts.append(f"{more:,} more comparisons aren't shown; JSON and CSV hold all of them.")
        return "\n\n".join([*parts, *map(printable, self.remarks())])

    def _shown(self) -> list[Comparison]:
        """The comparisons of the first groups, each group's together."""
        groups: dict[str, list[Comparison]] = {}
        for comparison in self.comparisons:
            groups.setdefault(comparison.group, []).append(comparison)
        return list(itertools.islice(itertools.chain.from_iterable(groups.values()), _MOST_SHOWN))

    def remarks(self) -> list[str]:
        """Remarks, in sentences, without which the tables could be over-interpreted."""
        sizes = sorted({comparison.n for comparison in self.comparisons})
        if len(sizes) > 3:  # the notes for the smallest and the largest size bound all others
            sizes = [sizes[0], sizes[-1]]
        remarks = [significance_note(n, self.over) for n in sizes]
        if self.metric in LOWER_IS_BETTER:
            name = METRICS[self.metric]
            remarks.append(
                f"Lower {name} is better: correlations are with its negative, so that positive ones mean agreement, "
                "and Rel@k is undefined."
            )
        if self.resamples < RESAMPLES:
            remarks.append(f"Each interval is of {self.resamples} resamples, as there are many comparisons.")
        for what, names in ((METRICS[self.metric], self.without_accuracy), ("score", self.without_score)):
            if names:
                remarks.append(f"Left out for lack of {'an' if what[0] in 'aA' else 'a'} {what}: {some(names)}.")
        return remarks

    def __str__(self) -> str:
        return self.render()


def verify(
    scores: Sequence[Score],
    truth: Sequence[Accuracy],
    *,
    over: Over = "sources",
    metric: Metric = "accuracy",
    seed: int = 0,
) -> Verification:
    """Compare every measure's scores with accuracies, or another metric, with intervals over the sources (or targets).

    Correlations over fewer than 30 items have the intervals of `leepjax.agreement.few_sources`, others a bootstrap's;
    Rel@k, Recall@k and regret have none. If lower values of the metric are better, its negative is compared, so that a
    positive correlation always means agreement.

    Scores and accuracies are joined by source and target; if one side names no target, the other must have only one.

    Raises:
        InputError: for two different scores of a source by one measure, or two accuracies, on one target; for a side
            without targets beside several; and when no target (no source) has three items with both numbers.
    """
    scores, truth = _with_targets(scores, truth)
    values = _distinct((s, (*_place(s), s.measure), s.measure) for s in scores)
    accuracies = _distinct((a, _place(a), METRICS[metric]) for a in truth)
    sign = -1 if metric in LOWER_IS_BETTER else 1
    groups = {(_group(score, over), score.measure): [] for score in values.values()}
    for score in values.values():
        if accuracy := accuracies.get(_place(score)):
            groups[_group(score, over), score.measure].append((score.value, sign * accuracy.value))
    columns = {named: _columns(pairs) for named, pairs in groups.items()}
    resamples = _num_resamples(columns.values())
    with threadpool_limits(1, "blas"):  # the matrices are small
        comparisons = tuple(_compare(columns, resamples, seed))
    scored = {_place(score): None for score in scores}
    if not scored.keys() & accuracies.keys():
        raise InputError(
            f"verify: expected sources with score and {METRICS[metric]}, got no common ones, such as "
            f"{_name_of(scores[0])} among the scores and {_name_of(truth[0])} in the truth; name them alike."
        )
    _check_enough(comparisons, over, metric)
    without_accuracy = tuple(_name_of(place) for place in scored if place not in accuracies)
    without_score = tuple(_name_of(place) for place in accuracies if place not in scored)
    return Verification(comparisons, over, without_accuracy, without_score, resamples, metric)


def _with_targets(scores: Sequence[Score], truth: Sequence[Accuracy]) -> tuple[list[Score], list[Accuracy]]:
    """Both sides, with the other's target added to a side that names none."""
    of_scores, of_truth = sorted({s.target for s in scores}), sorted({a.target for a in truth})
    for side, targets, others in (("truth", of_truth, of_scores), ("scores", of_scores, of_truth)):
        if targets == [""] and len(others) > 1:
            raise InputError(
                f"verify: expected a target for each row of the {side}, got none beside the {len(others)} targets "
                f"{', '.join(others[:3])}{' …' if len(others) > 3 else ''}; add a column target."
            )
    name = of_scores[0] or of_truth[0] if of_scores and of_truth else ""
    return [s if s.target else s._replace(target=name) for s in scores], [
        a if a.target else a._replace(target=name) for a in truth
    ]


def _place(row: Score | Accuracy) -> tuple[str, str]:
    return row.source, row.target


def _name_of(place: Sequence[Any]) -> str:
    source, target = place[:2]
    return f"{source} on {target}" if target else source


def _distinct(rows: Iterable[tuple[Any, tuple[str, ...], str]]) -> dict[tuple[str, ...], Any]:
    """The rows by their keys; a row may come twice, but not with two values."""
    found: dict[tuple[str, ...], Any] = {}
    for row, key, what in rows:
        first = found.setdefault(key, row).value
        if first != row.value and not (math.isnan(first) and math.isnan(row.value)):
            raise InputError(
                f"verify: expected one {what} of {_name_of(row)}, got {first:g} and {row.value:g}; keep one of them."
            )
    return found


def _group(score: Score, over: Over) -> str:
    return score.target if over == "sources" else score.source


def _columns(pairs: list[tuple[float, float]]) -> np.ndarray:
    """[2 n] the scores and the accuracies of the items that have both."""
    values = np.array(pairs, float).reshape(-1, 2)
    x, y = values[~np.isnan(values).any(axis=1)].T
    return np.stack([alike_if_rounding(x), y])


def _num_resamples(columns: Iterable[np.ndarray]) -> int:
    """Number of resamples of each comparison that uses them; fewer if there are many comparisons."""
    drawn_from = sum(values.shape[1] for values in columns if values.shape[1] > MOST)
    return int(np.clip(_MOST_RESAMPLED // max(drawn_from, 1), _FEWEST_RESAMPLES, RESAMPLES))


def _compare(columns: Mapping[_Named, np.ndarray], resamples: int, seed: int) -> Iterator[Comparison]:
    """The comparison of each group and measure; those of equally many items share the work on values."""
    alike: dict[int, list[_Named]] = {}
    for named, values in columns.items():
        alike.setdefault(values.shape[1], []).append(named)
    known: dict[_Named, tuple[int, float, list[float]]] = {}
    for n, those in alike.items():
        if FEWEST <= n <= _MOST_IN_ROWS:
            found = statistics_of_rows(*np.stack([columns[named] for named in those], axis=1))
            values = np.stack([found.values[name] for name in STATISTICS], axis=1)
            of_each = zip(found.ties.tolist(), found.p_values.tolist(), values.tolist(), strict=True)
            known |= dict(zip(those, of_each, strict=True))
    for named, (x, y) in columns.items():
        num_ties, p, values = known.get(named) or (ties(x, y), p_value(x, y), None)
        found = estimates(STATISTICS.values(), x, y, resamples=resamples, seed=seed, values=values)
        yield Comparison(*named, len(x), num_ties, p, dict(zip(STATISTICS, found, strict=True)))


def _check_enough(comparisons: Sequence[Comparison], over: Over, metric: Metric) -> None:
    most = max(comparisons, key=lambda comparison: comparison.n)
    if most.n < FEWEST:
        raise InputError(
            f"verify: expected at least {FEWEST} {over} with score and {METRICS[metric]}, got at most {most.n} "
            f"({most.measure}{f', {most.group}' if most.group else ''}); add {over} to both files."
        )


def _agreement_row(comparison: Comparison) -> Row:
    p = "–" if math.isnan(comparison.p_value) else f"{comparison.p_value:.3f}"
    shown = {title: comparison.statistics[name].show(2) for name, title in _CORRELATIONS.items()}
    return {"measure": comparison.measure, **shown, "p": p, "n": comparison.n, "ties": comparison.ties}


def _choice_row(comparison: Comparison) -> Row:
    shown = {title: comparison.statistics[name].show(3) for name, title in _CHOICES.items()}
    return {"measure": comparison.measure, **shown}


def _record(comparison: Comparison, over: Over, metric: Metric) -> Row:
    row: Row = {"target" if over == "sources" else "source": comparison.group, "measure": comparison.measure}
    row["metric"] = metric
    row |= {"n": comparison.n, "ties": comparison.ties, "p_value": comparison.p_value}
    for name, (value, low, high) in comparison.statistics.items():
        row |= {name: value, f"{name}_low": low, f"{name}_high": high}
    return {name: None if isinstance(value, float) and math.isnan(value) else value for name, value in row.items()}
