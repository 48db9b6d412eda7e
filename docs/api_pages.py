"""Pages of the public names that are no measures, by what they are for: written at each build."""

from itertools import chain
from pathlib import Path

from generated import restructured, write
from public_names import DATA, all_rows, companions, directive, documented_as, is_data, look_up, public_names
from sphinx.application import Sphinx

# Page → its title and the modules whose names it holds; the longest that fits counts.
GROUPS = {
    "ranking": ("Ranking sources", ("leepjax.ranking", "leepjax.agreement", "leepjax.storage")),
    "sources": ("Sources", ("leepjax.models", "leepjax.data.preprocessing")),
    "targets": ("Targets", ("leepjax.data", "leepjax.extraction", "leepjax.extraction.extract_sources")),
    "statistics": (
        "Statistics, streaming and sharding",
        (
            "leepjax.statistics.joint",
            "leepjax.statistics.moments",
            "leepjax.streaming.batches",
            "leepjax.streaming.sweeps",
            "leepjax.distributed",
        ),
    ),
    "training": ("Training", ("leepjax.transfer",)),
    "measuring": ("Around the measures", ("",)),
}


def setup(app: Sphinx) -> dict[str, bool]:
    """Write the pages once Sphinx knows where, and before it looks for pages."""
    app.connect("builder-inited", lambda app: write(Path(app.srcdir) / "api", pages()))
    return {"parallel_read_safe": True}


def pages() -> dict[str, str]:
    """File name → text."""
    rows = all_rows()
    of_measures = {name: None for row in rows for name in (documented_as(row), *companions(row, rows)) if name}
    grouped = {group: [] for group in GROUPS}
    for name in public_names():
        if name not in of_measures:
            grouped[group_of(name)].append(name)
    grouped = {group: names for group, names in grouped.items() if names}
    bodies = {f"{group}.md": group_page(GROUPS[group][0], names) for group, names in grouped.items()}
    return bodies | {"index.md": overview(grouped, list(of_measures))}


def group_of(name: str) -> str:
    """The page that a name belongs on, by the module that it lives in."""
    home = getattr(look_up(name), "__module__", None) or name
    fits = [(len(prefix), group) for group, (_, homes) in GROUPS.items() for prefix in homes if home.startswith(prefix)]
    return max(fits)[1]


def group_page(title: str, names: list[str]) -> str:
    """A page with all that autodoc says of these names."""
    return "\n".join([f"# {title}\n", *(restructured(directive(name)) for name in names)])


def overview(grouped: dict[str, list[str]], of_measures: list[str]) -> str:
    """One line for each public name, and the pages below."""
    parts = [
        "# Python API\n",
        "Every name loads when it is first used: `import leepjax` takes neither Flax nor Optax.\n",
    ]
    sections = chain(
        ((GROUPS[group][0], names) for group, names in grouped.items()),
        [("Measures", of_measures)] if of_measures else [],
    )
    for title, names in sections:
        parts.append(f"## {title}\n\n{summary(names)}")
    listed = "".join(f"{group}\n" for group in grouped)
    return "\n".join([*parts, f"```{{toctree}}\n:hidden:\n\n{listed}```\n"])


def summary(names: list[str]) -> str:
    """A table of names and first sentences."""
    listed = "".join(f"   {name}\n" for name in names if not is_data(name))
    data = "".join(f"{{py:data}}`{name}`: {DATA.get(name, '')}\n\n" for name in names if is_data(name))
    return (restructured(f".. autosummary::\n   :nosignatures:\n\n{listed}") if listed else "") + "\n" + data
