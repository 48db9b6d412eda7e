"""How often does the 95 % interval of a verified metric contain the metric of a new head on fresh examples?

The interval accounts for the choice of the test examples, not for that of the training examples. Heads are judged by
cross-fitting, as `leepjax rank` does on small sets, and the new head is trained on all examples, as `leepjax choose`
writes it. Populations: three classes, features around a mean per class.
"""

import numpy as np
import sklearn.metrics
from measuring import report, size

import leepjax as lj
from leepjax.data.split import folds_of
from leepjax.ranking.bootstrap import bootstrap_weights
from leepjax.ranking.plan import REPEATS
from leepjax.ranking.verify_source import metric_interval
from leepjax.tasks import METRICS_OF
from leepjax.transfer.cross_fitting import cross_fit_heads
from leepjax.transfer.metric_draws import metric_draws, metric_value

RESAMPLES = 200  # as `leepjax rank` draws
CONFIDENCE = 0.95
N, FRESH, WIDTH, SEPARATION = 80, 3000, 5, 1.3
SHARES = ((1 / 3, 1 / 3, 1 / 3), (0.8, 0.15, 0.05))


def drawn(labels: np.ndarray, rng: np.random.Generator) -> np.ndarray:
    """Features [n WIDTH] of examples of the classes."""
    noise = rng.standard_normal((len(labels), WIDTH), dtype=np.float32)
    return noise + SEPARATION * np.eye(3, WIDTH, dtype=np.float32)[labels]


def judged(shares: tuple[float, ...], rng: np.random.Generator) -> dict[str, tuple[float, float, float]]:
    """Metric → the ends of its interval on a small set, and its value for a new head on fresh examples."""
    labels = rng.choice(3, N, p=shares)
    while np.bincount(labels, minlength=3).min() < 2:  # cross-fitting needs two examples of a class
        labels = rng.choice(3, N, p=shares)
    fresh = rng.choice(3, FRESH, p=shares)
    features = drawn(labels, rng)
    logits = cross_fit_heads(features, labels, 3, folds_of(labels, 5, REPEATS, 0))
    on_fresh = np.asarray(lj.retrain_head(features, labels, 3).head.logits(drawn(fresh, rng)))
    weights, found = bootstrap_weights(N, RESAMPLES, 0), {}
    for metric in METRICS_OF["classes"]:
        value, draws = metric_value(metric, logits, labels), metric_draws(metric, logits, labels, weights)
        ends = metric_interval(metric, CONFIDENCE, value, draws, labels, None)
        found[metric] = (*ends, metric_value(metric, on_fresh, fresh))
    return found


def assert_metrics_are_right() -> None:
    rng = np.random.default_rng(0)
    labels, logits = rng.integers(0, 3, 50), rng.standard_normal((50, 3))
    expected = sklearn.metrics.balanced_accuracy_score(labels, logits.argmax(axis=1))
    np.testing.assert_allclose(metric_value("balanced_accuracy", logits, labels), expected)


def cover(shares: tuple[float, ...], simulations: int) -> None:
    rng = np.random.default_rng(1)
    found = [judged(shares, rng) for _ in range(simulations)]
    for metric in METRICS_OF["classes"]:
        low, high, truth = np.array([each[metric] for each in found]).T
        share = np.mean((low <= truth) & (truth <= high))
        report(
            benchmark="coverage_metrics",
            metric=metric,
            n=N,
            shares=[round(each, 3) for each in shares],
            simulations=simulations,
            resamples=RESAMPLES,
            truth=float(f"{truth.mean():.4g}"),
            width=float(f"{(high - low).mean():.3g}"),
            covers=float(round(100 * share, 1)),
            monte_carlo_error=float(round(100 * np.sqrt(share * (1 - share) / simulations), 1)),
            entirely_below=float(round(100 * np.mean(high < truth), 1)),
            entirely_above=float(round(100 * np.mean(low > truth), 1)),
        )


def main() -> None:
    assert_metrics_are_right()
    for shares in SHARES[: 1 if size() == "small" else None]:
        cover(shares, simulations=3 if size() == "small" else 1000)


if __name__ == "__main__":
    main()
