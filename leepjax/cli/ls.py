"""``leepjax ls``: list sources, measures and targets."""

from typing import Literal

from leepjax.cli.options import names_of
from leepjax.tables import Format


def list_(
    what: Literal["sources", "measures", "targets"], /, *, filter: str | None = None, format: Format = "table"
) -> None:
    """List sources, measures or targets.

    Parameters
    ----------
    what
        Sources with their model cards, measures, or kinds of targets.
    filter
        Conditions separated by commas: parameters<5e6, licence=Apache*, or text within any column.
    format
        Output format.
    """
    from leepjax.cli import catalogue
    from leepjax.tables import render, select

    print(render(select(getattr(catalogue, what)(), names_of(filter) or []), format))  # noqa: T201
