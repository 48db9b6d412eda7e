"""Files of embeddings: every format gives the same requested rows, and each error is one sentence."""

import json
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
import safetensors.numpy

from leepjax.data.embeddings import rows
from leepjax.data.embeddings.embeddings import of_features, open_embeddings
from leepjax.opening.inputs import inputs_of
from leepjax.types import InputError

RNG = np.random.default_rng(0)
X, Z = RNG.normal(size=(7, 3)).astype(np.float32), RNG.normal(size=(7, 2)).astype(np.float32)
PROBS = np.exp(Z) / np.exp(Z).sum(axis=1, keepdims=True)
IDS = [f"e{i}" for i in range(7)]
PLACES = np.array([5, 0, 3])


def lines(rows):
    return "\n".join(json.dumps(row) for row in rows)


def csv(separator):
    cells = [
        ["id", "label", "c0", "c1", "c2"],
        *([name, "0", *map(str, row)] for name, row in zip(IDS, X, strict=True)),
    ]
    return "\n".join(map(separator.join, cells))


WRITERS = {
    "a.npy": lambda path: np.save(path, X),
    "a.npz": lambda path: np.savez_compressed(path, embeddings=X, logits=Z, ids=np.array(IDS)),
    "a.safetensors": lambda path: safetensors.numpy.save_file({"features": X, "probs": PROBS}, path),
    "lists.parquet": lambda path: pq.write_table(
        pa.table({"id": IDS, "vector": [row.tolist() for row in X], "probs": [row.tolist() for row in PROBS]}),
        path,
        row_group_size=3,
    ),
    "numbers.parquet": lambda path: pq.write_table(
        pa.table({"path": IDS, "label": [0] * 7} | {f"x{i}": X[:, i] for i in range(3)}), path, row_group_size=3
    ),
    "a.csv": lambda path: path.write_text(csv(",")),
    "a.tsv": lambda path: path.write_text(csv("\t")),
    "bare.csv": lambda path: path.write_text("\n".join(",".join(map(str, row)) for row in X)),
    "a.jsonl": lambda path: path.write_text(
        lines(
            {"id": name, "features": x.tolist(), "logits": z.tolist()}
            for name, x, z in zip(IDS, X.astype(float), Z.astype(float), strict=True)
        )
    ),
    "bare.jsonl": lambda path: path.write_text(lines(X.astype(float).tolist())),
    "bare.json": lambda path: path.write_text(json.dumps(X.astype(float).tolist(), indent=1)),
}


@pytest.mark.parametrize("name", WRITERS)
def test_every_format_gives_the_rows_that_are_asked_for(tmp_path, monkeypatch, name):
    monkeypatch.setattr(rows, "BLOCK", 24)  # two rows
    WRITERS[name](tmp_path / name)
    [found] = open_embeddings("tables", tmp_path / name)
    features, logits = found.read(PLACES)
    np.testing.assert_array_equal(features, X[PLACES])
    assert (found.name, len(found)) == (Path(name).stem, 7)
    assert found.ids() in (None, tuple(IDS))
    assert (found.ids() is None) == (name in ("a.npy", "a.safetensors", "bare.csv", "bare.jsonl", "bare.json"))
    if found.num_source_classes:
        shifted = logits - logits.max(axis=1, keepdims=True)
        np.testing.assert_allclose(
            np.exp(shifted) / np.exp(shifted).sum(axis=1, keepdims=True), PROBS[PLACES], atol=1e-6
        )


@pytest.mark.parametrize("name", ["a.npy", "a.safetensors", "lists.parquet"])
def test_a_file_that_is_replaced_is_not_read_under_the_old_digest(tmp_path, name):
    WRITERS[name](tmp_path / name)
    [found] = open_embeddings("tables", tmp_path / name)
    found.digest()
    found.read(PLACES)
    (tmp_path / "new").mkdir()
    WRITERS[name](tmp_path / "new" / name)
    (tmp_path / "new" / name).rename(tmp_path / name)
    for read in (partial(found.read, PLACES), found.digest):
        with pytest.raises(InputError, match=f"{name}: expected the rows that were opened, got a file that changed"):
            read()


