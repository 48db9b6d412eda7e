"""Libraries that bridges need and leepjax doesn't install: import them when they are needed, or say what to install."""

import importlib
import sys
from typing import Any

from leepjax.types import InputError


def library(caller: str, module: str, extra: str) -> Any:
    """Import a library that is in one of leepjax's extras.

    Raises:
        InputError: when it isn't installed, or can't be imported; it begins with `caller`.
    """
    try:
        return importlib.import_module(module)
    except ModuleNotFoundError as error:
        got = "none" if error.name == module else f"{type(error).__name__}: {error}"
    except Exception as error:  # versions that don't fit together raise any type
        got = f"{type(error).__name__}: {str(error).partition(chr(10))[0]}"
    raise InputError(f"{caller}: expected the library {module}, got {got}; pip install 'leepjax[{extra}]'.")


def is_instance(value: Any, module: str, name: str) -> bool:
    """Whether a value is of a class of a library; the library isn't imported, for without it there are no values."""
    kind = getattr(sys.modules.get(module), name, None)
    return kind is not None and isinstance(value, kind)
