"""Tables of decisions: strategies by collection, measures by part of it, probabilities against frequencies."""

from collections.abc import Callable, Iterator
from functools import partial
from typing import Any

from results import lines

from leepjax.measures import MEASURES

Rows = Iterator[dict[str, Any]]


def regret(values: list[float]) -> str:
    return "{:.2f} [{:.2f}, {:.2f}]".format(*values)


def strategies(collection: str, group: str = "all") -> Rows:
    """The strategies of one collection, the least regret first."""
    found = lines("decisions", collection=collection, group=group)
    for line in sorted(found, key=lambda line: line["regret_1"][0]):
        yield {
            "strategy": line["strategy"],
            "decisions": line["decisions"],
            "regret@1": regret(line["regret_1"]),
            "regret@3": regret(line["regret_3"]),
            "best": f"{line['best']:.0%}",
            "within 1 point": f"{line['within_1']:.0%}",
            "forward passes": f"{line['passes']:.0%}",
            "seconds": "–" if line["seconds"] is None else f"{line['seconds']:.0%}",
        }


def measures(collections: tuple[str, ...]) -> Rows:
    """Regret of the first choice by each measure alone, in each part of the collections."""
    found = [line for collection in collections for line in lines("decisions", collection=collection)]
    found = [line for line in found if line["group"] not in ("all", "odd numbers")]
    names = [name for name in MEASURES if any(line["strategy"] == name for line in found)]
    for group in dict.fromkeys(line["group"] for line in found):
        mine = {line["strategy"]: line for line in found if line["group"] == group}
        cells = {name: f"{mine[name]['regret_1'][0]:.2f}" if name in mine else "–" for name in names}
        cells["probe error"] = f"{mine['probe_error']['regret_1'][0]:.2f}" if "probe_error" in mine else "–"
        ranks = {"mean of ranks": f"{mine['mean of ranks']['regret_1'][0]:.2f}" if "mean of ranks" in mine else "–"}
        yield {"part": group, "decisions": mine["random"]["decisions"], **cells, **ranks}


def chances() -> Rows:
    for line in lines("decisions_chances"):
        yield {
            "evidence": line["evidence"],
            "variant": line["variant"],
            "decisions": line["decisions"],
            "inflation": line["inflation"],
            "they hold the best": f"{line['leaders_hold_the_best']:.1%}",
            "leaders": line["leaders"],
            "Brier": line["brier"],
        }


def leaders() -> Rows:
    for line in lines("decisions_leaders"):
        yield {
            "outcome of an example": line["outcome"],
            "decisions": line["decisions"],
            "the leaders hold the best": f"{line['leaders_hold_the_best']:.1%}",
            "leaders": line["leaders"],
        }


def reliability() -> Rows:
    for line in lines("decisions_chances", variant="of leepjax"):
        for stated, observed, count in line["reliability"]:
            yield {
                "evidence": line["evidence"],
                "stated": f"{stated:.3f}",
                "observed": f"{observed:.3f}",
                "candidates": f"{count:.0f}",
            }


TABLES: dict[str, Callable[[], Rows]] = {
    "decisions_drawn": partial(strategies, "drawn tasks"),
    "decisions_odd": partial(strategies, "drawn tasks", "odd numbers"),
    "decisions_finetuned": partial(strategies, "drawn tasks, fine-tuned"),
    "decisions_studies": partial(strategies, "studies"),
    "decisions_published": partial(strategies, "published tables"),
    "decisions_parts": partial(measures, ("drawn tasks", "studies", "published tables")),
    "decisions_chances": chances,
    "decisions_leaders": leaders,
    "decisions_reliability": reliability,
}