def test_the_digest_is_of_the_numbers_whatever_the_file(tmp_path):
    np.save(tmp_path / "a.npy", X)
    safetensors.numpy.save_file({"embeddings": X}, tmp_path / "a.safetensors")
    arrays = [open_embeddings("tables", tmp_path / name)[0] for name in ("a.npy", "a.safetensors")]
    arrays += [
        of_features(X, name="a", caller="as_table"),
        of_features(np.load(tmp_path / "a.npy", "r"), name="a", caller="as_table"),
    ]
    assert len({each.digest() for each in arrays}) == 1
    others = [of_features(X + 1, name="a", caller="as_table"), of_features(X, Z, name="a", caller="as_table")]
    others += [of_features(X, name="a", ids=IDS, caller="as_table")]
    assert len({each.digest() for each in (arrays[0], *others)}) == 4


def test_a_part_of_a_memory_map_is_read_from_its_file(tmp_path):
    np.save(tmp_path / "a.npy", X)
    found = of_features(np.load(tmp_path / "a.npy", mmap_mode="r")[2:], name="a", caller="as_table")
    assert isinstance(found.features, rows.Mapped)
    np.testing.assert_array_equal(found.read(np.array([4, 0]))[0], X[[6, 2]])


def test_an_array_that_is_filled_again_changes_no_table(tmp_path):
    for buffer in (X.copy(), np.memmap(tmp_path / "a", np.float32, "w+", shape=X.shape)):
        buffer[:] = X
        found = of_features(buffer, buffer, name="a", caller="as_table")
        buffer[:] = -1
        np.testing.assert_array_equal(found.read(PLACES), (X[PLACES], X[PLACES]))


def test_embeddings_of_other_dtypes_are_read_as_float32(tmp_path):
    for dtype in (np.float16, np.float64, ">f4"):
        np.save(tmp_path / "a.npy", X.astype(dtype))
        features, _ = open_embeddings("tables", tmp_path / "a.npy")[0].read(PLACES)
        np.testing.assert_allclose(features, X[PLACES], atol=1e-2)
        assert features.dtype == np.float32


def nan(path):
    np.save(path, np.where(np.arange(7)[:, None] == 3, np.nan, X))


BAD = {
    "integers.npy": (lambda path: np.save(path, np.ones((7, 3), np.int64)), "real numbers, got int64"),
    "strings.npy": (lambda path: np.save(path, np.full((7, 3), "a")), "real numbers, got <U1"),
    "three.npy": (lambda path: np.save(path, X[None]), "two axes, got shape (1, 7, 3)"),
    "one.npy": (lambda path: np.save(path, X[:, 0]), "features, got labels"),
    "empty.npy": (lambda path: np.save(path, X[:0]), "rows of features, got shape (0, 3)"),
    "spaces.csv": (
        lambda path: path.write_text("0.1 0.2\n0.3 0.4\n"),
        "got text in label, such as '0.3 0.4'; write one",
    ),
    "lists.csv": (lambda path: path.write_text('v\n"[0.1, 0.2]"\n"[0.3, 0.4]"\n'), "such as '[0.3, 0.4]'; write one"),
    "whole.parquet": (
        lambda path: pq.write_table(pa.table({"id": [1, 2], "a": [3, 4], "b": [5, 6]}), path),
        "got integers in a, b; convert",
    ),
    "nothing.npy": (lambda path: path.write_bytes(b""), "expected an .npy array"),
    "nothing.csv": (lambda path: path.write_text(" \n"), "got an empty file"),
    "header.csv": (lambda path: path.write_text("id,a,b\n"), "got a header alone"),
    "ragged.csv": (lambda path: path.write_text("1,2\n1\n"), "expected 2 cells in row 2"),
    "decimal.csv": (
        lambda path: path.write_text("a;age\n0,5;3\n-1,5e-3;4\n2,25;3\n"),
        "a decimal point in the column 'a'",
    ),
    "thousands.csv": (
        lambda path: path.write_text('a,b\n0.1,"1,234.5"\n0.2,12.5\n'),
        "got '1,234.5'; write them with a point and without separators of thousands",
    ),
    "words.csv": (lambda path: path.write_text("id,a,b\nx,1,2\ny,1,two\n"), "expected a number in line 3"),
    "ragged.jsonl": (lambda path: path.write_text("[1, 2]\n[1]\n"), "expected 2 numbers in line 2"),
    "fields.jsonl": (
        lambda path: path.write_text('{"features": [1]}\n{"feature": [1]}\n'),
        "expected the fields of line 1",
    ),
    "none.parquet": (
        lambda path: pq.write_table(pa.table({"id": IDS}), path),
        "expected one array or column of features, got id",
    ),
    "ragged.parquet": (
        lambda path: pq.write_table(pa.table({"v": [[1.0], [1.0, 2.0]]}), path),
        "vectors of one length",
    ),
    "missing.parquet": (lambda path: pq.write_table(pa.table({"v": [[1.0], None]}), path), "vectors of one length"),
    "two.npz": (lambda path: np.savez(path, a=X, b=X), "expected one array or column of features, got a, b"),
    "lengths.npz": (lambda path: np.savez(path, features=X, logits=Z[:5]), "as many rows of logits as of features"),
    "pickle.npy": (lambda path: np.save(path, np.array([[None]]), allow_pickle=True), "an array of Python objects"),
    "damaged.safetensors": (lambda path: path.write_bytes(b"\x08" + bytes(15)), "expected a safetensors file"),
    "other.h5": (lambda path: path.write_bytes(b""), "expected .npy, .npz, .parquet, .safetensors"),
}


