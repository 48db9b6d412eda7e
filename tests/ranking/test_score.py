"""Arrays on disk: what is scored batch by batch, what is refused, and the labels beside them."""

import io
from pathlib import Path

import numpy as np
import pytest
from profiles import one_in

from leepjax.measures import MEASURES, streamed
from leepjax.ranking import score
from leepjax.ranking.score import score_arrays
from leepjax.types import InputError

STREAMED = [name for name, row in MEASURES.items() if row.streams]


@pytest.fixture
def arrays(tmp_path):
    rng = np.random.default_rng(0)
    labels = rng.integers(3, size=50)
    logits = rng.normal(size=(50, 4)) + 2 * (np.arange(4) == labels[:, None])
    probs = np.exp(logits) / np.exp(logits).sum(axis=1, keepdims=True)
    for name, array in (("labels", labels), ("features", logits), ("logits", logits), ("probs", probs)):
        np.save(tmp_path / f"{name}.npy", array.astype(np.int64 if name == "labels" else np.float32))
    return tmp_path


def scored(folder, kind, measures, labels="labels.npy", **options):
    rows = score_arrays(folder / f"{kind}.npy", folder / labels, kind, measures, **{"resamples": 0} | options)
    return {row["measure"]: row["score"] for row in rows}


@pytest.mark.parametrize("name", one_in(2, STREAMED))
def test_batches_score_as_the_whole_does_and_nothing_holds_it(name, arrays, monkeypatch):
    monkeypatch.setattr(streamed, "_BATCH_BYTES", 7 * 16)  # 7 rows, the last batch has one
    kinds = ("features",) if MEASURES[name].reads == "features" else ("probs", "logits")
    data = {kind: np.load(arrays / f"{kind}.npy") for kind in ("features", "probs")}
    whole = MEASURES[name].score(data["features"], data["probs"], np.load(arrays / "labels.npy"))
    monkeypatch.setattr(score, "_held", lambda *_: pytest.fail("the whole was read"))
    for kind in kinds:
        np.testing.assert_allclose(scored(arrays, kind, [name])[name], whole, rtol=1e-4)


@pytest.mark.parametrize("kind", ["probs", "logits", "features"])
def test_a_row_that_is_wrong_is_named_by_its_number_in_the_file(kind, arrays, monkeypatch):
    monkeypatch.setattr(streamed, "_BATCH_BYTES", 7 * 16)
    array = np.load(arrays / f"{kind}.npy")
    array[33, 1] = np.nan
    np.save(arrays / f"{kind}.npy", array)
    with pytest.raises(InputError, match=f"^score: .*{kind}.* at row 33"):
        scored(arrays, kind, ["h_score" if kind == "features" else "leep"])


def test_logits_are_scored_as_their_softmax_whatever_the_measure(arrays):
    for name in ("em_leep", "loo_leep"):
        assert scored(arrays, "logits", [name])[name] == pytest.approx(scored(arrays, "probs", [name])[name], rel=1e-5)


FORMS = {
    "a.csv": ("0.9,0.1\n0.2,0.8\n", "0\n1\n"),
    "b.csv": ("\ufeffcat;dog\n0.9;0.1\n\n0.2;0.8\n", "label\n0\n1\n"),
    "c.tsv": ("0.9\t0.1\r\n0.2\t0.8\r\n", "id\tlabel\n7\t0\n8\t1\n"),
    "d.jsonl": ("[0.9, 0.1]\n\n[0.2, 0.8]\n", '{"label": 0}\n{"label": 1}\n'),
    "named.csv": ("cat,dog\n0.9,0.1\n0.2,0.8\n", "cat\ndog\n"),
    "f.csv": (",0,1\n5,0.9,0.1\n6,0.2,0.8\n", "0\n0\n1\n"),
    "g.csv": ("id,0,1,mood\n5,0.9,0.1,x\n6,0.2,0.8,x\n", ",0\n5,0\n6,1\n"),
    "e.jsonl": ('{"probs": [0.9, 0.1], "id": 1}\n{"probs": [0.2, 0.8]}\n', "[0]\n[1]\n"),
}
EXPECTED = -0.2911


