"""The goals of the benchmarks, and what the committed results say about them."""

from collections.abc import Iterable
from typing import Any

from results import lines

# n and c of the shapes that targets are set for, with z = 1000.
SHAPES = ((50_000, 10), (50_000, 100), (50_000, 1000), (200_000, 100))


def rows() -> Iterable[tuple[str, str, str, str]]:
    """The target, its bound, the medians that it is about, and whether all keep to the bound."""
    limit = [_line("limit", n, c) for n, c in SHAPES]
    rivals = [_line("rivals", n, c) for n, c in SHAPES]
    logits, memory = lines("limit_logits"), [r for r in lines("memory") if r["method"] in ("leep", "leep_with_checks")]
    medians = [line["seconds"]["leep"][1] for line in limit[:3]]
    (tasks,) = lines("tasks")
    yield _at_most("jitted `leep` / two reads", 1.5, [line["leep_over_limit"][1] for line in limit])
    yield _at_most("`leep` with checks / two reads", 1.5, [line["leep_with_checks_over_limit"][1] for line in limit])
    yield _at_most("spread over c = 10, 100, 1000: slowest / fastest", 1.3, [max(medians) / min(medians)])
    fastest = [line["speedup"][line["best_rival"]][1] for line in rivals]
    yield _at_least("fastest NumPy or SciPy / jitted `leep`", 1, fastest)
    yield _at_least("the same with checks", 1, [line["speedup_with_checks_over_best"][1] for line in rivals])
    one_thread = [line["speedup"]["scipy_csc"][1] for line in rivals]
    yield _at_least("fastest NumPy or SciPy on one thread / jitted `leep`", 1, one_thread)
    for index, bound in ((1, 8), (2, 35)):
        what = f"published loop / jitted `leep` at c = {SHAPES[index][1]}"
        yield _at_least(what, bound, [rivals[index]["speedup"]["published_loop"][1]])
    yield _at_most("jitted `leep` from logits / softmax", 3, [line["leep_over_softmax"][1] for line in logits])
    yield _at_most(
        "peak without the [c z] table, % of the input",
        5,
        [100 * line["extra_without_table_over_input"] for line in memory],
    )
    for name, bound in (("subsets_with_checks", 10), ("bootstrap_in_batches", 25), ("bootstrap_at_once", 25)):
        yield _at_most(f"200 tasks / one: `{name}`", bound, [tasks["over_one"][name][1]])
    small = lines("tasks_side_by_side")
    classes = ", ".join(str(line["c"]) for line in small)
    yield _at_most(f"200 tasks of 250 / one of 50,000, c = {classes}", 1, [line["over_one"][1] for line in small])
    largest = [line["relative_error"] for line in lines("accuracy", n=1_280_000)]
    yield _at_most("relative error at n = 1.28 million, c = 10, 1000", 1e-6, largest)


def _line(benchmark: str, n: int, c: int) -> dict[str, Any]:
    found = lines(benchmark, n=n, z=1000, c=c)
    return next(line for line in found if line.get("dtype", "float32") == "float32")


def _at_most(what: str, bound: float, values: list[float]) -> tuple[str, str, str, str]:
    return what, f"≤ {bound:g}", _shown(values), _met(sum(value <= bound for value in values), len(values))


def _at_least(what: str, bound: float, values: list[float]) -> tuple[str, str, str, str]:
    return what, f"≥ {bound:g}", _shown(values), _met(sum(value >= bound for value in values), len(values))


def _met(kept: int, of: int) -> str:
    return "met" if kept == of else "**missed**" if kept == 0 else f"**missed in {of - kept} of {of}**"


def _shown(values: list[float]) -> str:
    return ", ".join(f"{value:.4g}" for value in values)
