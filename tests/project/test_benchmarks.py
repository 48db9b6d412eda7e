"""``python benchmarks``: which of them run, and at which size."""

import runpy

import pytest
from places import ROOT

HERE = ROOT / "benchmarks"


@pytest.fixture
def arguments():
    return runpy.run_path(str(HERE / "__main__.py"), run_name="benchmarks")["arguments"]


def test_all_of_them_run_small_unless_asked_otherwise(arguments):
    size, paths = arguments([])
    assert size == "small"
    assert {HERE / "limit.py", HERE / "memory.py"} < set(paths)
    assert HERE / "measuring.py" not in paths


def test_names_and_a_size_choose(arguments):
    assert arguments(["--size", "full", "memory", "limit.py"]) == ("full", [HERE / "memory.py", HERE / "limit.py"])


@pytest.mark.parametrize("words", [["limits"], ["measuring"], ["--size", "huge"]])
def test_other_words_are_refused(arguments, capsys, words):
    with pytest.raises(SystemExit) as exited:
        arguments(words)
    assert exited.value.code == 2
    assert words[-1] in capsys.readouterr().err
