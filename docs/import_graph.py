"""The imports between the modules of the package, read from its source, and between its components.

A component is a folder of the package, or a module beside the folders.
"""

import ast
from collections.abc import Iterable, Mapping
from pathlib import Path

PACKAGE = Path(__file__).resolve().parents[1] / "leepjax"


def modules(package: Path = PACKAGE) -> dict[str, Path]:
    """Dotted name inside the package → its file; a folder's name is its ``__init__``."""
    names = {}
    for path in sorted(package.rglob("*.py")):
        parts = path.relative_to(package).with_suffix("").parts
        names[".".join(parts[:-1] if parts[-1] == "__init__" and len(parts) > 1 else parts)] = path
    return names


def imports(path: Path, known: Iterable[str]) -> set[str]:
    """The package's modules that a file imports, also inside functions; not those for annotations."""
    tree = ast.parse(path.read_text("utf-8"))
    for block in ast.walk(tree):
        if isinstance(block, ast.If) and "TYPE_CHECKING" in ast.unparse(block.test):
            block.body = []
    found = set()
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            found |= {alias.name for alias in node.names}
        elif isinstance(node, ast.ImportFrom):
            assert not node.level, f"{path}: relative import"
            # `from a import b` imports the module a.b where there is one, and a otherwise.
            names = [f"{node.module}.{alias.name}" for alias in node.names]
            found |= {name if name.removeprefix("leepjax.") in known else str(node.module) for name in names}
    ours = {name for name in found if name.split(".")[0] == "leepjax"}
    return {name.removeprefix("leepjax.") if "." in name else "__init__" for name in ours}


def graph_of_modules(package: Path = PACKAGE) -> dict[str, set[str]]:
    """Module → the modules of the package that it imports."""
    known = modules(package)
    return {name: imports(path, known) for name, path in known.items()}


def component_of(module: str) -> str:
    """The component to which a module belongs."""
    return module.partition(".")[0]


def graph_of_components(graph: Mapping[str, set[str]]) -> dict[str, set[str]]:
    """Component → the other components that its modules import."""
    components: dict[str, set[str]] = {}
    for module, imported in graph.items():
        component = component_of(module)
        components.setdefault(component, set()).update(
            other for other in map(component_of, imported) if other != component
        )
    return components
