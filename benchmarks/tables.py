"""Do the tables of the pages beside this file hold the committed results, and nothing else?

python benchmarks/tables.py --size full     # writes them; `small` only checks
"""

import re
from collections.abc import Callable
from typing import Any

import study_tables
import targets
from measuring import size
from results import HERE, lines, two_reads_from_disk

PAGES = [HERE / "README.md", HERE / "PUBLISHED.md", HERE / "STUDIES.md"]
PLACE = re.compile(r"<!-- table (\w+) -->\n.*?<!-- end -->", re.DOTALL)
Cell = Callable[[dict[str, Any]], Any]


def three(values: list[float], unit: float = 1) -> str:
    """Median [lower quartile, upper quartile]."""
    low, median, high = (f"{unit * v:.0f}" if unit * v >= 100 else f"{unit * v:.3g}" for v in values)
    return f"{median} [{low}, {high}]"


def ms(*path: str) -> Cell:
    return lambda line: "–" if (values := at(line, *path)) is None else three(values, 1000)


def ratio(*path: str) -> Cell:
    return lambda line: "–" if (values := at(line, *path)) is None else three(values)


def megabytes(name: str) -> Cell:
    return lambda line: "–" if line[name] is None else f"{line[name] / 1e6:.2f}"


def number(name: str, form: str = ",") -> Cell:
    return lambda line: "–" if line[name] is None else format(line[name], form)


def at(line: dict[str, Any], *path: str) -> Any:
    found: Any = line
    for name in path:
        found = None if found is None else found.get(name)
    return found


NZC = {name: number(name) for name in "nzc"}
SHAPE = {"n × z × c": lambda line: f"{line['n']:,} × {line['z']} × {line['c']}"}
NUMPY = ("numpy_blas", "numpy_sorted", "scipy_csc", "scipy_csc_threads", "published_loop", "published_one_hot")
TASKS = (
    "subsets",
    "subsets_with_checks",
    "one_call_a_subset",
    "bootstrap_in_batches",
    "bootstrap_at_once",
)
CHECKED = "leep_with_checks"
OF_MOMENTS = ("h_score", "shrunk_h_score", "logme", "all_three", "logme_with_checks", "nce_with_checks")
COMPILING = {"tracing, ms": ms("trace_seconds"), "compiling, ms": ms("compile_seconds")}

SCORES = ("leep", "nce", "h_score", "shrunk_h_score", "logme", "source_accuracy")


def score(name: str) -> Cell:
    return lambda line: "–" if (value := line["scores"][name]) is None else f"{value:.3f}"


def interval(name: str) -> Cell:
    return lambda line: "–" if None in line[name] else "{:.2f} [{:.2f}, {:.2f}]".format(*line[name])


def printed(measure: str, statistic: str) -> Cell:
    """A published correlation, ours where it differs, and whether it follows."""

    def cell(line: dict[str, Any]) -> str:
        published, ours, follows = line["cells"][f"{measure} {statistic}"]
        return f"{published:.3f}" + {"exactly": "", "rounding": f" ({ours:.3f})", "no": f" **≠ {ours:.3f}**"}[follows]

    return cell


def spread(name: str) -> Cell:
    """Median of targets, and their range."""
    return lambda line: "{1:.2f} ({0:.2f} to {2:.2f})".format(*line[name])


def counted(name: str) -> Cell:
    return lambda line: f"{line[name]} of {line['targets']}"