@pytest.mark.parametrize("name", FORMS)
def test_text_is_scored_as_arrays_are(name, tmp_path):
    (tmp_path / name).write_text(FORMS[name][0], newline="")
    (tmp_path / f"labels-{name}").write_text(FORMS[name][1])
    assert score_arrays(tmp_path / name, tmp_path / f"labels-{name}", "probs", ["leep"], resamples=0)[0][
        "score"
    ] == pytest.approx(EXPECTED, abs=1e-4)


@pytest.mark.parametrize(
    "text",
    [
        "a,label,b\n0.9,0,0.1\n0.2,1,0.8\n",
        "0,1,label\n0.9,0.1,cat\n0.2,0.8,dog\n",
        '{"probs":[0.9,0.1],"label":0}\n{"probs":[0.2,0.8],"label":1}',
    ],
)
def test_one_file_or_stdin_may_hold_both(text, tmp_path, monkeypatch):
    path = tmp_path / "both.csv"
    path.write_text(text)
    for both in (path, Path("-")):
        monkeypatch.setattr("sys.stdin", io.TextIOWrapper(io.BytesIO(text.encode())))
        (row,) = score_arrays(both, both, "probs", ["leep"], resamples=0)
        assert row["score"] == pytest.approx(EXPECTED, abs=1e-4)


@pytest.mark.parametrize(
    ("text", "line"),
    [
        ("0.9,0.1\n0.2\n", "2 cells in row 2"),
        ("0.9,0.1\n\n0.2,x\n", "a number in line 3"),
        ("a,b\n", "at least one example"),
        ("", "at least one example"),
        ("[0.9, 0.1]\n[0.2]\n", "2 numbers in line 2"),
        ("[0.9, 0.1]\n[0.2,\n", "JSON in line 2"),
        ('[0.9, null]\n"x"\n', "a number in line 1"),
        ("p,q,label\n0.9,0.1,0\n0.9,0.1,cat\n", "a class number as label in line 3 .* got 'cat'; number the classes"),
        ('{"probs": [0.9, 0.1], "label": "cat"}\n[0.9, 0.1]\n', "probs, label or both on every line"),
        ("p,q,label\n0.9,0.1,0\n0.9,0.1,nan\n", "a class number as label in line 3 .* got 'nan'"),
        ('{"probs": [0.9, 0.1], "label": ""}\n', "a class number as label in line 1"),
    ],
)
def test_text_that_is_no_table_of_numbers_is_refused_by_line(text, line, arrays):
    (arrays / "bad.csv").write_text(text)
    with pytest.raises(InputError, match=f"^score: expected {line}"):
        score_arrays(arrays / "bad.csv", arrays / "labels.npy", "probs", ["leep"])


def test_columns_of_features_are_those_of_tables(arrays, caplog):
    features, labels = np.load(arrays / "features.npy"), np.load(arrays / "labels.npy")
    rows = [",".join(map(str, row)) for row in features]
    (arrays / "features.csv").write_text("id,a,b,c,d\n" + "\n".join(f"{9 * i},{row}" for i, row in enumerate(rows)))
    both = (
        scored(arrays, "features", ["h_score"]),
        score_arrays(arrays / "features.csv", arrays / "labels.npy", "features", ["h_score"], resamples=0),
    )
    assert both[1][0]["score"] == pytest.approx(both[0]["h_score"], rel=1e-5)
    assert "features.csv: 4 columns are features, a … d; left out: id (ids)." in caplog.text
    copied = "\n".join(f"{row},{5 - label}" for row, label in zip(rows, labels, strict=True))
    (arrays / "features.csv").write_text(f"a,b,c,d,mood\n{copied}")
    with pytest.raises(
        InputError, match=r"features\.csv: expected features, got a copy of the labels in the column 'mo"
    ):
        score_arrays(arrays / "features.csv", arrays / "labels.npy", "features", ["h_score"])