@pytest.mark.parametrize("name", BAD)
def test_what_is_no_table_of_real_numbers_is_refused(tmp_path, name):
    write, reason = BAD[name]
    write(tmp_path / name)
    with pytest.raises(InputError) as refused:
        open_embeddings("tables", tmp_path / name)
    assert reason in str(refused.value)
    assert name in str(refused.value)
    assert str(refused.value).count("\n") == 0


SHEETS = {
    "pandas writes its index without a name": (
        ",a,b\n7,.5,.1\n3,.6,.2\n",
        "2 columns are features, a, b; left out: Unnamed: 0",
    ),
    "an index that was read as a column": ("Unnamed: 0,a,b\n0,.5,.1\n1,.6,.2\n", "left out: Unnamed: 0 (an index)."),
    "row numbers of any name": ("nr,a,b\n1,.5,.1\n2,.6,.2\n3,.7,.3\n", "left out: nr (it numbers the rows)."),
    "row numbers without a header": ("0,.5,.1\n1,.6,.2\n2,.7,.3\n", "features, column 2, column 3; left out: column 1"),
    "ids, labels and words": (
        "user_id,a,label,b,city\n9,.5,1,.1,x\n4,.6,0,.2,y\n",
        "label (labels, groups or splits), city (no",
    ),
    "columns that are called like labels": (
        "a,target,Class,b\n.5,1,.7,.1\n.6,0,.8,.2\n",
        "features, a, b; left out: target (labels, groups or splits), Class (labels, g",
    ),
    "numbers as header": ("0,1\n.5,.1\n.6,.2\n", ""),
    "numbers as header after an index": (",0,1\n0,.5,.1\n1,.6,.2\n", "features, 0, 1; left out: Unnamed: 0"),
    "numbers and a name as header": ("0,1,mood\n.5,.1,x\n.6,.2,x\n", "features, 0, 1; left out: mood (no numbers)."),
}


@pytest.mark.parametrize("form", SHEETS)
def test_columns_that_are_no_features_are_left_out_and_named(tmp_path, caplog, form):
    text, said = SHEETS[form]
    (tmp_path / "a.csv").write_text(text)
    [found] = open_embeddings("tables", tmp_path / "a.csv")
    assert found.read(np.arange(2))[0].ravel().tolist() == pytest.approx([0.5, 0.1, 0.6, 0.2])
    assert said in caplog.text if said else not caplog.records


def test_labels_that_are_read_are_left_out_without_a_line(tmp_path, caplog):
    text = "a,Label,b\n" + ".5,1,.1\n.6,0,.2\n" * 3
    (tmp_path / "a.csv").write_text(text)
    pq.write_table(pa.table({"a": X[:, 0], "Label": X[:, 1], "b": X[:, 2]}), tmp_path / "a.parquet")
    elsewhere = "2 columns are features, a, b; left out: Label (labels, groups or splits)."
    for name in ("a.csv", "a.parquet"):
        for labels, said in ((None, ""), ([0, 1], elsewhere)):
            caplog.clear()
            sources: Any = inputs_of("rank", None, None, tmp_path / name, labels, None, (None, None)).sources
            assert len(sources[0].tables) == 1
            assert said in caplog.text if said else not caplog.records


def test_rows_of_zeros_and_ones_are_no_header(tmp_path):
    (tmp_path / "a.csv").write_text("0,1\n1,0\n0,1\n1,0\n")
    assert len(open_embeddings("tables", tmp_path / "a.csv")[0]) == 4


