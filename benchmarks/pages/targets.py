"""The goals of the benchmarks, and what the committed results say about them."""

from collections.abc import Callable, Iterable, Iterator
from functools import partial
from typing import Any, NamedTuple

from results import lines

# n and c of the shapes that targets are set for, with z = 1000.
SHAPES = ((50_000, 10), (50_000, 100), (50_000, 1000), (200_000, 100))
ALL: tuple[dict[str, Any], ...] = ({},)
AS_PUBLISHED = ("nce", "tmi", "n_leep", "parc", "transrate", "pactran_gaussian")

Lines = Callable[..., list[dict[str, Any]]]


class Target(NamedTuple):
    """A quantity, its bound, and its medians in the results of one folder; none if it wasn't measured."""

    what: str
    at_most: float | None
    at_least: float | None
    medians: Callable[[Lines], list[float]]


def rows() -> Iterable[tuple[str, str, str, str, str]]:
    """The target, its bound, the medians before, those that it is about, and whether all keep to the bound."""
    before = partial(lines, folder="results/earlier")
    for target in (*_of_leep(), *_of_the_limit(), *_of_tasks(), *_of_others()):
        values = target.medians(lines)
        kept = sum(_keeps(target, value) for value in values)
        bound = f"≤ {target.at_most:g}" if target.at_most is not None else f"≥ {target.at_least:g}"
        yield target.what, bound, _shown(target.medians(before)), _shown(values), _met(kept, len(values))


def _of_leep() -> Iterator[Target]:
    """Of `leep` at the four shapes."""
    ratio = partial(_at_shapes, "limit")
    yield Target("jitted `leep` / two reads", 1.25, None, partial(ratio, _over("leep_over_limit")))
    yield Target("`leep` with checks / jitted `leep`", 1.05, None, partial(ratio, _checks))
    yield Target("spread over c = 10, 100, 1000: slowest / fastest", 1.15, None, _spread)
    rivals = partial(_at_shapes, "rivals")
    yield Target("fastest NumPy or SciPy / jitted `leep`", None, 1, partial(rivals, _best_rival))
    yield Target("SciPy on two threads / jitted `leep`", None, 1.5, partial(rivals, _rival("scipy_csc_threads")))
    yield Target("SciPy on one thread / jitted `leep`", None, 1, partial(rivals, _rival("scipy_csc")))
    for shape, bound in ((1, 8), (2, 35)):
        of_shape = partial(_at_shapes, "rivals", _rival("published_loop"), shapes=SHAPES[shape : shape + 1])
        yield Target(f"published loop / jitted `leep` at c = {SHAPES[shape][1]}", None, bound, of_shape)


def _of_the_limit() -> Iterator[Target]:
    """Of `leep` with other rows, from logits, from disk, and its memory and error."""
    limit = _over("leep_over_limit")
    for what, bound, fields in (
        ("rows of 10 and 30", 2, [{"z": 10}, {"z": 30}]),
        ("rows of 10,000", 1.4, [{"z": 10_000}]),
        ("16 bits", 1.3, [{"dtype": "float16"}, {"dtype": "bfloat16"}]),
    ):
        medians = partial(_of_lines, "limit", limit, fields)
        yield Target(f"jitted `leep` / two reads, {what}", bound, None, medians)
    devices = [{"z": 1000, "dtype": "float32"}]
    yield Target(
        "the same with a device per core, rows of 1000", 1.25, None, partial(_of_lines, "limit_devices", limit, devices)
    )
    logits = partial(_of_lines, "limit_logits", _over("leep_over_softmax"), ALL)
    yield Target("jitted `leep` from logits / softmax", 3, None, logits)
    yield Target("peak without the [c z] table, % of the input", 5, None, _peaks)
    streaming = partial(_of_lines, "streaming", _of_a_read, [{"cache": "warm"}])
    yield Target("bytes per second of `leep` / of a plain read, a file in the system's cache", None, 0.6, streaming)
    yield Target("relative error at n = 1.28 million, c = 10, 1000", 1e-6, None, _errors)


