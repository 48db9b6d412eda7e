"""Count timm's checkpoints that open here: ``python docs/timm_coverage.py`` writes the table in ``docs/models.md``.

A checkpoint opens when its ``config.json`` is accepted. That the network then has timm's tensors is what
``tests/models/test_coverage.py`` holds.
"""

import re
import sys
from pathlib import Path

ROOT = Path(__file__).parents[1]
sys.path[:0] = [str(ROOT / "tests"), str(ROOT / "tests" / "making")]

from timm_checkpoints import checkpoints, refusal  # noqa: E402

PAGE = ROOT / "docs" / "models.md"
START, END = "<!-- timm's table: written by docs/timm_coverage.py -->", "<!-- end of timm's table -->"
FIRST = 300


def table() -> str:
    """The table of families as Markdown, and the counts above it."""
    rows = checkpoints()
    first = {row["name"] for row in rows[:FIRST]}
    why = {row["name"]: refusal(row) for row in rows}
    families = sorted({row["family"] for row in rows}, key=lambda name: (-len(_of(rows, name)), name))
    opened = [row["name"] for row in rows if why[row["name"]] is None]
    best = sum(name in first for name in opened)
    lines = [
        f"Of the {len(rows):,} distinct checkpoints in timm's table of ImageNet results **{len(opened):,} open "
        f"({len(opened) / len(rows):.0%})**, and of the {FIRST} most accurate {best} ({best / FIRST:.0%}).",
        "",
        f"| family (timm's file) | checkpoints | open | of the first {FIRST} | open | what doesn't open |",
        "|---|---|---|---|---|---|",
    ]
    absent = []
    for family in families:
        names = [row["name"] for row in _of(rows, family)]
        there = [name for name in names if why[name] is None]
        if not there:
            absent.append(f"{family} ({len(names)}, {len(first.intersection(names))})")
            continue
        counts = len(names), len(there), len(first.intersection(names)), len(first.intersection(there))
        lines.append(
            f"| `{family}` | {' | '.join(map(str, counts))} | {_closed({n: why[n] for n in names if why[n]})} |"
        )
    lines += ["", f"Families that aren't built here (checkpoints, of the first {FIRST}): {', '.join(absent)}."]
    return "\n".join(lines)


def _of(rows: list[dict], family: str) -> list[dict]:
    return [row for row in rows if row["family"] == family]


def _closed(why: dict[str, str]) -> str:
    """Architectures that aren't there, and what else is refused."""
    missing = {name.partition(".")[0] for name, refused in why.items() if ": architecture: " in refused}
    others = {
        f"`{name}`: {re.sub(r'^[^:]*: ', '', refused).partition(';')[0]}"
        for name, refused in why.items()
        if ": architecture: " not in refused
    }
    return "; ".join([", ".join(f"`{name}`" for name in sorted(missing)), *sorted(others)]).strip("; ")


def page() -> str:
    """The whole page with the table of today."""
    before, _, rest = PAGE.read_text(encoding="utf-8").partition(START)
    _, _, after = rest.partition(END)
    return f"{before}{START}\n\n{table()}\n\n{END}{after}"


if __name__ == "__main__":
    PAGE.write_text(page(), encoding="utf-8")
