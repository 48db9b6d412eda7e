"""The JSON schema of every kind of record: ``python docs/record_schemas.py`` writes it to ``_static``."""

import json
from pathlib import Path

import msgspec

from leepjax.storage.records import Record
from leepjax.studies.outcome import Outcome, Provenance

PATH = Path(__file__).parent / "_static" / "records.schema.json"
KINDS = (Record, Outcome, Provenance)
"""Lines of results.jsonl, of outcomes.jsonl, and of runs.jsonl; study.json is one Provenance."""


def schemas() -> str:
    """The schemas as a JSON document, one below ``$defs`` for each kind."""
    _, components = msgspec.json.schema_components(KINDS, ref_template="#/$defs/{name}")
    document = {"$schema": "https://json-schema.org/draft/2020-12/schema", "$defs": components}
    return json.dumps(document, indent=2, ensure_ascii=False) + "\n"


if __name__ == "__main__":
    PATH.write_text(schemas(), encoding="utf-8")
