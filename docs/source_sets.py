"""Write the sets of sources into ``docs/models.md``, from the package's data file: ``python docs/source_sets.py``."""

from pathlib import Path

from leepjax.models.sets import hub_sets

PAGE = Path(__file__).parent / "models.md"
START, END = "<!-- sets: written by docs/source_sets.py -->", "<!-- end of sets -->"


def tables() -> str:
    """A table for each set: its members and why they are members."""
    parts = []
    for name, each in hub_sets().items():
        rows = [f"| `{source}` | {why} |" for source, why in each.reasons.items()]
        parts.append("\n".join([f"### `{name}`", "", each.about, "", "| source | why |", "|---|---|", *rows]))
    return "\n\n".join(parts)


def page() -> str:
    """The page with the sets of today."""
    text = PAGE.read_text("utf-8")
    begin, rest = text.split(START)
    return f"{begin}{START}\n\n{tables()}\n\n{END}{rest.split(END)[1]}"


if __name__ == "__main__":
    PAGE.write_text(page(), "utf-8")
