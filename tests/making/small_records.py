"""Records that nobody measured: the fields that a test doesn't name have plain values."""

from leepjax.storage.records import Record


def record(source, measure, value, **fields):
    kind = "verify" if measure in ("head", "finetune") else "score"
    defaults = {
        "key": f"{source} {measure}",
        "kind": kind,
        "target": "pets",
        "target_hash": "t",
        "num_examples": 40,
        "num_classes": 4,
        "weights_hash": "w",
        "low": None,
        "high": None,
        "confidence": 0.95,
        "seed": 0,
        "seconds": 0.5,
        "versions": {"jax": "0"},
    }
    return Record(**defaults | {"source": source, "measure": measure, "value": value} | fields)
