"""``leepjax ls``: list sources, sets of them, models of the hub, blocks of a source, measures and targets."""

from typing import Literal

from leepjax.cli.options import names_of
from leepjax.tables import Format
from leepjax.types import InputError


def list_(
    what: Literal["sources", "sets", "hub", "blocks", "measures", "targets"],
    source: str | None = None,
    /,
    *,
    filter: str | None = None,
    format: Format = "table",
) -> None:
    """List sources, sets of them, models of the Hugging Face Hub, the blocks of a source, measures or targets.

    Parameters
    ----------
    what
        Sources with their model cards, sets of sources, models of the hub whose architecture leepjax has, blocks of a
        source as rank --features takes them, measures, or kinds of targets.
    source
        For blocks: the source whose blocks are listed, as for rank.
    filter
        Conditions separated by commas: parameters<5e6, licence=Apache*, name~vit, task!=..., or text within any column.
    format
        Output format.
    """
    from leepjax.cli import catalogue
    from leepjax.tables import render, select

    conditions = names_of(filter) or []
    if source is not None and what != "blocks":
        raise InputError(f"ls: expected a source for blocks alone, got {source!r} for {what}; leave it out.")
    if what == "hub":
        rows = catalogue.hub(conditions)
    else:
        listed = catalogue.blocks(source) if what == "blocks" else getattr(catalogue, what)()
        rows = select(listed, conditions)
    print(render(rows, format))  # noqa: T201
