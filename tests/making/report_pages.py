"""Reports for tests of pages: hostile names, undefined numbers, a wide table and a drawing."""

from leepjax.report.page import (
    Column,
    Figure,
    Origin,
    Report,
    Section,
    Table,
    TableCell,
    Verdict,
    interval_text,
    number_cell,
)
from leepjax.storage.records import Record

HOSTILE = """<script>document.title = 'taken'</script> "quoted" & 'so'"""
ORIGIN = Origin("leepjax study large --out 'my studies'", "abc1234", "jax 0.12", "cpu × 1", "2026-11-25", 7234.0)
DRAWING = """<svg role="img" viewBox="0 0 400 240"><title>A dot</title>
<defs><path id="NAME-dot" d="M0 0h9v9z"/></defs><use href="#NAME-dot" x="200" y="120"/></svg>"""
MEASURES = ("leep", "nce", "h_score", "shrunk_h_score", "logme", "leep_lift", "em_leep", "loo_leep", "neg_log_classes")
SCORES = {"b": 0.5, "a": -1.25, HOSTILE: None, "d": 10.0, "c": 0.5, "e": float("nan"), "f": 9.0}


def table() -> Table:
    """Rows, wider than a phone, that sorting by number, sorting by word and stable sorting put in different orders."""
    columns = [Column("source"), Column("class", numeric=False), *(Column(name, numeric=True) for name in MEASURES)]
    rows = [
        [
            TableCell(name),
            TableCell(f"class {10 - place}"),
            number_cell(
                score, detail="" if score is None else interval_text(score - 0.1, score + 0.1), mark="★", meaning="best"
            ),
            *(number_cell(place + 0.5) for _ in MEASURES[1:]),
        ]
        for place, (name, score) in enumerate(SCORES.items())
    ]
    return Table("What each measure says", columns, rows, ["★ is the best."])


def page() -> Report:
    """Every part that a page can have, hostile names in each."""
    files, caption = ["figures/a.svg", "figures/a.png"], f"Accuracy against {HOSTILE}."
    narrow = Figure(DRAWING.replace("NAME", "one"), caption, "leepjax report x", files)
    wide = Figure(DRAWING.replace("NAME", "two"), caption, "leepjax report x", wide=True)
    verdict = Verdict("LEEP is best in 15 of 23", "inconclusive", "?", f"None were run on {HOSTILE}.")
    return Report(
        title=f"Which source transfers to {HOSTILE}?",
        summary=["A summary.", f"And more of {HOSTILE}."],
        facts=[("Sources", "7"), ("Target", HOSTILE)],
        sections=[
            Section("Scores", [f"Of {HOSTILE}."], tables=[table()], origins=[ORIGIN]),
            Section("Scores", verdicts=[verdict], figures=[narrow, wide], origins=[Origin(HOSTILE)]),
            Section("Remarks", ["No numbers here."]),
        ],
    )


def record(source: str, measure: str, value: float | None, **fields) -> Record:
    """A record of a ranking of pets."""
    defaults = {
        "key": f"{source} {measure}",
        "kind": "verify" if measure == "head" else "score",
        "target": "pets",
        "target_hash": "t",
        "num_examples": 1040,
        "num_classes": 4,
        "weights_hash": "w",
        "num_parameters": 269722,
        "licence": "MIT",
        "low": None if value is None else value - 0.1,
        "high": None if value is None else value + 0.1,
        "confidence": 0.95,
        "draws": () if value is None else (value - 0.05, value, value + 0.05),
        "seed": 3,
        "seconds": 0.5,
        "versions": {"jax": "0.12", "numpy": "2.5"},
    }
    return Record(**defaults | {"source": source, "measure": measure, "value": value} | fields)


def records(**fields) -> list[Record]:
    """Three sources by two measures, and what they reach; one score is undefined."""
    scores = {"leep": (-0.5, -1.25, None), "logme": (0.25, 0.75, 0.5), "head": (0.8, 0.9, 0.7)}
    return [
        record(source, measure, value, **fields)
        for measure, values in scores.items()
        for source, value in zip(("near", HOSTILE, "far"), values, strict=True)
    ]