@pytest.mark.parametrize("resamples", [0, 10])
def test_probabilities_are_no_logits(arrays, resamples):
    np.save(arrays / "logits.npy", np.load(arrays / "probs.npy"))
    with pytest.raises(InputError, match=r"score: expected logits, got probabilities, .*; pass --kind probs"):
        scored(arrays, "logits", ["leep"], resamples=resamples)


@pytest.mark.parametrize("resamples", [0, 10])
def test_features_are_no_probabilities(arrays, resamples):
    np.save(arrays / "probs.npy", np.load(arrays / "features.npy"))
    with pytest.raises(InputError, match=r"^score: each row of probs .* pass --kind logits or --kind features\.$"):
        scored(arrays, "probs", ["leep"], resamples=resamples)


def test_labels_of_any_type_that_can_be_classes(arrays):
    labels = np.load(arrays / "labels.npy")
    expected = scored(arrays, "probs", ["leep"])
    for other in (labels.astype(float), labels.astype(np.uint8), labels * 500_000, np.array(["a", "b", "c"])[labels]):
        np.save(arrays / "other.npy", other)
        assert scored(arrays, "probs", ["leep"], "other.npy") == pytest.approx(expected)
    np.save(arrays / "bool.npy", labels > 0)
    np.save(arrays / "two.npy", (labels > 0).astype(int))
    assert scored(arrays, "probs", ["leep"], "bool.npy") == scored(arrays, "probs", ["leep"], "two.npy")
    np.save(arrays / "onehot.npy", np.eye(3)[labels])
    with pytest.raises(InputError, match="for one-hot rows, their argmax"):
        scored(arrays, "probs", ["leep"], "onehot.npy")


def test_labels_are_matched_by_id_where_both_files_have_ids(arrays, caplog):
    features, labels = np.load(arrays / "features.npy"), np.load(arrays / "labels.npy")
    expected = scored(arrays, "features", ["h_score"])["h_score"]
    rows = [f"u{i},{','.join(map(str, row))}" for i, row in enumerate(features)]
    (arrays / "features.csv").write_text("id,a,b,c,d\n" + "\n".join([*rows, "none,1,2,3,4"]))
    order = np.random.default_rng(1).permutation(50)
    (arrays / "y.csv").write_text("label,file_name\n" + "\n".join(f"{labels[i]},u{i}" for i in order))
    (arrays / "y.jsonl").write_text("\n".join(f'{{"id": "u{i}", "label": {labels[i]}}}' for i in order))
    for name in ("y.csv", "y.jsonl"):
        (row,) = score_arrays(arrays / "features.csv", arrays / name, "features", ["h_score"], resamples=0)
        assert row["score"] == pytest.approx(expected, rel=1e-5)
        assert f"features.csv belong to the labels in {arrays / name} by id." in caplog.text
    assert "features.csv: 1 of 51 rows aren't used" in caplog.text
    (arrays / "features.csv").write_text("id,a,b,c,d\n" + "\n".join(rows))
    (row,) = score_arrays(arrays / "features.csv", arrays / "labels.npy", "features", ["h_score"], resamples=0)
    assert row["score"] == pytest.approx(expected, rel=1e-5)
    assert f"by order, because {arrays / 'labels.npy'} has no ids." in caplog.text
    for last, message in (("x,1", "got none for 1, the first with the id 'x'"), ("u1,1", r"once, got 'u1' twice")):
        (arrays / "y.csv").write_text(f"id,label\nu1,0\n{last}\n")
        with pytest.raises(InputError, match=message):
            score_arrays(arrays / "features.csv", arrays / "y.csv", "features", ["h_score"])


@pytest.mark.parametrize("names", [("01", "1"), ("1_11", "111"), ("1e5", "100000")])
def test_names_that_resemble_numbers_are_names(names, arrays):
    two = np.load(arrays / "labels.npy") > 0
    np.save(arrays / "two.npy", two)
    (arrays / "y.csv").write_text("label\n" + "\n".join(names[int(each)] for each in two))
    assert scored(arrays, "probs", ["leep"], "y.csv") == pytest.approx(scored(arrays, "probs", ["leep"], "two.npy"))
