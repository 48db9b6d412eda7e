"""Measures of transferability as plain functions, and the tables that list them."""

from leepjax.exports import lazy_exports

# The public names stand in ``__init__.pyi`` and, where a measure has a row, in the imports of its table.
__getattr__, __all__ = lazy_exports(__name__)


def __dir__() -> list[str]:
    return [*__all__]
