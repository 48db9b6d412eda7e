"""What the documentation shows is what happens: README's snippet, its table of measures, docstrings and examples."""

import doctest
import importlib
import linecache
import pkgutil
import re
import runpy
import subprocess
import sys

import jax.numpy as jnp
import pytest
from places import ROOT
from profiles import one_in

import leepjax

README = (ROOT / "README.md").read_text(encoding="utf-8")
MODULES = [
    "leepjax",
    *(m.name for m in pkgutil.walk_packages(leepjax.__path__, "leepjax.") if "__main__" not in m.name),
]


def test_readme_snippet_prints_what_it_says(capsys):
    code = re.search(r"```python\n(.*?)```", README, re.DOTALL).group(1)
    expected = re.findall(r"print\(.*\)\s+# (\S+)", code)
    exec(compile(code, "README.md", "exec"), {})
    assert expected
    assert capsys.readouterr().out.split() == expected


def test_the_page_of_sources_lists_those_that_come_along():
    from leepjax.models.opening import shipped_sources

    page = (ROOT / "docs" / "sources.md").read_text(encoding="utf-8")
    for name in shipped_sources():
        assert f"`{name}`" in page


def test_the_page_of_models_shows_the_sets_of_today():
    sys.path.insert(0, str(ROOT / "docs"))
    import source_sets

    assert source_sets.PAGE.read_text("utf-8") == source_sets.page(), "run python docs/source_sets.py"


def test_readme_is_short_and_its_links_lead_somewhere():
    assert len(README.encode()) <= 6144
    places = [link.partition("#")[0] for link in re.findall(r"\]\(([^)]+)\)", README) if "://" not in link]
    assert len(places) > 10
    for place in places:
        assert (ROOT / place).is_file(), place


# What examples of a module need of an extra that may not be installed.
NEEDS = {"leepjax.measures.of_more.jc_nce": "ot", "leepjax.measures.of_more.otce": "ot"}


# An example of a measure is a program to compile: by default of one in three, and of all other modules.
OF_MEASURES = [name for name in MODULES if name.startswith("leepjax.measures.of_")]
OTHERS = [name for name in MODULES if name not in OF_MEASURES]


@pytest.mark.parametrize("module", [*OTHERS, *one_in(3, OF_MEASURES)])
def test_docstring_examples(module):
    if module in NEEDS:
        pytest.importorskip(NEEDS[module])
    module = importlib.import_module(module)
    globs = {"jnp": jnp} | vars(module)
    linecache.clearcache()  # doctest asks for each cached file, every time, whether it has changed
    result = doctest.testmod(module, extraglobs=globs)
    assert result.failed == 0


def test_examples_of_public_names_can_be_pasted():
    for name in leepjax.__all__:
        doc = getattr(leepjax, name).__doc__ or ""
        if ">>> " in doc and "+SKIP" not in doc:
            assert re.search(rf">>> from leepjax import .*\b{name}\b", doc), name


def test_every_public_measure_has_an_example():
    for name in (*leepjax.MEASURES, "eep"):
        assert ">>> " in getattr(leepjax, name).__doc__


EXAMPLES = {path.stem: path for path in sorted((ROOT / "examples").glob("*.py"))}


@pytest.mark.long
@pytest.mark.parametrize(
    "example", [path for name, path in EXAMPLES.items() if name != "score_processes"], ids=lambda path: path.stem
)
def test_example_runs(example, monkeypatch, capsys, tmp_path):
    """In this process, which has imported what they share; `.ci/run` runs each as its reader would."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(sys, "argv", [str(example)])
    runpy.run_path(str(example), run_name="__main__")
    assert capsys.readouterr().out


@pytest.mark.long
def test_the_example_of_processes_runs_alone():
    """JAX finds its peers before anything is computed, so it has a process of its own."""
    command = [sys.executable, "-W", "error::DeprecationWarning:leepjax", EXAMPLES["score_processes"]]
    run = subprocess.run(command, capture_output=True, text=True, check=False)
    assert run.returncode == 0, run.stderr
    assert run.stdout


@pytest.mark.parametrize("example", EXAMPLES.values(), ids=lambda path: path.stem)
def test_examples_are_short(example):
    assert len(example.read_text(encoding="utf-8").splitlines()) <= 80
