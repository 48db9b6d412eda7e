"""The tests that hold known defects, listed from their file at each build."""

import ast
from pathlib import Path

from generated import write
from sphinx.application import Sphinx

TESTS = Path(__file__).parents[1] / "tests" / "measures" / "test_defects.py"


def setup(app: Sphinx) -> dict[str, bool]:
    """Write the list that `defects.md` includes."""
    app.connect("builder-inited", lambda app: write(Path(app.srcdir) / "_generated", {"defect_tests.md": listed()}))
    return {"parallel_read_safe": True}


def listed() -> str:
    """Each test as a sentence that its name makes, with its docstring where it has one."""
    functions = [
        node for node in ast.parse(TESTS.read_text(encoding="utf-8")).body if isinstance(node, ast.FunctionDef)
    ]
    return "".join(f"- `{node.name}`{explained(node)}\n" for node in functions if node.name.startswith("test_"))


def explained(node: ast.FunctionDef) -> str:
    """What a test says of itself, after a colon."""
    docstring = ast.get_docstring(node)
    return f": {' '.join(docstring.split())}" if docstring else ""
