"""Tables of what others published."""

from typing import Any

from cells import Cell, Table, number

PRINTED = ("hscore", "leep", "logme", "nce")


def printed(measure: str, statistic: str) -> Cell:
    """A published correlation and, if ours differs, ours with a mark if rounding doesn't explain it."""

    def cell(line: dict[str, Any]) -> str:
        published, ours, follows = line["cells"][f"{measure} {statistic}"]
        return f"{published:.3f}" + {"exactly": "", "rounding": f" ({ours:.3f})", "no": f" **≠ {ours:.3f}**"}[follows]

    return cell


def spread(name: str) -> Cell:
    """Median of targets, and their range."""
    return lambda line: "{1:.2f} ({0:.2f} to {2:.2f})".format(*line[name])


def counted(name: str) -> Cell:
    return lambda line: f"{line[name]} of {line['targets']}"


def by_target(name: str) -> Cell:
    """A count of values, and of those in each target unless it is all of them."""

    def cell(line: dict[str, Any]) -> str:
        found = line[name]
        total = sum(found.values())
        each = ", ".join(f"{target} {number}" for target, number in found.items())
        return "" if not found else str(total) if total == line["values"] else f"{total}: {each}"

    return cell


TABLES: dict[str, Table] = {
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
        {"table": number("table", ""), "pairs of measures": number("pairs"), "distinguished by r": number("pearson")}
        | {"by weighted τ": number("weighted_tau")},
    ),
    "published_anomaly": (
        "published_anomaly",
        {"table": number("table", ""), "column": number("column", "")}
        | {"finding": lambda line: "; ".join(f"{target}: {what}" for target, what in line["targets"].items())},
    ),
    "published_ranks": (
        "published_ranks",
        {"ranking of": lambda line: f"{line['kind']}s", "ranks": number("ranks"), "Kendall τ": number("kendall")}
        | {"weighted τ": number("weighted_tau"), "absolute weighted τ": number("absolute weighted_tau")},
    ),
    "public_values": (
        "public_values",
        {"file": lambda line: f"`{line['file']}` ({line['origin']})", "column": number("column", "")}
        | {"values": number("values"), "bounds": number("ends", ""), "out of bounds": by_target("beyond")}
        | {"farthest value": lambda line: "" if line["farthest"] is None else f"{line['farthest']:,.4g}"}
        | {"at the better bound": by_target("at_the_better_end")},
    ),
    "public_logme": (
        "public_logme",
        {"file": lambda line: f"`{line['file']}`", "table": number("table", ""), "values": number("values")}
        | {"above 2 nats": number("above_2"), "noise below float64's resolution": number("below_float64")}
        | {"highest": number("largest", ".4g"), "noise that it needs": number("noise", ".1e")},
    ),
    "public_twice": (
        "public_twice",
        {"data set": number("target", "")}
        | {name: lambda line, name=name: f"{line['apart'][name]:.2%}" for name in PRINTED},
    ),
}
