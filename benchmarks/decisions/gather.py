"""The collections of decisions: tasks drawn from images, the project's studies, and published tables."""

import json
from collections import defaultdict
from collections.abc import Iterator
from pathlib import Path

import numpy as np

from decisions.decision import Decision, Seen
from decisions.outcomes import MEASURED, labels_of, sizes_of_looks
from decisions.tasks import Task, draw_tasks

STUDIES = Path(__file__).parents[1] / "studies"
# How published tables name what MEASURES names otherwise.
NAMES = {
    "hscore": "h_score",
    "h-score": "h_score",
    "log_me": "logme",
    "nleep": "n_leep",
    "reg_h_score": "shrunk_h_score",
}
NAMES |= {"hscorer": "shrunk_h_score", "parc-corr": "parc", "knn-5-corr": "knn", "lfc-cos": "lfc", "lp": "linear_probe"}
NAMES |= {"logistic": "linear_probe", "pactrandirichlet": "pactran_dirichlet", "imagenet_top1": "source_accuracy"}
FEWEST_CANDIDATES = 5


def drawn(folder: Path) -> Iterator[Decision]:
    """The decisions of the drawn tasks, among the sources that have outcomes of a task's set."""
    yield from of_tasks(folder, draw_tasks(labels_of(folder)))


def of_tasks(folder: Path, tasks: list[Task]) -> Iterator[Decision]:
    cards = json.loads((folder / "sources.json").read_text())
    found = {of: outcomes(folder / "outcomes" / of) for of in {task.of for task in tasks}}
    for task in tasks:
        sources = found[task.of]
        if len(sources) >= FEWEST_CANDIDATES:
            yield of_task(task, sources, cards)


def outcomes(folder: Path) -> dict[str, dict[str, np.ndarray]]:
    found = (path for path in sorted(folder.glob("*.npz")) if ".part" not in path.name)
    return {path.stem: dict(np.load(path)) for path in found}


def by_lot(decision: Decision) -> Decision:
    """The same decision with its candidates in random order, because strategies take the first of equal ones."""
    return taken(decision, np.random.default_rng([17, decision.number]).permutation(len(decision.names)))


def taken(decision: Decision, order: np.ndarray) -> Decision:
    """The decision among the candidates at these places, in this order."""
    seen = decision.seen
    if seen is not None:
        arrays = {name: getattr(seen, name)[order] for name in ("right", "losses", "held_out", "forward_seconds")}
        seen = seen._replace(**arrays)
    return decision._replace(
        names=[decision.names[i] for i in order],
        accuracy=decision.accuracy[order],
        scores={name: values[order] for name, values in decision.scores.items()},
        validated=None if decision.validated is None else decision.validated[order],
        seen=seen,
    )


def of_task(task: Task, sources: dict, cards: dict) -> Decision:
    names, n = list(sources), len(task.rows)
    place = [list(sources[name]["number"]).index(task.number) for name in names]

    measures = sources[names[0]].get("measures", MEASURED)

    def column(field: str) -> np.ndarray:
        return np.array([sources[name][field][i] for name, i in zip(names, place, strict=True)])

    scores = dict(zip(measures, column("scores").T, strict=True))
    scores["num_parameters"] = np.array([cards[name]["num_parameters"] for name in names], float)
    scores["source_accuracy"] = np.array([cards[name]["accuracy"] or np.nan for name in names], float)
    sizes = sizes_of_looks(n, len(task.classes))
    seen = Seen(
        num_classes=len(task.classes),
        sizes=sizes,
        right=column("looks")[:, : len(sizes), :n, 0],
        losses=column("looks")[:, : len(sizes), :n, 1],
        held_out=column("held_out")[:, :n],
        forward_seconds=np.array([float(sources[name]["forward_seconds"]) for name in names]),
        head_seconds=float(np.median(column("head_seconds"))),
    )
    scores["probe_error"] = -np.nanmean(seen.losses[:, -1], axis=1)
    validated = column("cross_validated")
    return Decision("drawn tasks", task.of, task.number, names, column("accuracy"), scores, validated, seen)


def studies() -> Iterator[Decision]:
    """The project's studies, where a task was transferred to from five sources or more."""
    for path in sorted(STUDIES.glob("*/outcomes.jsonl")):
        groups = defaultdict(dict)
        for line in map(json.loads, path.read_text().splitlines()):
            if line["method"] != "scratch":
                place = line["study"], line["profile"], line["task"], line["method"]
                groups[place][line["source"]] = line
        whole = [(place, lines) for place, lines in groups.items() if len(lines) >= FEWEST_CANDIDATES]
        for number, (place, lines) in enumerate(whole):
            yield of_lines(f"{place[0]}, {place[3]}", number, lines)


def of_lines(group: str, number: int, lines: dict[str, dict]) -> Decision:
    measures = list(dict.fromkeys(name for line in lines.values() for name in line["scores"]))
    table = {
        NAMES.get(measure, measure): np.array([line["scores"].get(measure) for line in lines.values()], float)
        for measure in measures
        if measure not in ("neg_log_classes", "neg_entropy")
    }
    if "neg_num_parameters" in table:
        table["num_parameters"] = -table.pop("neg_num_parameters")
    accuracy = np.array([line["accuracy"] for line in lines.values()])
    return Decision("studies", group, number, list(lines), accuracy, table)


def published(peers) -> Iterator[Decision]:
    """Every table of `literature/peers.py`, by scores only."""
    for number, setting in enumerate(peers.every()):
        accuracy = setting.accuracy / (100 if np.nanmax(setting.accuracy) > 1.5 else 1)
        there = np.isfinite(accuracy)
        if there.sum() < FEWEST_CANDIDATES:
            continue
        scores = {NAMES.get(name.lower(), name.lower()): values[there] for name, values in setting.scores.items()}
        names = [str(i) for i in range(int(there.sum()))]
        yield Decision("published tables", setting.table.partition(",")[0], number, names, accuracy[there], scores)
