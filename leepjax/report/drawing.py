"""The style of figures, and how they are saved: the same bytes on every machine with the same Matplotlib."""

import html
import io
import math
import re
import warnings
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from leepjax.printable import printable
from leepjax.storage.files import write_atomically
from leepjax.types import InputError

try:
    import matplotlib as mpl
except ImportError:
    raise InputError("report: expected Matplotlib for figures, got none; pip install 'leepjax[report]'.") from None

import numpy as np
from matplotlib.axes import Axes
from matplotlib.colors import ListedColormap
from matplotlib.figure import Figure
from matplotlib.ticker import MaxNLocator

__all__ = ["Axes", "Figure", "MaxNLocator", "encode", "inline_svg", "panels", "save", "short", "style"]

FORMATS = ("png", "svg", "pdf")

# Okabe and Ito's colours, which remain distinct for colour-blind readers; without yellow, which is too faint on white.
BLUE, ORANGE, GREEN, VERMILION, PURPLE, SKY = "#0072b2", "#e69f00", "#009e73", "#d55e00", "#cc79a7", "#56b4e9"
INK, GREY, FAINT = "#222222", "#6b6b6b", "#d9d9d9"
SHADES = ListedColormap(mpl.colormaps["viridis_r"](np.linspace(0.14, 1, 256)), "shades")
"""The colour map of a number: viridis without its yellow end."""
COLOURS = (VERMILION, ORANGE, SKY, GREEN, BLUE, PURPLE)
MARKERS = ("v", "s", "o", "D", "^", "P")
"""Colour and marker of level 1, 2, …: never the colour alone."""

_STYLE = {
    "text.parse_math": False,  # names may hold $
    "font.family": "sans-serif",
    "font.size": 10,
    "axes.titlesize": 11,
    "axes.titlelocation": "left",
    "axes.labelsize": 10,
    "xtick.labelsize": 9,
    "ytick.labelsize": 9,
    "legend.fontsize": 9,
    "legend.frameon": False,
    "axes.spines.top": False,
    "axes.spines.right": False,
    "text.color": INK,
    "axes.labelcolor": INK,
    "axes.edgecolor": INK,
    "xtick.color": INK,
    "ytick.color": INK,
    "axes.grid": True,
    "axes.axisbelow": True,
    "grid.color": FAINT,
    "grid.linewidth": 0.6,
    "lines.linewidth": 1.8,
    "lines.markersize": 5,
}
# Text is stored as text, and ids are derived from the contents instead of being random.
_SAVING = {"svg.fonttype": "none", "svg.hashsalt": "leepjax", "pdf.fonttype": 42, "pdf.compression": 6}
_METADATA = {
    "png": {"Software": None},
    "svg": {"Date": None, "Creator": None},
    "pdf": {"CreationDate": None, "Creator": None, "Producer": None},
}


@contextmanager
def style(**more: Any) -> Iterator[None]:
    """A context in which figures are drawn in the report's style, independent of the user's own settings."""
    looks: Any = {**mpl.rcParamsDefault, **_STYLE, **more}
    with mpl.rc_context(looks), warnings.catch_warnings():
        # The font may lack characters of names; a PNG or PDF then shows a box, and an SVG the text.
        warnings.filterwarnings("ignore", r"Glyph \d+ .* missing from|Matplotlib currently does not support")
        yield


def short(name: str, most: int = 60) -> str:
    """A name as figures show it: printable, and without its middle if it is long."""
    name = printable(name)
    half = most // 2
    return name if len(name) <= most else f"{name[:half]}…{name[-half:]}"


def panels(count: int, width: float = 4.6, height: float = 3.7, most_columns: int = 2) -> tuple[Figure, list[Axes]]:
    """A figure of `count` panels, row by row, at most `most_columns` side by side, each `width` × `height` inches."""
    columns = min(count, most_columns)
    rows = math.ceil(count / columns)
    figure = Figure(figsize=(width * columns, height * rows), layout="constrained")
    grid = figure.subplots(rows, columns, squeeze=False).ravel()
    for unused in grid[count:]:
        unused.remove()
    return figure, list(grid[:count])


def encode(figure: Figure, format: str) -> bytes:
    """A figure as a file's contents; PNGs have a white background, the others none; equal figures give equal bytes.

    Raises:
        InputError: for a format that isn't among `FORMATS`.
    """
    if format not in FORMATS:
        raise InputError(f"report: expected a format among {', '.join(FORMATS)}, got {format!r}; choose one of them.")
    file = io.BytesIO()
    with style(**_SAVING):
        figure.savefig(file, format=format, dpi=160, transparent=format != "png", metadata=_METADATA[format])
    return file.getvalue()


def save(figure: Figure, path: Path, formats: Sequence[str] = FORMATS) -> list[Path]:
    """Write a figure in several formats, each file atomically.

    Args:
        figure: what to write.
        path: without a suffix; each format adds its own.
        formats: of `FORMATS`.

    Returns:
        The files' paths.

    Raises:
        InputError: for a format that isn't among `FORMATS`.
    """
    contents = {path.with_name(f"{path.name}.{format}"): encode(figure, format) for format in formats}
    for place, content in contents.items():
        write_atomically(place, content)
    return list(contents)


def inline_svg(svg: bytes, prefix: str, alt: str) -> str:
    """A figure's SVG file as an ``<svg>`` element for HTML, transparent, with text as text.

    Its ids begin with `prefix`, so that several can stand in a page; `alt` is for screen readers.
    """
    text = svg.decode()
    text = re.sub(r'\bid="', f'id="{prefix}-', text[text.index("<svg") :])
    text = text.replace("url(#", f"url(#{prefix}-").replace('href="#', f'href="#{prefix}-')
    text = re.sub(r"<metadata>.*?</metadata>\s*", "", text, flags=re.DOTALL)
    title = f"<title>{html.escape(alt)}</title>"
    return re.sub(r"<svg([^>]*)>", lambda tag: f'<svg role="img"{tag[1]}>{title}', text, count=1)
