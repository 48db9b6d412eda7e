"""leepjax: which pretrained model will transfer to your data, before you train anything.

>>> import leepjax as lj
>>> print(f"{lj.leep([[0.9, 0.1], [0.8, 0.2], [0.2, 0.8]], [0, 0, 1]):.4f}")
-0.3168
"""

from leepjax.exports import lazy_exports

__version__ = "0.1.0"

# The public names are listed in ``__init__.pyi``.
__getattr__, __all__ = lazy_exports(__name__)  # pyright: ignore[reportUnsupportedDunderAll]


def __dir__() -> list[str]:
    return [*__all__, "__version__"]
