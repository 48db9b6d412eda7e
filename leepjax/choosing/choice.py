"""The answer of `leepjax.choose`."""

import math
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np

from leepjax.choosing.best import best_first, probabilities_of_best
from leepjax.choosing.budget import Budget
from leepjax.choosing.looks import Answer, Standing
from leepjax.choosing.outcomes import metric_of_probe
from leepjax.choosing.steps import Chosen, Judged, Tuned
from leepjax.choosing.words import sentences
from leepjax.ranking.draws import fewest
from leepjax.storage.records import Failure
from leepjax.tables import Format, Row, render
from leepjax.types import LOWER_IS_BETTER, NOUNS, Kind, Metric, Noun, Task


@dataclass(frozen=True)
class Choice:
    """The source to take, those that can't be distinguished from it, and how they were found.

    It prints as sentences and a table.
    """

    target: str
    num_examples: int
    """Number of examples of the race and of training, without those of the test set."""
    num_classes: int
    """Number of classes; for other tasks, how many numbers or labels there are."""
    metric: Metric
    confidence: float
    race: Answer
    task: Task = "classes"
    examples: Kind = "images"
    """What the target's examples are."""
    num_test: int = 0
    """Number of examples of the test set; 0 if training examples are held out in turn."""
    judged: tuple[Judged, ...] = ()
    """Sources judged by heads on held-out examples, the best first."""
    tuned: tuple[Tuned, ...] = ()
    """Fine-tuned sources, in the order in which they were trained."""
    failures: tuple[Failure, ...] = ()
    spent: float = 0.0
    """Seconds of passes, compilation, probes, heads and fine-tuning."""
    passed: float = 0.0
    """Seconds of passes alone, without compilation."""
    rows_read: int | None = None
    """How many rows of tables were read; None if a source is a network."""
    budget: Budget = field(default_factory=Budget)
    finished: bool = True
    """False if the choice was interrupted: the answer is then based on what was known."""
    path: Path | None = None
    """The trained network, written as a source; None without a folder."""
    _shares: dict[str, float] = field(default_factory=dict, repr=False, compare=False)

    def __post_init__(self) -> None:
        object.__setattr__(self, "judged", tuple(best_first(self.judged)))
        shares = probabilities_of_best(self.judged)
        self._shares.update(zip((each.source for each in self.judged), shares.tolist(), strict=True))

    @property
    def key(self) -> str:
        """The key under which ``examples.json`` has the images of the page."""
        return f"choice {self.target}"

    @property
    def probed_by(self) -> Metric:
        """The metric of `Standing.value`."""
        return metric_of_probe(self.metric, self.task)

    @property
    def noun(self) -> Noun:
        """What messages call its examples."""
        return NOUNS[self.examples]

    @property
    def source(self) -> str:
        """The source to take; if heads can't distinguish several, the one with the smallest losses in the race."""
        if self.tuned:
            return max(self._last_tuned(), key=self._worth).source
        by_heads = self._leaders_by_heads() or [self.race.leader]
        return next((each for each in self.race.survivors if each in by_heads), by_heads[0])

    @property
    def trained(self) -> str:
        """How to train it: ``finetune`` if that was better on the same examples, otherwise ``head``."""
        tuned = [each for each in self._last_tuned() if each.source == self.source]
        return "finetune" if tuned and self._signed(tuned[0].value) > self._signed(tuned[0].head) else "head"

    @property
    def value(self) -> float | None:
        """The expected metric on new examples; None when no head was trained."""
        if self.trained == "finetune":
            return next(each.value for each in self._last_tuned() if each.source == self.source)
        return next((each.value for each in self.judged if each.source == self.source), None)

    @property
    def interval(self) -> tuple[float, float] | None:
        """The interval of `value`, for heads; None where it is undefined."""
        if self.trained == "finetune":
            return None
        ends = [(each.low, each.high) for each in self.judged if each.source == self.source]
        return next(((low, high) for low, high in ends if low is not None and high is not None), None)

    @property
    def p_best(self) -> dict[str, float]:
        """Judged source → the probability that it has the best head, computed as in `leepjax.Ranking.p_best`; NaN where
        that is undefined.
        """
        return dict(self._shares)

    @property
    def leaders(self) -> tuple[str, ...]:
        """The sources that can't be distinguished from the chosen one at the confidence; the chosen one first."""
        failed = {each.source for each in self.failures}
        unjudged = [name for name in self.race.leaders if name not in self._shares and name not in failed]
        return tuple(dict.fromkeys([self.source, *self._leaders_by_heads(), *unjudged]))

    @property
    def full_cost(self) -> float:
        """The expected seconds of passing all images, including the test set, through all sources."""
        return self.race.full_cost * (self.num_examples + self.num_test) / self.num_examples

    @property
    def saved(self) -> float:
        """Seconds of passes that weren't needed."""
        return max(self.full_cost - self.passed, 0.0)

    def to_records(self) -> list[Row]:
        """A row for each source, the chosen one first."""
        leaders, judged = self.leaders, {each.source: each for each in self.judged}
        rows = [self._row(each, leaders, judged.get(each.source)) for each in last_standings(self.race)]
        places = {name: place for place, name in enumerate(leaders)}
        return sorted(rows, key=lambda row: places.get(row["source"], len(places)))

    def render(self, format: Format = "table") -> str:
        """Render the choice as sentences and a table, or its records as JSON, CSV or Markdown."""
        if format in ("json", "csv"):
            return render(self.to_records(), format)
        return "\n".join([*sentences(self), "", render(self._shown(), format)])

    def __str__(self) -> str:
        return self.render()

    def chosen(self) -> Chosen:
        """The answer as a step."""
        low, high = self.interval or (None, None)
        return Chosen(
            source=self.source,
            leaders=self.leaders,
            trained=self.trained,
            metric=self.metric,
            value=self.value,
            low=low,
            high=high,
            spent=self.spent,
            full_cost=self.full_cost,
            passed=self.passed,
            race_leaders=self.race.leaders,
            race_cost=self.race.full_cost,
            ended=self.race.ended,
            failures=tuple((failure.source, failure.reason) for failure in self.failures),
            finished=self.finished,
            rows_read=self.rows_read,
        )

    def _row(self, last: "LastStanding", leaders: tuple[str, ...], judged: Judged | None) -> Row:
        standing = last.standing
        state = "chosen" if last.source == self.source else "leader" if last.source in leaders else ""
        if last.source not in self.p_best and standing.dropped:
            state = ""  # dropped by the race, and a leader only because nothing shows that it is worse
        row: Row = {
            "source": last.source,
            "state": state or standing.dropped or ("judged" if judged else "in the race"),
            "examples": last.num_examples,
            f"probe_{self.probed_by}": standing.value,
            "behind": standing.behind,
            self.metric: judged and judged.value,
            "low": judged and judged.low,
            "high": judged and judged.high,
            "P(best)": self._shares.get(last.source),
            "seconds": round(last.seconds, 3),
        }
        # JSON has no NaN.
        return {name: None if isinstance(it, float) and math.isnan(it) else it for name, it in row.items()}

    def _shown(self) -> list[Row]:
        rows: list[dict[str, Any]] = []
        for row in self.to_records():
            low, high = row.pop("low"), row.pop("high")
            shown = {}
            for name, value in row.items():
                shown[name] = value
                if name == self.metric:
                    shown["interval"] = "–" if low is None else f"[{low:.3f}, {high:.3f}]"
            rows.append(shown)
        return rows

    def _leaders_by_heads(self) -> list[str]:
        if not self.judged:
            return []
        shares = np.array(list(self._shares.values()))
        if np.isnan(shares).all():  # nothing distinguishes them
            return list(self._shares)
        held = fewest(shares, self.confidence)
        return [name for name, leads in zip(self._shares, held, strict=True) if leads]

    def _last_tuned(self) -> list[Tuned]:
        """The fine-tuned sources that were trained for the most epochs."""
        most = max((each.epochs for each in self.tuned), default=0)
        return [each for each in self.tuned if each.epochs == most]

    def _signed(self, value: float | None) -> float:
        """A value of the metric as higher is better; an undefined one is the worst."""
        if value is None:
            return -math.inf
        return -value if self.metric in LOWER_IS_BETTER else value

    def _worth(self, tuned: Tuned) -> float:
        """The metric of the better way to train a source: if fine-tuning makes it worse, that of its head."""
        return max(self._signed(tuned.value), self._signed(tuned.head))


@dataclass(frozen=True)
class LastStanding:
    """The standing of a source at its last look, and its cost over all looks."""

    source: str
    standing: Standing
    num_examples: int
    look: int
    seconds: float


def last_standings(race: Answer) -> list[LastStanding]:
    """Every source at its last look: the survivors first, then those dropped last."""
    seconds: dict[str, float] = {}
    for look in race.looks:
        for each in look.standings:
            seconds[each.source] = seconds.get(each.source, 0.0) + each.seconds
    found: dict[str, LastStanding] = {}
    for look in reversed(race.looks):
        for each in look.standings:
            examples = look.num_examples if each.loss is not None else 0
            last = LastStanding(each.source, each, examples, look.number, seconds[each.source])
            found.setdefault(each.source, last)
    return list(found.values())
