"""Tables of what measures cost: time, memory, accuracy and scaling."""

from typing import Any

from cells import Table, megabytes, ms, number, ratio, three
from results import two_reads_from_disk

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


def other_score(line: dict[str, Any]) -> str:
    """The published algorithm's score, if it differs from ours by more than a thousandth."""
    ours, published = (line["scores"].get(which) for which in ("ours", "published"))
    return "" if published is None or abs(published - ours) <= 1e-3 * abs(ours) else f"{published:.5g}"


TABLES: dict[str, Table] = {
    "measures": (
        "measures",
        {
            "measure": number("measure", ""),
            "ours, ms": ms("seconds", "ours"),
            "published, ms": ms("seconds", "published"),
        }
        | {"speed-up": ratio("speedup")}
        | {"compiling, s": number("seconds_compiling", ".2f")}
        | {"MB beside the evidence": megabytes("bytes_beside_the_evidence")}
        | {"score": lambda line: f"{line['scores']['ours']:.5g}", "published score, where it differs": other_score},
    ),
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
    "rank_command": (
        "rank_command",
        {"run": number("case", ""), "processor seconds": ratio("processor_seconds"), "seconds": ratio("seconds")}
        | {"peak, MB": lambda line: three(line["peak_bytes"], 1e-6), "processes that waited": number("load", ".0f")},
    ),
    "rank_memory": (
        "rank_memory",
        {"images": number("images"), "form": number("form", ""), "peak, MB": megabytes("peak_bytes")}
        | {"processor seconds": number("processor_seconds", ".0f")},
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
