"""Measures of transferability as plain functions, and the tables that list them."""

from leepjax.exports import lazy_exports

# Public names are listed in ``__init__.pyi`` or, for measures with a row, in the imports of their table.
__getattr__, __all__ = lazy_exports(__name__)


def __dir__() -> list[str]:
    return [*__all__]
