"""Files about the project that no program of ours reads: they parse, and agree with the package."""

import tomllib

import pytest
import yaml
from places import ROOT

import leepjax

YAML = [ROOT / "CITATION.cff", ROOT / ".pre-commit-config.yaml", *ROOT.glob(".github/**/*.yml")]


@pytest.mark.parametrize("path", YAML, ids=lambda path: path.name)
def test_yaml_parses(path):
    assert isinstance(yaml.safe_load(path.read_text("utf-8")), dict)


def test_the_version_is_one_everywhere():
    citation = yaml.safe_load((ROOT / "CITATION.cff").read_text("utf-8"))
    project = tomllib.loads((ROOT / "pyproject.toml").read_text("utf-8"))["project"]
    assert str(citation["version"]) == project["version"] == leepjax.__version__
    assert citation["license"] == project["license"]


def test_what_tests_need_of_the_extras_comes_with_them():
    extras = tomllib.loads((ROOT / "pyproject.toml").read_text("utf-8"))["project"]["optional-dependencies"]
    assert "leepjax[hf,keras,onnx,ot,ray,report,text]" in extras["test"]


@pytest.mark.parametrize("path", [*ROOT.glob(".github/ISSUE_TEMPLATE/[!c]*.yml")], ids=lambda path: path.stem)
def test_an_issue_asks_for_something(path):
    template = yaml.safe_load(path.read_text("utf-8"))
    assert {"name", "description", "body"} <= set(template)
    ids = [field["id"] for field in template["body"]]
    assert ids
    assert len(ids) == len(set(ids))
