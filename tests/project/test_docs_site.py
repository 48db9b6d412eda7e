"""Facts of the documentation site that can be checked without building it; `.ci/run` builds it, warnings fatal."""

import inspect
import re
import sys
from pathlib import Path

import pytest
from places import ROOT

pytest.importorskip("sphinx")
DOCS = ROOT / "docs"
TESTS = ROOT / "tests"
sys.path.insert(0, str(DOCS))

import api_pages  # noqa: E402
import measure_pages  # noqa: E402
import public_names  # noqa: E402
from docstrings import as_written  # noqa: E402

import leepjax  # noqa: E402
from leepjax.measures import Measure  # noqa: E402

WRITTEN = sorted(
    path
    for path in DOCS.rglob("*.md")
    if path.relative_to(DOCS).parts[0] not in ("_build", "_generated", "api", "measures")
)
TEXTS = {path.relative_to(DOCS).as_posix(): path.read_text(encoding="utf-8") for path in WRITTEN}
GENERATED = {f"measures/{name}": text for name, text in measure_pages.pages().items()} | {
    f"api/{name}": text for name, text in api_pages.pages().items()
}


def test_every_measure_has_its_page():
    overview = GENERATED["measures/index.md"]
    for row in public_names.all_rows():
        page = GENERATED[f"measures/{row.name}.md"]
        assert row.paper in page
        assert f"`{row.range}`" in page
        assert f"({row.name}.md)" in overview
        assert f"\n{row.name}\n" in overview
    for name in leepjax.MEASURES:
        assert f".. autofunction:: leepjax.{name}\n" in GENERATED[f"measures/{name}.md"]


def test_a_new_row_has_its_page_and_its_function_one_description(monkeypatch):
    def novel(features, labels):
        """A score."""

    novel.__qualname__, novel.__module__ = "novel", "leepjax.measures.novel"
    other = leepjax.MEASURES["leep"]._replace(name="leep_again", summary="the |same| again")
    new = Measure("novel", novel, "Novel", "features", "(−∞, 0]", "news", "Ours", "n", "1", 1, False)
    rows = [*leepjax.MEASURES.values(), other, new]
    monkeypatch.setattr(
        public_names, "look_up", lambda name: novel if name.endswith("novel") else getattr(leepjax, name[8:])
    )
    monkeypatch.setattr(public_names, "public_names", list)
    seen = set()
    texts = {row.name: measure_pages.page(row, rows, seen) for row in rows}
    assert ".. autofunction:: leepjax.measures.novel.novel" in texts["novel"]
    assert ".. autofunction:: leepjax.leep\n" in texts["leep"]
    assert "autofunction" not in texts["leep_again"]
    assert "{py:obj}`leepjax.leep`" in texts["leep_again"]
    assert "the \\|same\\| again" in measure_pages.table(rows)


def test_every_public_name_is_described_once():
    text = "\n".join(GENERATED.values())
    for name in public_names.public_names():
        described = re.findall(rf"^\.\. (?:auto\w+|py:data):: {re.escape(name)}$", text, re.MULTILINE)
        assert len(described) == 1, (name, described)


def test_links_and_contents_lead_to_pages():
    pages = TEXTS | GENERATED
    for name, text in pages.items():
        here = Path(name).parent
        linked = re.findall(r"\]\(([^)#:]+\.md)", text)
        contents = re.findall(r"```\{toctree\}\n(.*?)```", text, re.DOTALL)
        below = [f"{line}.md" for block in contents for line in block.split("\n") if line and not line.startswith(":")]
        for target in (*linked, *below):
            parts = []
            for part in (here / target).parts:
                parts = parts[:-1] if part == ".." else [*parts, part]
            assert "/".join(parts) in pages, f"{name}: {target}"


def test_includes_find_what_they_include():
    found = 0
    for name, text in TEXTS.items():
        for path, options in re.findall(r"```\{include\} (\S+)\n(.*?)```", text, re.DOTALL):
            if path.startswith("_generated"):
                continue
            start, end = (re.search(rf':{which}: "(.*)"', options) for which in ("start-after", "end-before"))
            rest = (DOCS / name).parent.joinpath(path).read_text(encoding="utf-8")
            if start and end:
                found += 1
                assert rest.count(start[1]) == 1, (name, start[1])
                assert end[1] in rest.split(start[1])[1], (name, end[1])
    assert found >= 5


def test_defects_name_tests_that_exist():
    named = set(re.findall(r"`(test_\w+)`", TEXTS["defects.md"]))
    existing = set(re.findall(r"def (test_\w+)", "".join(path.read_text("utf-8") for path in TESTS.rglob("test_*.py"))))
    assert len(named) >= 15
    assert named <= existing


def test_the_first_command_is_that_of_the_readme():
    readme = (ROOT / "README.md").read_text(encoding="utf-8")
    (first, *_) = re.findall(r"```sh\n(.*?)```", readme, re.DOTALL)
    assert first in TEXTS["start.md"]


def test_no_path_of_a_machine():
    for name, text in (TEXTS | GENERATED | {p.name: p.read_text(encoding="utf-8") for p in DOCS.glob("*.py")}).items():
        assert str(ROOT) not in text, name
        assert not re.search(r"(?<![\w.])/(home|root|Users|tmp|work)/", text), name


def test_docstrings_are_read_as_they_are_written():
    docstring = """\
        log|A| of `|A|` and `Row`s, (f, *, where), y_, *a title?*, b * c:

            L = |A| * y_

            M = L_

        After |A|.

        Args:
            f: |f| is one.

                A second paragraph.

        Returns:
            A score: no type.

        >>> f(a|b)
        a|b
        """
    lines = inspect.cleandoc(docstring).splitlines()
    as_written(lines)
    assert "\n".join(lines) == inspect.cleandoc(r"""
        log\|A\| of `|A|` and `Row`\ s, (f, \*, where), y\_, *a title?*, b * c:

        ::

            L = |A| * y_

            M = L_

        After \|A\|.

        Args:
            f: \|f\| is one.

                A second paragraph.

        Returns:
            \
            A score: no type.

        >>> f(a|b)
        a|b
        """)
