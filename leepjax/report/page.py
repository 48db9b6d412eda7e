"""A report as one HTML file that needs nothing but a browser: no network, no other file."""

import base64
import hashlib
import math
import re
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cache
from typing import Any

import jinja2
from markupsafe import Markup

from leepjax.printable import printable


@dataclass(frozen=True)
class Origin:
    """How numbers were made: what to type to have them again, and what they came from."""

    command: str
    commit: str = ""
    versions: str = ""
    hardware: str = ""
    date: str = ""
    seconds: float | None = None
    what: str = ""
    """What the command makes, where a part has several."""


@dataclass(frozen=True)
class Column:
    """A column of a table."""

    label: str
    numeric: bool = False
    """Right-aligned, sorted by the cells' numbers, the largest first."""


@dataclass(frozen=True)
class Cell:
    """One value of a table as it is shown and as it is sorted."""

    text: str
    value: float | None = None
    """What it is sorted by in a numeric column; None or NaN stands last, whichever way it is sorted."""
    detail: str = ""
    """Said in smaller letters below, such as an interval."""
    mark: str = ""
    """A sign that sets the cell apart without colour, such as ★."""
    meaning: str = ""
    """What the sign means, for those who don't see it."""


@dataclass(frozen=True)
class Table:
    """Rows of cells under columns; the first cell of a row names it."""

    caption: str
    columns: Sequence[Column]
    rows: Sequence[Sequence[Cell]]
    notes: Sequence[str] = ()
    folded: bool = False
    """Shown when asked for: it is long."""
    rest: str = ""
    """How much of it isn't shown, in a sentence; the page's `Report.records` have it."""


@dataclass(frozen=True)
class Figure:
    """A drawing with what goes with it."""

    svg: str
    """An ``<svg>`` element with ids of its own and a description for those who don't see it. It isn't escaped."""
    caption: str
    command: str
    files: Sequence[str] = ()
    """Paths of the same drawing beside the page."""
    wide: bool = False
    """It has several panels, and takes the page's width."""


@dataclass(frozen=True)
class Verdict:
    """A statement, whether the numbers agree with it, and why."""

    statement: str
    verdict: str
    sign: str
    why: str


@dataclass(frozen=True)
class Section:
    """A part of a report. Whatever shows numbers says how they were made: see `Report`."""

    title: str
    text: Sequence[str] = ()
    verdicts: Sequence[Verdict] = ()
    tables: Sequence[Table] = ()
    figures: Sequence[Figure] = ()
    origins: Sequence[Origin] = ()

    @property
    def anchor(self) -> str:
        """What links to the section say: lower-case letters, digits and hyphens."""
        return re.sub(r"[^a-z0-9]+", "-", self.title.lower()).strip("-") or "section"


@dataclass(frozen=True)
class Report:
    """A page: what it is about, the summary in plain words, and its sections."""

    title: str
    summary: Sequence[str]
    facts: Sequence[tuple[str, str]]
    """What was run in short: names and values."""
    sections: Sequence[Section]
    records: str = ""
    """A path from the page to the records, which hold what its tables leave out."""

    def __post_init__(self):
        for section in self.sections:
            if (section.tables or section.verdicts or section.figures) and not section.origins:
                raise ValueError(f"report: section {section.title!r} shows numbers without the command that made them")


def number(value: float | None, digits: int = 2, **fields: Any) -> Cell:
    """A number's cell; – where it is undefined."""
    if value is None or math.isnan(value):
        return Cell("–", None, **fields)
    # A true minus sign is as wide as a plus; a number that rounds to zero has none.
    text = f"{round(value, digits) + 0.0:,.{digits}f}".replace("-", "−")
    return Cell(text, value, **fields)


def between(low: float | None, high: float | None, digits: int = 2) -> str:
    """An interval in brackets; nothing where it is undefined."""
    if low is None or high is None or math.isnan(low) or math.isnan(high):
        return ""
    return f"[{number(low, digits).text}, {number(high, digits).text}]"


def duration(seconds: float) -> str:
    """A time in the unit in which people say it."""
    if seconds < 90:
        return f"{seconds:.0f} s"
    return f"{seconds / 60:.0f} min" if seconds < 5400 else f"{seconds / 3600:.1f} h"


def render_page(report: Report) -> str:
    """The whole HTML file. All text is escaped; drawings are trusted."""
    style, script = _part("report.css"), _part("report.js")
    page = _environment().get_template("report.html.j2")
    # Only this script runs, and nothing is loaded from anywhere: the browser sees to both.
    script_hash = base64.b64encode(hashlib.sha256(script.encode()).digest()).decode()
    anchors = _distinct([section.anchor for section in report.sections])
    return page.render(
        report=report, anchors=anchors, style=Markup(style), script=Markup(script), script_hash=script_hash
    )


def _distinct(names: Sequence[str]) -> list[str]:
    """The names, with a number behind those that stood there before."""
    first = {name: i for i, name in reversed([*enumerate(names)])}
    return [name if first[name] == i else f"{name}-{i}" for i, name in enumerate(names)]


@cache
def _environment() -> jinja2.Environment:
    environment = jinja2.Environment(
        loader=jinja2.PackageLoader("leepjax.report"),
        autoescape=True,
        undefined=jinja2.StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
        finalize=_printable,
    )
    environment.filters["duration"] = duration
    return environment


def _printable(value: Any) -> Any:
    """Text from records without control characters; markup is the page's own."""
    return printable(value) if isinstance(value, str) and not isinstance(value, Markup) else value


def _part(name: str) -> str:
    environment = _environment()
    assert environment.loader
    return environment.loader.get_source(environment, name)[0]
