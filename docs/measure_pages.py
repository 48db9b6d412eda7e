"""A page for each row of the tables of measures, and one that holds them side by side: written at each build."""

from pathlib import Path

from generated import cell, in_cell, restructured, write
from public_names import all_rows, companions, directive, documented_as
from sphinx.application import Sphinx

import leepjax
from leepjax.measures import DEFAULT_MEASURES, Measure

SHAPES = {"probs": "`probs` [n z]", "features": "`features` [n d]", "source_labels": "`source_labels` [n]"}
PASSES = {None: "", 1: "reads the evidence once", 2: "reads the evidence twice"}
STREAMS = {None: "", True: "yes, batch by batch", False: "no: it needs all examples at once"}
GRADIENT = {None: "", True: "with respect to the evidence", False: "none: it is not smooth"}
ROW = "| {} | {} | {} | {} | {} | {} | {} |\n"


def setup(app: Sphinx) -> dict[str, bool]:
    """Write the pages once Sphinx knows where, and before it looks for pages."""
    app.connect("builder-inited", lambda app: write(Path(app.srcdir) / "measures", pages()))
    return {"parallel_read_safe": True}


def pages() -> dict[str, str]:
    """File name → text."""
    rows, seen, written = all_rows(), set(), {}
    for row in rows:
        written[f"{row.name}.md"] = page(row, rows, seen)
    return written | {"index.md": overview()}


def page(row: Measure, rows: list[Measure], seen: set[str]) -> str:
    """What the table says of a measure, what its function does, and what else lives in its file."""
    facts = "".join(f"* - {name}\n  - {value}\n" for name, value in facts_of(row) if value)
    parts = [f"# {row.name}\n", f"{sentence(row.summary)}\n", f":::{{list-table}}\n:class: facts\n{facts}:::\n"]
    names = [name for name in (documented_as(row), *companions(row, rows)) if name]
    fresh = [name for name in names if name not in seen]
    seen.update(fresh)
    if not fresh:  # two rows of one function: the first has its text
        parts += [f"It is {{py:obj}}`{name}` with other arguments.\n" for name in names[:1]]
    parts += [restructured(directive(name)) for name in fresh]
    return "\n".join(parts)


def facts_of(row: Measure) -> list[tuple[str, str]]:
    """What the table says, as pairs; a row of the second table needn't say all of it."""
    passes, streams, smooth = (getattr(row, name, None) for name in ("passes", "streams", "smooth"))
    return [
        ("reads", SHAPES.get(row.reads, row.reads)),
        ("range", f"`{row.range}`, higher is better"),
        ("paper", row.paper),
        ("operations", f"O({row.cost})"),
        ("memory", f"O({row.memory}) numbers beside the evidence"),
        ("passes", PASSES.get(passes, f"reads the evidence {passes} times")),
        ("streams", STREAMS[streams]),
        ("gradient", GRADIENT[smooth]),
        ("by default", "scored unless `--measures` says otherwise" if row.name in DEFAULT_MEASURES else ""),
        ("scored by", f"`leepjax rank digits --measures {row.name}`" if row.name in leepjax.MEASURES else ""),
    ]


def overview() -> str:
    """All measures side by side, and the pages below."""
    first, second = list(leepjax.MEASURES.values()), list(leepjax.FURTHER.values())
    names = "".join(f"{row.name}\n" for row in (*first, *second))
    return "\n".join(
        [
            "# Measures\n",
            "Higher is better in all of them; natural logarithms; undefined is NaN, never zero. Letters:",
            "**n** examples, **d** features, **z** source and **c** target classes. Costs are to their order.\n",
            f"## Of one source's outputs on class labels\n\n{table(first)}",
            f"## Of other evidence or labels\n\n{table(second)}",
            f"```{{toctree}}\n:hidden:\n\n{names}```\n",
        ]
    )


def table(rows: list[Measure]) -> str:
    """Rows with links to their pages."""
    head = ROW.format("measure", "reads", "what it is", "range", "operations", "memory", "streams")
    lines = "".join(
        ROW.format(
            f"[{row.name}]({row.name}.md)",
            row.reads.replace("_", " "),
            cell(f"{row.summary} ({row.paper})"),
            in_cell(row.range),
            cell(row.cost),
            cell(row.memory),
            {True: "yes", False: "–"}.get(getattr(row, "streams", False), "–"),
        )
        for row in rows
    )
    return f"::::{{container}} overview\n{head}|---|---|---|---|---|---|---|\n{lines}::::\n"


def sentence(text: str) -> str:
    """A text with a capital and a full stop."""
    return f"{text[0].upper()}{text[1:]}."
