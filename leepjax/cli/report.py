"""``leepjax report``: show records as a page and figures."""

from pathlib import Path

from leepjax.cli.options import names_of
from leepjax.printable import printable


def report(folder: Path, /, *, out: Path | None = None, formats: str = "png,svg,pdf") -> None:
    """Draw a report of a folder's records: one self-contained HTML page, and the figures of studies.

    Parameters
    ----------
    folder
        The --out folder of leepjax study, rank, sweep or choose.
    out
        Folder for report.html and figures/; FOLDER/report by default.
    formats
        Formats of the figures: png, svg, pdf, separated by commas. Drawing them needs pip install 'leepjax[report]'.
    """
    from leepjax.report.make import make_report

    print(printable(str(make_report(folder, out, names_of(formats) or ()))))  # noqa: T201
