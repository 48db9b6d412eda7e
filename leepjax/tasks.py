"""The metrics of each task, and how their values are written."""

import math
from typing import get_args

from leepjax.types import METRICS, InputError, Metric, Task, unknown_name

METRICS_OF: dict[Task, tuple[Metric, ...]] = {
    "classes": ("accuracy", "balanced_accuracy", "macro_f1", "log_loss", "auroc"),
    "regression": ("r2", "mae", "spearman"),
    "multilabel": ("map", "macro_f1", "auroc"),
}
"""Task → its metrics, the default one first."""

WORDS: dict[Task, str] = {"classes": "classes", "regression": "numbers", "multilabel": "several labels"}
"""Task → what messages call its labels."""

ENDS: dict[str, tuple[float, float]] = {
    "accuracy": (0, 1),
    "balanced_accuracy": (0, 1),
    "macro_f1": (0, 1),
    "auroc": (0, 1),
    "map": (0, 1),
    "spearman": (-1, 1),
    "r2": (-math.inf, 1),
    "log_loss": (0, math.inf),
    "mae": (0, math.inf),
}
"""Metric → the ends of its range."""

_SHARES = {name for name, ends in ENDS.items() if ends == (0, 1)}


def metric_for(caller: str, task: Task, asked: Metric | None) -> Metric:
    """The metric of a task: the one `asked` for, or else its default.

    Raises:
        InputError: for a metric of another task; it names those that fit.
    """
    fitting = METRICS_OF[task]
    if asked is None or asked in fitting:
        return asked or fitting[0]
    raise InputError(
        f"{caller}: expected a metric of {WORDS[task]} ({', '.join(fitting)}), got {asked}, which is one of "
        f"{' and '.join(WORDS[each] for each, names in METRICS_OF.items() if asked in names)}; "
        "choose one of these, or pass another task."
    )


def check_metric(metric: str | None) -> None:
    """Check that a metric is one of any task.

    Raises:
        InputError: for an unknown name.
    """
    if metric is not None and metric not in get_args(Metric):
        raise unknown_name("metric", metric, get_args(Metric))


def level(metric: str, value: float) -> str:
    """A value of a metric with its name: in per cent, nats, the unit of the numbers, or as it is.

    >>> level("accuracy", 0.912), level("r2", 0.7134), level("mae", 12.345)
    ('accuracy 91.2 %', 'R² 0.713', 'MAE 12.3')
    """
    return (
        f"{METRICS[metric]} {100 * value:.1f} %" if metric in _SHARES else f"{METRICS[metric]} {_plain(metric, value)}"
    )


def difference(metric: str, gap: float) -> str:
    """A difference of two values of a metric.

    >>> difference("accuracy", 0.0123), difference("log_loss", 0.1), difference("r2", 0.05)
    ('1.2 points', '0.100 nats', '0.050')
    """
    if metric in _SHARES:
        return f"{100 * gap:.1f} points"
    return f"{_plain(metric, gap)} nats" if metric == "log_loss" else _plain(metric, gap)


def heading(metric: str) -> str:
    """A metric's name at the beginning of a sentence.

    >>> heading("macro_f1"), heading("map"), heading("mae")
    ('Macro F1', 'mAP', 'MAE')
    """
    name = METRICS[metric]
    return name[0].upper() + name[1:] if name[:2].islower() else name


def _plain(metric: str, value: float) -> str:
    return f"{value:.3g}" if metric == "mae" else f"{value:.3f}"
