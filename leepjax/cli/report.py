"""``leepjax report``: what records say, as a page and figures."""

from pathlib import Path

from leepjax.cli.options import names_of
from leepjax.printable import printable


def report(folder: Path, /, *, out: Path | None = None, formats: str = "png,svg,pdf") -> None:
    """Draw what a folder's records say: one HTML page that needs no other file, and the figures of studies.

    Parameters
    ----------
    folder
        What leepjax study, rank or sweep wrote with --out.
    out
        Folder for report.html and figures/; FOLDER/report by default.
    formats
        Of the figures' files: png, svg, pdf, separated by commas. Drawing them needs pip install 'leepjax[report]'.
    """
    from leepjax.report.make import make_report

    print(printable(str(make_report(folder, out, names_of(formats) or ()))))  # noqa: T201