PRINTED = ("hscore", "leep", "logme", "nce")
# The benchmark whose lines a table shows, and its columns.
TABLES: dict[str, tuple[str, dict[str, Cell]]] = {
    "limit": (
        "limit",
        NZC
        | {"dtype": number("dtype", "")}
        | {"one read, ms": ms("seconds", "read"), "jitted, ms": ms("seconds", "leep")}
        | {"with checks, ms": ms("seconds", CHECKED), "jitted / limit": ratio("leep_over_limit")}
        | {"with checks / limit": ratio("leep_with_checks_over_limit")},
    ),
    "logits": (
        "limit_logits",
        NZC
        | {"softmax, ms": ms("seconds", "softmax"), "jitted, ms": ms("seconds", "leep")}
        | {"with checks, ms": ms("seconds", CHECKED), "jitted / softmax": ratio("leep_over_softmax")}
        | {"with checks / softmax": ratio("leep_with_checks_over_softmax")},
    ),
    "rivals": ("rivals", SHAPE | {f"`{name}`": ms("seconds", name) for name in ("leep", CHECKED, *NUMPY)}),
    "speedups": (
        "rivals",
        SHAPE
        | {f"`{name}`": ratio("speedup", name) for name in NUMPY}
        | {"fastest NumPy or SciPy": number("best_rival", "")}
        | {"over `leep_with_checks`": ratio("speedup_with_checks_over_best")},
    ),
    "soft_nce": (
        "soft_nce",
        SHAPE
        | {"`soft_nce`, ms": ms("seconds", "soft_nce"), "published, ms": ms("seconds", "published_soft_nce")}
        | {"its array, GB": number("published_array_gigabytes"), "speed-up": ratio("speedup")},
    ),
    "tasks": (
        "tasks",
        SHAPE | {"one `leep`": ms("seconds", "one")} | {f"`{name}`": ms("seconds", name) for name in TASKS},
    ),
    "over_one": ("tasks", SHAPE | {f"`{name}`": ratio("over_one", name) for name in TASKS}),
    "side_by_side": (
        "tasks_side_by_side",
        {"tasks": number("tasks"), "classes of each": number("c"), "one, ms": ms("seconds", "one")}
        | {"side by side, ms": ms("seconds", "side_by_side"), "/ one": ratio("over_one")},
    ),
    "memory": (
        "memory",
        {"method": number("method", "")}
        | NZC
        | {"input, MB": megabytes("input_bytes"), "[c z] table, MB": megabytes("table_bytes")}
        | {"peak beside the input, MB": megabytes("extra_bytes"), "of the input": number("extra_over_input", ".1%")}
        | {"without the table": number("extra_without_table_over_input", ".1%")}
        | {"XLA's plan, MB": megabytes("planned_bytes")},
    ),
    "accuracy": (
        "accuracy",
        NZC
        | {"LEEP in float64": number("leep_in_float64", ".8f"), "error, jitted": number("relative_error", ".1e")}
        | {"with checks": number("relative_error_with_checks", ".1e")}
        | {"largest in the table": number("largest_relative_error_in_table", ".1e")},
    ),
    "compile_leep": ("compile_leep", NZC | COMPILING),
    "compile_measure": ("compile_measure", {"measure": number("measure", "")} | NZC | COMPILING),
    "first_call": (
        "compile_first_call",
        {"compilation": number("compilation", ""), "Python and imports, ms": ms("import_seconds")}
        | {"first call, ms": ms("first_call_seconds"), "second call, ms": ms("second_call_seconds")},
    ),
    "scaling": (
        "scaling",
        {"n": number("n"), "processes": number("processes"), "cores of each": number("cores_of_each", "")}
        | {"`leep`, ms": ms("seconds", "leep"), "all-reduce of the table, ms": ms("seconds", "all_reduce")}
        | {"speed-up": number("speedup_at_fixed_total"), "efficiency": number("efficiency_at_fixed_share")},
    ),
    "model": (
        "scaling_model",
        {"devices": number("system", ""), "statistic": number("statistic", ""), "n": number("n")}
        | {"bytes added up": number("bytes_added_up"), "mostly work up to": number("half_efficient_up_to")}
        | {"fastest at": number("fastest_at"), "ms there": lambda line: f"{1000 * min(line['seconds']):.3g}"},
    ),
    "moments": (
        "moments",
        {name: number(name) for name in "ndc"}
        | {"Gram + eigh, ms": ms("seconds", "gram_and_eigh")}
        | {f"`{name}`": ratio("over_gram_and_eigh", name) for name in OF_MOMENTS},
    ),
    "installed": (
        "installed",
        {"measure": number("measure", ""), "n": number("n"), "d": number("d"), "c": number("c")}
        | {"ours jitted, ms": ms("seconds", "ours"), "with checks, ms": ms("seconds", "ours_with_checks")}
        | {"theirs, ms": ms("seconds", "theirs"), "speed-up": ratio("speedup")}
        | {"with checks": ratio("speedup_with_checks"), "our score": number("score", ".5f")}
        | {"their score": number("their_score", ".5f")},
    ),
    "weights": (
        "weights",
        {"weights": number("weights", ""), "architecture": number("architecture", ""), "pixels": number("pixels")}
        | {"images": lambda line: f"{line['images']:,} of {line['target']}"}
        | {"published accuracy": number("expected_accuracy", ".2%"), "reached": number("accuracy", ".2%")}
        | {"same class as PyTorch": number("same_as_pytorch", ".1%")},
    ),
    "extraction": (
        "extraction",
        {"architecture": number("architecture", ""), "pixels": number("pixels")}
        | {"images/s, bare": ratio("images_a_second"), "extraction / bare": ratio("extraction_over_bare")}
        | {"PyTorch / bare": ratio("pytorch_over_bare"), "decoding / bare": number("decoding_over_bare")}
        | {"GFLOP/s": ratio("gigaflops_a_second"), "of a matmul": number("gigaflops_a_second_of_a_matmul")},
    ),
    "precision": (
        "precision",
        {"what": number("case", ""), "measure": number("measure", ""), "largest change": number("largest_change", "g")}
        | {"range over sources": number("range_over_sources", "g")}
        | {"same order": lambda line: "yes" if line["same_order"] else "no"},
    ),
    "real_sources": (
        "real_sources",
        {"target": number("target", ""), "source": number("source", ""), "parameters": number("num_parameters")}
        | {"licence": number("licence", ""), "head accuracy": number("head_accuracy", ".3f")}
        | {name.replace("_", " "): score(name) for name in SCORES},
    ),
    "real_sources_agreement": (
        "real_sources_agreement",
        {"target": number("target", ""), "measure": number("measure", ""), "sources": number("sources")}
        | {"Pearson r": interval("pearson"), "Kendall τ": interval("kendall"), "puts first": number("first", "")},
    ),
    "transfer_heads": (
        "transfer_heads",
        {"features": number("features", ""), "d": number("d"), "tasks": number("tasks")}
        | {"classes of each": lambda line: "{} to {}".format(*line["classes_of_a_task"]), "shapes": number("shapes")}
        | {"L2": number("l2", "")}
        | {name: ratio("tasks_a_second", name) for name in ("retrain_heads", "scikit_learn", "one_by_one")}
        | {"speed-up": ratio("speedup", "scikit_learn"), "over our loop": ratio("speedup", "one_by_one")}
        | {
            "accuracy, ours / theirs": lambda line: "{retrain_heads:.4f} / {scikit_learn:.4f}".format(
                **line["test_accuracy"]
            )
        }
        | {
            "above the minimum, ours / theirs": lambda line: (
                "–"
                if (excess := line["excess_of_objective"]) is None
                else "{retrain_heads:.1e} / {scikit_learn:.1e}".format(**excess)
            )
        },
    ),
    "transfer_images": (
        "transfer_images",
        {"architecture": number("architecture", ""), "images in a batch": number("batch_size")}
        | {f"images/s, {name}": ratio("images_a_second", name) for name in ("leepjax", "pytorch")}
        | {"leepjax / PyTorch": ratio("over_pytorch")}
        | {"losses differ by": number("largest_difference_of_losses", ".1e")},
    ),
    "transfer_side_by_side": (
        "transfer_side_by_side",
        {
            "architecture": number("architecture", ""),
            "tasks": number("tasks"),
            "images in a batch": number("batch_size"),
        }
        | {"in turn, ms": ms("seconds", "in_turn"), "vmapped, ms": ms("seconds", "vmapped")}
        | {"vmapped / in turn": ratio("vmapped_over_in_turn")},
    ),
    "published_pearson": (
        "published_cells",
        {"data set": number("target", "")} | {f"{name}, r": printed(name, "pearson") for name in PRINTED},
    ),
    "published_weighted_tau": (
        "published_cells",
        {"data set": number("target", "")} | {f"{name}, weighted τ": printed(name, "weighted_tau") for name in PRINTED},
    ),
    "published_agreement": (
        "published_agreement",
        {"table": number("table", ""), "measure": number("measure", ""), "targets": number("targets")}
        | {"sources of each": lambda line: "–".join(map(str, dict.fromkeys(line["sources"])))}
        | {"Pearson r": spread("pearson"), "width of its interval": number("pearson_width", ".2f")}
        | {"p < 0.05": counted("significant"), "interval without 0": counted("without_zero")}
        | {"weighted τ": spread("weighted_tau"), "its width": number("weighted_tau_width", ".2f")}
        | {"Rel@1": spread("rel_at_1")},
    ),
    "published_differences": (
        "published_differences",
        {"table": number("table", ""), "pairs of measures": number("pairs"), "told apart by r": number("pearson")}
        | {"by weighted τ": number("weighted_tau")},
    ),
    "published_anomaly": (
        "published_anomaly",
        {"table": number("table", ""), "column": number("column", "")}
        | {"what": lambda line: "; ".join(f"{target}: {what}" for target, what in line["targets"].items())},
    ),
    "published_ranks": (
        "published_ranks",
        {"of": lambda line: f"{line['kind']}s", "ranks": number("ranks"), "Kendall τ": number("kendall")}
        | {"weighted τ": number("weighted_tau"), "its absolute value": number("absolute weighted_tau")},
    ),
    "streaming": (
        "streaming",
        {"cache": number("cache", ""), "file, MB": megabytes("file_bytes"), "one read, ms": ms("seconds", "read")}
        | {"GB/s": ratio("read_gigabytes_per_second"), "`leep`, ms": ms("seconds", "leep")}
        | {
            "GB/s of two reads": ratio("leep_gigabytes_per_second"),
            "limit, ms": lambda line: f"{1000 * two_reads_from_disk(line):.0f}",
        }
        | {"/ limit": lambda line: f"{line['seconds']['leep'][1] / two_reads_from_disk(line):.3g}"}
        | {"peak, MB": megabytes("extra_bytes")},
    ),
}


def markdown(name: str) -> str:
    if name == "targets":
        head, rows = ("what", "target", "reached (medians)", ""), list(targets.rows())
    elif name in study_tables.TABLES:
        head, rows = study_tables.table(name)
    else:
        benchmark, columns = TABLES[name]
        head, rows = columns, [[cell(line) for cell in columns.values()] for line in lines(benchmark)]
    return "\n".join(f"| {' | '.join(map(str, row))} |" for row in (head, ["---:"] * len(head), *rows))


def main() -> None:
    for page in PAGES:
        text = page.read_text()
        filled = PLACE.sub(lambda place: f"<!-- table {place[1]} -->\n\n{markdown(place[1])}\n\n<!-- end -->", text)
        if size() == "full":
            page.write_text(filled)
        elif filled != text:
            raise SystemExit(
                f"tables.py: {page.name} isn't what results/ say; run python benchmarks/tables.py --size full."
            )


if __name__ == "__main__":
    main()
