"""Folders of pages that are written anew at each build, and touched only where they change."""

from pathlib import Path

NO_BREAK = "\N{NO-BREAK SPACE}"
WHOLE = 20  # signs


def write(folder: Path, pages: dict[str, str]) -> None:
    """Make the folder hold these pages (file name → text) and no others."""
    folder.mkdir(exist_ok=True)
    for stale in {path.name for path in folder.iterdir()} - pages.keys():
        (folder / stale).unlink()
    for name, text in pages.items():
        path = folder / name
        if not path.exists() or path.read_text(encoding="utf-8") != text:
            path.write_text(text, encoding="utf-8")


def restructured(text: str) -> str:
    """What autodoc reads, within a page of Markdown."""
    return f"```{{eval-rst}}\n{text.rstrip()}\n```\n"


def cell(text: str) -> str:
    """A text as a cell of a Markdown table."""
    return text.replace("|", "\\|")


def in_cell(code: str) -> str:
    """The same as code, which shows each sign as it is, and stays whole where it is short."""
    return f"`{cell(code.replace(' ', NO_BREAK) if len(code) <= WHOLE else code)}`"
