"""The published JSON schema is that of the records, and what leepjax writes has its fields."""

import json
import sys

import msgspec
import numpy as np
import pytest
from jsonschema import Draft202012Validator, ValidationError
from places import ROOT

import leepjax as lj
from leepjax.storage.records import SCHEMA, Record
from leepjax.studies.outcome import Outcome, Provenance
from leepjax.studies.provenance import this_run

sys.path.insert(0, str(ROOT / "docs"))
from record_schemas import KINDS, PATH, schemas

PUBLISHED = json.loads(PATH.read_text("utf-8"))
KINDS_BY_NAME = PUBLISHED["$defs"]
VALIDATORS = {kind: Draft202012Validator(PUBLISHED | {"$ref": f"#/$defs/{kind.__name__}"}) for kind in KINDS}
STUDIES = ROOT / "benchmarks" / "studies"


def holds(line: str | bytes, kind: type) -> dict:
    """The fields of a line: those that the published schema names, all that it requires, and its types."""
    msgspec.json.decode(line, type=kind, strict=True)
    fields, schema = json.loads(line), KINDS_BY_NAME[kind.__name__]
    VALIDATORS[kind].validate(fields)
    assert set(schema["required"]) <= fields.keys() <= schema["properties"].keys()
    return fields


def test_the_published_schema_is_that_of_the_records():
    assert PATH.read_text("utf-8") == schemas(), "run python docs/record_schemas.py"
    assert all("schema" in KINDS_BY_NAME[kind.__name__]["properties"] for kind in KINDS)


def test_what_a_ranking_writes_has_the_published_fields(tmp_path):
    images = np.random.default_rng(0).integers(0, 256, (12, 32, 32, 3), np.uint8)
    lj.rank((images, np.repeat([0, 1], 6)), "random", "leep", verify="none", resamples=10, out=tmp_path)
    (line,) = (tmp_path / "results.jsonl").read_text("utf-8").splitlines()
    fields = holds(line, Record)
    assert (fields["schema"], fields["resamples"]) == (SCHEMA, 10)
    older = {name: value for name, value in fields.items() if name not in ("schema", "resamples", "split", "revision")}
    assert msgspec.convert(older, Record).schema == 1


def test_a_run_has_the_published_fields():
    assert holds(msgspec.json.encode(this_run("rank", "", {}, "leepjax rank", 1.0)), Provenance)["schema"] == 1


def test_what_a_sweep_writes_has_the_published_fields(tmp_path):
    images = np.random.default_rng(0).integers(0, 256, (16, 32, 32, 3), np.uint8)
    path = tmp_path / "two.npz"
    np.savez(path, images=images, labels=np.repeat([0, 1], 8))
    lj.sweep([path], "random", ["leep", "num_parameters"], verify="ridge", resamples=10, out=tmp_path)
    lines = (tmp_path / "results.jsonl").read_text("utf-8").splitlines()
    assert [holds(line, Record)["measure"] for line in lines] == ["leep", "num_parameters", "ridge"]


def test_what_studies_wrote_has_the_published_fields():
    outcomes = [path.read_text("utf-8").splitlines() for path in STUDIES.rglob("outcomes.jsonl")]
    assert outcomes
    assert all(holds(line, Outcome) for lines in outcomes for line in (*lines[:20], *lines[-20:]))
    assert all(holds(path.read_bytes(), Provenance) for path in STUDIES.rglob("study.json"))


def test_the_published_schema_refuses_what_is_no_record(tmp_path):
    line = json.loads(msgspec.json.encode(this_run("rank", "", {}, "leepjax rank", 1.0)))
    for wrong in (line | {"seconds": "long"}, {name: value for name, value in line.items() if name != "command"}):
        with pytest.raises(ValidationError):
            VALIDATORS[Provenance].validate(wrong)
