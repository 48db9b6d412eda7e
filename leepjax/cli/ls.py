"""``leepjax ls``: list sources, sets of them, models of the hub, measures and targets."""

from typing import Literal

from leepjax.cli.options import names_of
from leepjax.tables import Format


def list_(
    what: Literal["sources", "sets", "hub", "measures", "targets"],
    /,
    *,
    filter: str | None = None,
    format: Format = "table",
) -> None:
    """List sources, sets of them, models of the Hugging Face Hub, measures or targets.

    Parameters
    ----------
    what
        Sources with their model cards, sets of sources, models of the hub whose architecture leepjax has, measures, or
        kinds of targets.
    filter
        Conditions separated by commas: parameters<5e6, licence=Apache*, name~vit, task!=..., or text within any column.
    format
        Output format.
    """
    from leepjax.cli import catalogue
    from leepjax.tables import render, select

    conditions = names_of(filter) or []
    rows = catalogue.hub(conditions) if what == "hub" else select(getattr(catalogue, what)(), conditions)
    print(render(rows, format))  # noqa: T201
