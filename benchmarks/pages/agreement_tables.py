"""The table of how each measure ranks the sources of each real target: one row per measure."""

from collections.abc import Callable, Iterator
from typing import Any

from results import lines


def measure_rows() -> Iterator[dict[str, str]]:
    """For each target: r and τ with the accuracies, the first choice, and its regret."""
    agreements = lines("real_sources_agreement")
    accuracies: dict[str, dict[str, float]] = {}
    for line in lines("real_sources"):
        accuracies.setdefault(line["target"], {})[line["source"]] = line["head_accuracy"]
    most = max((line["sources"] for line in agreements), default=0)
    for measure in dict.fromkeys(line["measure"] for line in agreements):
        row = {"measure": measure}
        for line in agreements:
            if line["measure"] == measure:
                row |= cells(line, accuracies[line["target"]], most)
        yield row


def cells(line: dict[str, Any], accuracies: dict[str, float], most: int) -> dict[str, str]:
    """The columns of one target; if a measure is undefined for some sources, the number of the others is shown."""
    target, few = line["target"], f" ({line['sources']} sources)" if line["sources"] < most else ""
    correlations = (f"{value:.2f}" if (value := line[name][0]) is not None else "–" for name in ("pearson", "kendall"))
    return {
        f"{target}: r / τ": " / ".join(correlations) + few,
        f"puts first, {target}": line["first"],
        f"regret, {target}": f"{max(accuracies.values()) - accuracies[line['first']]:.3f}",
    }


TABLES: dict[str, Callable[[], Iterator[dict[str, str]]]] = {"measures_on_real_targets": measure_rows}
