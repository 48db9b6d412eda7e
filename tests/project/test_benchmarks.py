"""``python benchmarks``: which of them run, and at which size."""

import runpy

import pytest
from places import ROOT

from leepjax.models.architectures import ARCHITECTURES, family_of

HERE = ROOT / "benchmarks"
TIMING = HERE / "timing"


@pytest.fixture
def arguments():
    return runpy.run_path(str(HERE / "__main__.py"), run_name="benchmarks")["arguments"]


def test_all_of_them_run_small_unless_asked_otherwise(arguments):
    size, paths, _ = arguments([])
    assert size == "small"
    assert {TIMING / "limit.py", TIMING / "memory.py"} < set(paths)
    assert not {HERE / "measuring.py", TIMING / "torch_training.py"} & set(paths)


def test_a_name_is_one_benchmark():
    files = [path for path in HERE.glob("*/*.py") if "__main__" in path.read_text(encoding="utf-8")]
    named = [path.stem for path in files if path.stem != "__init__" and path.parent.name != "tasks"]
    assert len(set(named)) == len(named)


def test_names_and_a_size_choose(arguments):
    paths = [TIMING / "memory.py", TIMING / "limit.py"]
    assert arguments(["--size", "full", "memory", "limit.py"]) == ("full", paths, [])


def test_one_benchmark_gets_its_own_options(arguments):
    assert arguments(["fuzz", "--formats", "npy,npz"])[2] == ["--formats", "npy,npz"]


@pytest.mark.parametrize("words", [["limits"], ["measuring"], ["--size", "huge"], ["fuzz", "limit", "--formats"]])
def test_other_words_are_refused(arguments, capsys, words):
    with pytest.raises(SystemExit) as exited:
        arguments(words)
    assert exited.value.code == 2
    assert words[-1] in capsys.readouterr().err


def test_a_network_of_every_family_is_timed(monkeypatch):
    monkeypatch.syspath_prepend(HERE)
    monkeypatch.syspath_prepend(TIMING)
    timed = {family_of(name) for name, _, _ in runpy.run_path(str(TIMING / "families.py"))["FULL"]}
    assert timed == set(map(family_of, ARCHITECTURES)) - {"cifar_resnet"}
