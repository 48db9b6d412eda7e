"""What is public, by the full name it is documented under, and which of it stands on the pages of measures."""

import functools
from collections.abc import Callable, Iterator
from importlib import import_module

import leepjax
from leepjax.measures import FurtherMeasure, Measure

# Modules whose names are public as well, and single names of others.
MODULES = ("leepjax.measures", "leepjax.agreement", "leepjax.ranking")
SINGLE = ("leepjax.distributed.initialize",)
# What can't say by itself what it is.
DATA = {
    "leepjax.MEASURES": "Name → row of each measure that reads one source's outputs and class labels.",
    "leepjax.DEFAULT_MEASURES": "Names of the measures that are scored by default: the paper's and their kin.",
    "leepjax.agreement.STATISTICS": "Name → function of each statistic of scores and accuracies.",
    "leepjax.FURTHER": "Name → row of each measure that reads other evidence.",
}


def all_rows() -> list[Measure | FurtherMeasure]:
    """Every row of both tables."""
    return [*leepjax.MEASURES.values(), *leepjax.FURTHER.values()]


def public_names() -> list[str]:
    """Full names: those of `leepjax`, then what its public modules have beside them."""
    names = [f"leepjax.{name}" for name in leepjax.__all__]
    for module in MODULES:
        names += [f"{module}.{name}" for name in import_module(module).__all__ if name not in leepjax.__all__]
    return [*names, *SINGLE]


def look_up(full_name: str) -> object:
    """What a full name stands for."""
    module, name = full_name.rsplit(".", 1)
    return getattr(import_module(module), name)


def documented_as(row: Measure | FurtherMeasure) -> str | None:
    """The full name of a row's function, or of the one that its row calls; None for one without a name."""
    if hasattr(leepjax, row.name):
        return f"leepjax.{row.name}"
    function: Callable = row.function
    while isinstance(function, functools.partial):
        function = function.func
    if hasattr(leepjax, function.__name__):
        return f"leepjax.{function.__name__}"
    return f"{function.__module__}.{function.__name__}" if function.__qualname__.isidentifier() else None


def companions(row: Measure | FurtherMeasure, rows: list[Measure | FurtherMeasure]) -> Iterator[str]:
    """Public names that live in the file of a row's function and are no row's own."""
    own = documented_as(row)
    if own is None:
        return
    taken = {documented_as(other) for other in rows}
    home = getattr(look_up(own), "__module__", None)
    for name in public_names():
        if name not in taken and getattr(look_up(name), "__module__", None) == home:
            yield name


def is_data(full_name: str) -> bool:
    """Whether a name stands for something that is neither a function nor a class."""
    return not callable(look_up(full_name))


def directive(full_name: str) -> str:
    """What autodoc is to do with a name."""
    if is_data(full_name):
        return f".. py:data:: {full_name}\n\n   {DATA.get(full_name, '')}\n"
    if isinstance(look_up(full_name), type):
        return f".. autoclass:: {full_name}\n   :members:\n"
    return f".. autofunction:: {full_name}\n"
