"""How docstrings are read: formulas as they are written, and signs of mathematics as what they are."""

import re

from sphinx.application import Sphinx

CODE = re.compile(r"(`+[^`]+`+)")
# What reStructuredText would take for marks of its own, outside of code: |A|, (features, *, where), y_.
MARKS = re.compile(r"(\||(?<=[\s(])\*(?=[,)])|(?<=\w)_(?![\w{]))")


def setup(app: Sphinx) -> dict[str, bool]:
    """Before napoleon, which has the usual priority of 500, sees them."""
    app.connect("autodoc-process-docstring", lambda *arguments: as_written(arguments[-1]), priority=400)
    return {"parallel_read_safe": True}


def as_written(lines: list[str]) -> None:
    """Make formulas, which are blocks indented below a text, literal, and escape marks elsewhere, in place."""
    written: list[str] = []
    above = None  # how far the text is indented that a literal block stands below
    doctest = False
    for i, line in enumerate(lines):
        doctest = line.lstrip().startswith(">>>") or (doctest and bool(line.strip()))
        if doctest or (above is not None and (not line.strip() or indentation(line) > above)):
            written.append(line)
            continue
        above = None
        written.append(escaped(line))
        if line.strip() in ("Returns:", "Yields:"):
            # Or napoleon takes what stands before a colon in the next line for a type.
            written.append(f"{' ' * indentation(lines[i + 1])}\\")
        if opens_formula(lines, i):
            written += ["", "::"]
            above = indentation(line)
    lines[:] = written


def escaped(line: str) -> str:
    """A line of prose whose marks are signs, and whose code may be followed by a letter, as in `Source`s."""
    parts = CODE.split(line)  # prose and code in turn
    parts[::2] = (MARKS.sub(r"\\\1", part) for part in parts[::2])
    parts[2::2] = (f"\\ {part}" if part[:1].isalnum() else part for part in parts[2::2])
    return "".join(parts)


def opens_formula(lines: list[str], i: int) -> bool:
    """Whether line i, of text that is in no section, stands above an empty line and a deeper block."""
    if i + 2 >= len(lines) or not lines[i].strip() or lines[i].endswith("::") or lines[i + 1].strip():
        return False
    return indentation(lines[i]) == 0 < indentation(lines[i + 2])


def indentation(line: str) -> int:
    """The number of spaces that a line begins with."""
    return len(line) - len(line.lstrip())