def _of_tasks() -> Iterator[Target]:
    """Of 200 tasks at once."""
    for name, bound in (("subsets_with_checks", 10), ("bootstrap_in_batches", 25), ("bootstrap_at_once", 25)):
        medians = partial(_of_lines, "tasks", lambda line, name=name: line["over_one"][name][1], ALL)
        yield Target(f"200 tasks / one: `{name}`", bound, None, medians)
    classes = ", ".join(str(line["c"]) for line in lines("tasks_side_by_side"))
    side_by_side = partial(_of_lines, "tasks_side_by_side", _over("over_one"), ALL)
    yield Target(f"200 tasks of 250 / one of 50,000, c = {classes}", 1, None, side_by_side)
    heads = partial(_of_lines, "transfer_heads", lambda line: line["speedup"]["scikit_learn"][1], [{"tasks": 200}])
    yield Target("scikit-learn's loop / heads of 200 tasks", None, 20, heads)


def _of_others() -> Iterator[Target]:
    """Of further measures, training and the command line."""
    for name in AS_PUBLISHED:
        yield Target(
            f"published `{name}` / ours",
            None,
            1.5,
            partial(_of_lines, "measures", _over("speedup"), [{"measure": name}]),
        )
    step = partial(_of_lines, "transfer_images", _over("over_pytorch"), [{"architecture": "resnet20"}])
    yield Target("PyTorch's training step / ours, ResNet-20, batches of 32, 64, 128", None, 1, step)
    cold = partial(_of_lines, "rank_command", _over("seconds"), [{"case": "from nothing"}])
    yield Target("`leepjax rank digits` from nothing, s", 15, None, cold)
    peak = partial(_of_lines, "rank_memory", lambda line: line["peak_bytes"] / 2**30, [{"images": 100_000}])
    yield Target("peak of `rank` of 100,000 images, GiB", 2, None, peak)


def _over(name: str) -> Callable[[dict[str, Any]], float]:
    return lambda line: line[name][1]


def _rival(name: str) -> Callable[[dict[str, Any]], float]:
    return lambda line: line["speedup"][name][1]


def _best_rival(line: dict[str, Any]) -> float:
    return line["speedup"][line["best_rival"]][1]


def _checks(line: dict[str, Any]) -> float:
    return line["seconds"]["leep_with_checks"][1] / line["seconds"]["leep"][1]


def _of_a_read(line: dict[str, Any]) -> float:
    return line["leep_gigabytes_per_second"][1] / line["read_gigabytes_per_second"][1]


def _of_lines(
    benchmark: str, median: Callable[[dict[str, Any]], float], of: Iterable[dict[str, Any]], read: Lines
) -> list[float]:
    """The medians of a benchmark's lines that have the fields of one of these."""
    return [median(line) for fields in of for line in read(benchmark, **fields)]


def _at_shapes(
    benchmark: str, median: Callable[[dict[str, Any]], float], read: Lines, shapes: Iterable[tuple[int, int]] = SHAPES
) -> list[float]:
    found = [read(benchmark, n=n, z=1000, c=c) for n, c in shapes]
    return [median(line) for each in found for line in each if line.get("dtype", "float32") == "float32"]


def _spread(read: Lines) -> list[float]:
    medians = _at_shapes("limit", lambda line: line["seconds"]["leep"][1], read, SHAPES[:3])
    return [max(medians) / min(medians)] if medians else []


def _peaks(read: Lines) -> list[float]:
    measured = [line for line in read("memory") if line["method"] in ("leep", "leep_with_checks")]
    return [100 * line["extra_without_table_over_input"] for line in measured]


def _errors(read: Lines) -> list[float]:
    return [line["relative_error"] for line in read("accuracy", n=1_280_000)]


def _keeps(target: Target, value: float) -> bool:
    return value <= target.at_most if target.at_most is not None else value >= (target.at_least or 0)


def _met(kept: int, of: int) -> str:
    if of == 0:
        return "not measured"
    return "met" if kept == of else "**missed**" if kept == 0 else f"**missed in {of - kept} of {of}**"


def _shown(values: list[float]) -> str:
    return ", ".join(f"{value:.4g}" for value in values) or "–"