def test_indices_and_row_numbers_in_parquet_are_left_out_and_named(tmp_path, caplog):
    columns = {"a": X[:, 0], "__index_level_0__": X[:, 1], "row": np.arange(7.0), "age": np.arange(7) % 3, "b": X[:, 2]}
    pq.write_table(pa.table(columns), tmp_path / "a.parquet")
    [found] = open_embeddings("tables", tmp_path / "a.parquet")
    np.testing.assert_array_equal(found.read(PLACES)[0], X[PLACES][:, [0, 2]])
    assert "2 columns are features, a, b; left out: __index_level_0__ (an index), row (it numbers the" in caplog.text


def test_probabilities_beside_features(tmp_path):
    probs = of_features(X, probs=PROBS, name="a", caller="as_table")
    np.testing.assert_allclose(np.exp(probs.read(PLACES)[1]), PROBS[PLACES], rtol=1e-5)
    assert probs.digest() != of_features(X, PROBS, name="a", caller="as_table").digest()
    with pytest.raises(InputError, match="expected logits or probs, got both"):
        of_features(X, Z, probs=PROBS, name="a", caller="as_table")
    np.savez(tmp_path / "a.npz", features=X, logits=PROBS)
    for mistaken in (
        of_features(X, PROBS, name="a", caller="as_table"),
        *open_embeddings("tables", tmp_path / "a.npz"),
    ):
        with pytest.raises(InputError, match="expected logits, got probabilities"):
            mistaken.read(PLACES)


def test_rows_that_are_not_finite_are_counted_and_the_first_named(tmp_path):
    nan(tmp_path / "a.npy")
    [found] = open_embeddings("tables", tmp_path / "a.npy")
    found.read(np.arange(3))  # the others are fine
    with pytest.raises(InputError, match="NaN or infinity for 1 of 7 examples, first in row 3"):
        found.read(np.arange(7))
    probs = np.where(np.arange(7)[:, None] == 1, -1, PROBS)
    safetensors.numpy.save_file({"features": X, "probs": probs}, tmp_path / "b.safetensors")
    [found] = open_embeddings("tables", tmp_path / "b.safetensors")
    with pytest.raises(InputError, match="finite probs, got a negative number, NaN or infinity for 1 of 7"):
        found.read(np.arange(7))
    shares = of_features(X, probs=np.where(np.arange(7)[:, None] >= 5, 3 * PROBS, PROBS), name="a", caller="as_table")
    with pytest.raises(InputError, match=r"expected probs that sum to one .*, got another sum for 2 of 7 .* in row 5"):
        shares.read(np.arange(7))


def test_columns_that_float32_cannot_hold_are_refused(tmp_path):
    times = X.astype(np.float64) + np.array([0, 0, 1.7e9])
    np.save(tmp_path / "a.npy", times)
    pq.write_table(pa.table({f"x{i}": times[:, i] for i in range(3)}), tmp_path / "a.parquet")
    tables = [open_embeddings("tables", tmp_path / name)[0] for name in ("a.npy", "a.parquet")]
    for table in (*tables, of_features(times, name="a", caller="as_table")):
        with pytest.raises(InputError, match=r"whose differences float32 can hold, got column 2 near 1.7e\+09 with a"):
            table.read(np.arange(7))
    with pytest.raises(InputError, match=r"a: expected features in float32's range, got .*e-50 as the largest of"):
        of_features(X.astype(np.float64) * 1e-50, name="a", caller="as_table").read(np.arange(7))


@pytest.mark.parametrize(
    ("ids", "reason"),
    [
        (["a", "b", "a"], "'a' twice"),
        (["a", None, "c"], "none in row 1"),
        (["a", "b"], "3 ids, one per row, got 2"),
        ([1.0, 2.0, float("nan")], "none in row 2"),
    ],
)
def test_ids_occur_once_and_nowhere_are_missing(ids, reason):
    with pytest.raises(InputError, match=reason):
        of_features(X[:3], name="a", ids=ids, caller="as_table")


def test_ids_are_compared_as_text():
    found = of_features(X[:3], name="a", ids=np.array([1.0, 2.0, 30.0]), caller="as_table")
    assert found.ids() == ("1", "2", "30")


def test_a_url_is_no_table():
    for url in ("https://example.org/a.npy", Path("https://example.org/a.npy")):
        with pytest.raises(
            InputError, match=r"^tables: expected a file, .* got a URL; download it first and pass the file"
        ):
            open_embeddings("tables", url)


def test_a_table_that_is_missing_or_a_folder_without_tables(tmp_path):
    with pytest.raises(InputError, match=r"tables: expected a file at .*none.npy, got none; check the path"):
        open_embeddings("tables", tmp_path / "none.npy")
    with pytest.raises(InputError, match="expected tables that leepjax extract wrote"):
        open_embeddings("tables", tmp_path)
