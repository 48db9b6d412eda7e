"""``leepjax ls``: the sources, measures and targets that there are to choose from."""

from typing import Literal

from leepjax.cli.options import names_of
from leepjax.tables import Format


def list_(
    what: Literal["sources", "measures", "targets"], /, *, filter: str | None = None, format: Format = "table"
) -> None:
    """List what there is to choose from.

    Parameters
    ----------
    what
        Sources with their model cards, measures, or kinds of targets.
    filter
        Conditions separated by commas: parameters<5e6, licence=Apache*, or a text that a row holds.
    format
        What stdout gets.
    """
    from leepjax.cli import catalogue
    from leepjax.tables import render, select

    print(render(select(getattr(catalogue, what)(), names_of(filter) or []), format))  # noqa: T201
