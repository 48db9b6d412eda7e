"""The language of the project: ten terms with one meaning each, and phrases that take a second reading."""

import ast
import re
from collections import defaultdict
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
TERMS = ["source", "target", "evidence", "measure", "score", "accuracy", "task", "study", "record", "table"]
BANNED = [
    "what arrives",
    "told of",
    "told by",
    "a line an epoch",
    "an epoch a line",
    "a source a line",
    "a line a source",
    "images a second",
    "steps a second",
    "a row an example",
    "one an example",
    "gone on with",
    "another's",
    "the door",
    "the shelf",
    "write it so",
]
STRICTLY_BANNED = [
    "so many",
    "is told",
    "are told",
    "whoever",
    "check it",
    "check them",
    "correct it",
    "mend it",
    "mend or",
]
READ = [
    "storage",
    "data",
    "kernels",
    "checks",
    "statistics",
    "solvers",
    "streaming",
    "models",
    "extraction",
    "transfer",
    "adapting",
]
READ += ["distributed", "opening", "cli", "agreement", "engines", "ranking", "report", "studies", "measures", "meta"]


def texts(*folders):
    for folder in folders:
        for path in sorted((ROOT / folder).rglob("*")):
            if path.suffix in (".py", ".pyi", ".md", ".j2") and path.is_file():
                yield path, " ".join(path.read_text().split())


def found(phrases, pages):
    pattern = re.compile(rf"\b({'|'.join(map(re.escape, phrases))})\b", re.IGNORECASE)
    return [f"{path.relative_to(ROOT)}: {match[0]}" for path, text in pages for match in pattern.finditer(text)]


def test_each_term_of_the_glossary_has_one_short_meaning():
    entries = dict(re.findall(r"^(\w+)\n: (.+?)(?:\n\n|\Z)", (ROOT / "docs/glossary.md").read_text(), re.M | re.S))
    assert list(entries) == TERMS
    for term, meaning in entries.items():
        assert len(re.findall(r"\.(?=\s|$)", meaning)) <= 2, term


def test_the_glossary_is_linked():
    index = (ROOT / "docs/index.md").read_text()
    assert "(glossary.md)" in index
    assert "\nglossary\n" in index


def test_phrases_that_take_a_second_reading_are_not_used():
    pages = [*texts("leepjax", "docs"), (ROOT / "README.md", (ROOT / "README.md").read_text())]
    assert not found(BANNED, pages)


@pytest.mark.parametrize("component", READ)
def test_components_that_were_read_are_held_to_a_stricter_list(component):
    assert not found(STRICTLY_BANNED, texts(f"leepjax/{component}"))


def test_public_classes_have_names_of_their_own():
    """Except for the blocks of network architectures, each of which belongs to the module of its family."""
    modules = defaultdict(list)
    for path in {*(ROOT / "leepjax").rglob("*.py")} - {*(ROOT / "leepjax" / "models" / "families").iterdir()}:
        for node in ast.parse(path.read_text()).body:
            if isinstance(node, ast.ClassDef) and not node.name.startswith("_"):
                modules[node.name].append(str(path.relative_to(ROOT)))
    shared = {name for name, places in modules.items() if len(places) > 1}
    assert shared <= {"Table", "Outcome"}


def test_benchmarks_are_held_to_both_lists():
    assert not found(BANNED + STRICTLY_BANNED, texts("benchmarks"))
