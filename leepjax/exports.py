"""The public names of a package, listed in its stub ``__init__.pyi``.

A name is public if the stub imports it under its own name, ``from home import name as name``; this is also the rule of
type checkers (PEP 484). The stub is read at run time, so each name is written only once. A name's module is imported
when the name is first used, so `leepjax --help` doesn't import JAX, and a measure doesn't import the others.
"""

import ast
from collections.abc import Callable
from importlib import import_module
from pathlib import Path
from typing import Any

_ROOT = Path(__file__).parent.parent


def lazy_exports(package: str) -> tuple[Callable[[str], Any], list[str]]:
    """The function ``__getattr__`` and the list ``__all__`` of a package with a stub."""
    homes = homes_of_names(package)

    def get(name: str) -> Any:
        if name not in homes:
            raise AttributeError(f"module {package!r} has no attribute {name!r}")
        return getattr(import_module(homes[name]), name)

    return get, sorted(homes)


def homes_of_names(module: str) -> dict[str, str]:
    """Public name → the module that defines it. ``from other import *`` stands for the public names of the other."""
    path = _ROOT.joinpath(*module.split("."))
    file = path / "__init__.pyi" if path.is_dir() else path.with_suffix(".py")
    homes = {}
    for node in ast.parse(file.read_text("utf-8")).body:
        if isinstance(node, ast.ImportFrom) and node.module:
            for alias in node.names:
                if alias.name == "*":
                    homes |= homes_of_names(node.module)
                elif alias.asname == alias.name:
                    homes[alias.name] = node.module
    return homes
