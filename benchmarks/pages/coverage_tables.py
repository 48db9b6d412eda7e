"""Tables of how often intervals cover."""

from typing import Any

from cells import Cell, Table, number


def share(name: str) -> Cell:
    """Per cent of intervals that hold the truth, and its Monte Carlo error."""

    def cell(line: dict[str, Any]) -> str:
        found = line[name]
        if found["unavailable"] == 100:
            return "none given"
        missing = f", {found['unavailable']:.1f} % without" if found["unavailable"] else ""
        return f"{found['covers']:.1f} ± {found['error']:.1f}{missing}"

    return cell


OVER_SOURCES = {"statistic": number("statistic", ""), "sources": number("sources")}
BEFORE_AND_NOW = {"percentile, %": share("percentile"), "now, %": share("now")}

TABLES: dict[str, Table] = {
    "coverage": (
        "coverage",
        {
            "measure": number("measure", ""),
            "n × width × c": lambda line: f"{line['n']} × {line['width']} × {line['num_classes']}",
            "separation": number("separation", ""),
            "expected at n": number("expected", ".3f"),
            "population": number("population", ".3f"),
            "covers expected, %": lambda line: f"{line['covers_expected']:.1f} ± {line['monte_carlo_error']:.1f}",
            "covers population, %": number("covers_population", ".1f"),
            "plain percentile covers expected, %": number("plain_percentile_covers_expected", ".1f"),
        },
    ),
    "coverage_metrics": (
        "coverage_metrics",
        {
            "metric": number("metric", ""),
            "shares of the classes": lambda line: ", ".join(f"{share:.2g}" for share in line["shares"]),
            "of a new head": number("truth", ".3f"),
            "mean width": number("width", ".3f"),
            "covers, %": lambda line: f"{line['covers']:.1f} ± {line['monte_carlo_error']:.1f}",
            "entirely below, %": number("entirely_below", ".1f"),
            "entirely above, %": number("entirely_above", ".1f"),
        },
    ),
    "coverage_sources": (
        "coverage_sources",
        {"population": number("population", ""), "ρ": number("rho", "")} | OVER_SOURCES | BEFORE_AND_NOW,
    ),
    "coverage_differences": (
        "coverage_differences",
        {"true r of both": lambda line: " and ".join(map(str, line["correlations"]))} | OVER_SOURCES | BEFORE_AND_NOW,
    ),
}
