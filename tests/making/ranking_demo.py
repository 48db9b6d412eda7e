"""Rankings of made-up sources for tests of pages: any number of sources and measures, costs, undefined scores."""

import numpy as np
from report_pages import record

from leepjax.ranking import Ranking
from leepjax.storage.records import Cost, Record


def ranking_of(
    accuracies: dict[str, float],
    milliseconds: dict[str, float] | None = None,
    measures: tuple[str, ...] = ("leep", "logme"),
    metric: str = "accuracy",
    headless: tuple[str, ...] = (),
    verified: bool = True,
) -> Ranking:
    """A ranking with these accuracies and times per image; the scores of measures follow the accuracies with noise.

    Sources that are `headless` have no LEEP. Without `verified`, the scores are all there is.
    """
    rng = np.random.default_rng(0)
    noise, records = rng.normal(0, 0.004, 60), []
    for place, (source, accuracy) in enumerate(accuracies.items()):
        cost = _cost(milliseconds[source]) if milliseconds and source in milliseconds else None
        for measure in measures:
            score = None if source in headless and measure == "leep" else accuracy + rng.normal(0, 0.02)
            records.append(_drawn(source, measure, score, noise, place, cost=cost))
        if verified:
            records.append(_drawn(source, "head", accuracy, noise, place, cost=cost, metric=metric))
    return Ranking(tuple(records), measures, "head" if verified else None)


def _drawn(source: str, measure: str, value: float | None, noise: np.ndarray, place: int, **fields) -> Record:
    own = np.random.default_rng(place).normal(0, 0.002, len(noise))
    draws = () if value is None else tuple((value + noise + own).tolist())
    return record(source, measure, value, draws=draws, **fields)


def _cost(milliseconds: float) -> Cost:
    return Cost(
        seconds_per_image=milliseconds / 1000, flops_per_image=2e6, peak_bytes=3_000_000, weight_bytes=4_000_000
    )
