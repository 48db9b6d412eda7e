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
    """The origin of numbers: the command that reproduces them, and the hardware and versions that it ran on."""

    command: str
    commit: str = ""
    versions: str = ""
    hardware: str = ""
    date: str = ""
    seconds: float | None = None
    what: str = ""
    """What the command makes, where a section has several commands."""


@dataclass(frozen=True)
class Column:
    """A column of a table."""

    label: str
    numeric: bool = False
    """Right-aligned, sorted by the cells' numbers, the largest first."""


@dataclass(frozen=True)
class TableCell:
    """One value of a table: the text that is shown, and the key for sorting."""

    text: str
    value: float | None = None
    """The key for sorting in a numeric column; None and NaN come last in either direction."""
    detail: str = ""
    """Shown below in a smaller font, such as an interval."""
    mark: str = ""
    """A sign that sets the cell apart without colour, such as ★."""
    meaning: str = ""
    """What the mark means, for screen readers."""


@dataclass(frozen=True)
class Table:
    """Rows of cells under columns; the first cell of a row names it."""

    caption: str
    columns: Sequence[Column]
    rows: Sequence[Sequence[TableCell]]
    notes: Sequence[str] = ()
    folded: bool = False
    """Whether the table is collapsed until the reader opens it."""
    rest: str = ""
    """A sentence that counts what isn't shown; `Report.records` holds it."""


@dataclass(frozen=True)
class Figure:
    """A drawing with its caption and its files."""

    svg: str
    """An ``<svg>`` element with ids of its own and a description for screen readers. It isn't escaped."""
    caption: str
    command: str = ""
    """The command that draws it, if it isn't that of its section."""
    files: Sequence[str] = ()
    """Paths of the same drawing beside the page."""
    wide: bool = False
    """Whether it takes the whole width of the page, as a drawing with several panels does."""


@dataclass(frozen=True)
class Panel:
    """One of several small drawings."""

    svg: str
    """As `Figure.svg`."""
    title: str
    detail: str = ""


@dataclass(frozen=True)
class Panels:
    """Small drawings side by side, of which only the first are shown until the reader opens the others."""

    caption: str
    panels: Sequence[Panel]
    num_open: int
    more: str = ""
    """Label of the control that opens the others."""


@dataclass(frozen=True)
class Picture:
    """One or several small images or texts, with a caption."""

    sources: Sequence[str]
    """``data:`` addresses."""
    title: str
    lines: Sequence[str] = ()
    alt: str = ""
    texts: Sequence[str] = ()


@dataclass(frozen=True)
class Gallery:
    """Small images, or texts, side by side."""

    pictures: Sequence[Picture]
    note: str = ""
    is_small: bool = False
    """Whether the captions are short, so that more pictures fit side by side."""

    @property
    def has_texts(self) -> bool:
        """Whether texts are shown, which need more width than images."""
        return any(picture.texts for picture in self.pictures)


@dataclass(frozen=True)
class Verdict:
    """A statement, whether the numbers agree with it, and why."""

    statement: str
    verdict: str
    sign: str
    why: str


@dataclass(frozen=True)
class Section:
    """A part of a report. A section that shows numbers must have origins: see `Report`."""

    title: str
    text: Sequence[str] = ()
    verdicts: Sequence[Verdict] = ()
    tables: Sequence[Table] = ()
    figures: Sequence[Figure] = ()
    panels: Panels | None = None
    gallery: Gallery | None = None
    origins: Sequence[Origin] = ()

    @property
    def anchor(self) -> str:
        """The id that links point to: lower-case letters, digits and hyphens."""
        return re.sub(r"[^a-z0-9]+", "-", self.title.lower()).strip("-") or "section"


@dataclass(frozen=True)
class Report:
    """A page: its title, a summary in plain words, and its sections."""

    title: str
    summary: Sequence[str]
    facts: Sequence[tuple[str, str]]
    """Facts about the run, as pairs of a name and a value."""
    sections: Sequence[Section]
    records: str = ""
    """Path, relative to the page, of the records, which hold what the tables leave out."""

    def __post_init__(self):
        for section in self.sections:
            if (
                any((section.tables, section.verdicts, section.figures, section.panels, section.gallery))
                and not section.origins
            ):
                raise ValueError(f"report: section {section.title!r} shows numbers without the command that made them")


def number_cell(value: float | None, digits: int = 2, **fields: Any) -> TableCell:
    """A number's cell; – where it is undefined."""
    if value is None or math.isnan(value):
        return TableCell("–", None, **fields)
    # A true minus sign is as wide as a plus; a number that rounds to zero has none.
    text = f"{round(value, digits) + 0.0:,.{digits}f}".replace("-", "−")
    return TableCell(text, value, **fields)


def interval_text(low: float | None, high: float | None, digits: int = 2) -> str:
    """An interval in brackets; nothing where it is undefined."""
    if low is None or high is None or math.isnan(low) or math.isnan(high):
        return ""
    return f"[{number_cell(low, digits).text}, {number_cell(high, digits).text}]"


def duration(seconds: float) -> str:
    """A time in seconds, minutes or hours, whichever suits its length."""
    if seconds < 90:
        return f"{seconds:.0f} s"
    return f"{seconds / 60:.0f} min" if seconds < 5400 else f"{seconds / 3600:.1f} h"


def render_page(report: Report) -> str:
    """The whole HTML file. All text is escaped; the SVG of drawings is trusted."""
    style, script = _part("report.css"), _part("report.js")
    page = _environment().get_template("report.html.j2")
    # The content security policy lets only this script run and forbids loading anything.
    script_hash = base64.b64encode(hashlib.sha256(script.encode()).digest()).decode()
    anchors = _distinct([section.anchor for section in report.sections])
    return page.render(
        report=report, anchors=anchors, style=Markup(style), script=Markup(script), script_hash=script_hash
    )


def _distinct(names: Sequence[str]) -> list[str]:
    """The names; a name that occurs again gets its index appended."""
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
    """Text without control characters; markup comes from the page itself and is left as it is."""
    return printable(value) if isinstance(value, str) and not isinstance(value, Markup) else value


def _part(name: str) -> str:
    environment = _environment()
    assert environment.loader
    return environment.loader.get_source(environment, name)[0]
