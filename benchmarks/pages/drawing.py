"""The parts that plots are made of: curves with quartiles, limit lines, bars."""

from matplotlib.axes import Axes
from matplotlib.ticker import NullFormatter

BLUE, ORANGE, GREY, RED = "#0b5cad", "#d9730d", "#8a8a8a", "#b3261e"
OURS = {"leep": ("leep, jitted", BLUE, "o-"), "leep_with_checks": ("leep, with checks", ORANGE, "s-")}


def curve(
    ax: Axes, found: list[dict], x: str, name: str, label: str, color: str, style: str, scale: float = 1e3
) -> None:
    """Medians of what `name` took, in ms, and its quartiles as a band where the line is whole."""
    found = sorted(found, key=lambda line: line[x])
    low, median, high = zip(*([scale * v for v in line["seconds"][name]] for line in found), strict=True)
    at = [line[x] for line in found]
    ax.plot(at, median, style, color=color, label=label, markersize=4)
    if style.endswith("-"):
        ax.fill_between(at, low, high, color=color, alpha=0.12, linewidth=0)


def limit_line(ax: Axes, found: list[dict], x: str, name: str = "read", reads: int = 2) -> None:
    found = sorted(found, key=lambda line: line[x])
    at, limit = [line[x] for line in found], [1e3 * reads * line["seconds"][name][1] for line in found]
    ax.plot(at, limit, "--", color=RED, label="limit: two reads" if reads == 2 else f"target: {reads} × softmax")


def log(ax: Axes, title: str, x: str, y: str = "ms") -> None:
    ax.set(xscale="log", yscale="log", title=title, xlabel=x, ylabel=y)
    ax.grid(which="major", alpha=0.3)


def bars(ax: Axes, values: dict[str, float], title: str, x: str, ours: tuple[str, ...] = ()) -> None:
    names = list(values)[::-1]
    ax.barh(names, [values[n] for n in names], color=[BLUE if n in ours else GREY for n in names])
    for name in names:
        ax.annotate(f" {values[name]:.3g}", (values[name], name), va="center", fontsize=8)
    ax.set(xscale="log", title=title, xlabel=x)
    ax.xaxis.set_minor_formatter(NullFormatter())
    ax.margins(x=0.15)
    ax.grid(axis="x", alpha=0.3)
