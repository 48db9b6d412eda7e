"""Labels of embeddings: every form of a file gives the same target; splits, groups and tables that must agree."""

import json

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from safetensors.numpy import save_file

from leepjax.data.embeddings.embeddings import open_embeddings
from leepjax.data.embeddings.labels import labels_of_array, labels_of_tables, read_labels
from leepjax.opening.tables import LabelsOfTables, TableFile
from leepjax.opening.target import open_target
from leepjax.types import InputError, TaskReading

IDS, NAMES = ["b", "a", "d", "c"], ["cat", "dog", "dog", "cat"]
X = np.eye(4, 3, dtype=np.float32)


def csv(path, *columns):
    path.write_text("\n".join(map(",".join, zip(*columns, strict=True))))


WRITERS = {
    "y.csv": lambda path: csv(path, ["id", *IDS], ["label", *NAMES]),
    "y.tsv": lambda path: path.write_text(
        "file_name\tclass\n" + "\n".join(map("\t".join, zip(IDS, NAMES, strict=True)))
    ),
    "y.jsonl": lambda path: path.write_text(
        "\n".join(json.dumps({"id": i, "label": name}) for i, name in zip(IDS, NAMES, strict=True))
    ),
    "y.json": lambda path: path.write_text(
        json.dumps([{"id": i, "label": name} for i, name in zip(IDS, NAMES, strict=True)], indent=1)
    ),
    "unicode/y.csv": lambda path: path.write_bytes(
        ("id\tlabel\n" + "\n".join(map("\t".join, zip(IDS, NAMES, strict=True)))).encode("utf-16")
    ),
    "list/y.json": lambda path: path.write_text(json.dumps(NAMES)),
    "y.parquet": lambda path: pq.write_table(pa.table({"id": IDS, "anything": NAMES}), path),
    "y.npz": lambda path: np.savez(path, ids=IDS, labels=np.array([0, 1, 1, 0]), classes=["cat", "dog"]),
    "y.npy": lambda path: np.save(path, np.array(NAMES)),
    "y.txt": lambda path: path.write_text("\n".join(NAMES)),
}


@pytest.mark.parametrize("name", WRITERS)
def test_every_form_of_a_file_of_labels(tmp_path, name):
    (tmp_path / name).parent.mkdir(exist_ok=True)
    WRITERS[name](tmp_path / name)
    target = read_labels("labels", tmp_path / name)
    assert (target.kind, target.task, target.name, target.classes) == ("embeddings", "classes", "y", ("cat", "dog"))
    assert target.labels.tolist() == [0, 1, 1, 0]
    assert target.has_ids == (name not in ("y.npy", "y.txt", "list/y.json"))
    assert target.ids == (tuple(IDS) if target.has_ids else ("0", "1", "2", "3"))
    with pytest.raises(InputError, match="expected embeddings of its examples"):
        target.read(0)


HEADERS = {
    "0\n0\n1\n1\n": [0, 1, 1],  # pandas calls a column without a name 0
    "0\na\nb\nb\n": [0, 1, 1],
    ",0\n0,0\n1,1\n2,1\n": [0, 1, 1],
    ",mood\n0,0\n1,1\n2,1\n": [0, 1, 1],
    "mood\n0\n1\n1\n": [0, 1, 1],
    "mood\na\nb\nb\n": [0, 1, 1],
    "0\n1\n1\n": [0, 1, 1],
    "a\nb\nb\n": [0, 1, 1],
}


@pytest.mark.parametrize("text", HEADERS)
def test_a_header_of_labels_is_known_by_the_number_of_rows(tmp_path, text):
    (tmp_path / "y.csv").write_text(text)
    assert read_labels("labels", tmp_path / "y.csv", counts=lambda: {3}).labels.tolist() == HEADERS[text]


def test_numbers_and_several_labels_are_known_by_the_rule_of_labels(tmp_path):
    csv(tmp_path / "y.csv", ["id", *map(str, range(12))], ["label", *(str(i / 7) for i in range(12))])
    assert read_labels("labels", tmp_path / "y.csv").task == "regression"
    (tmp_path / "y.jsonl").write_text('{"labels": ["a", "b"]}\n{"labels": ["b"]}\n')
    target = read_labels("labels", tmp_path / "y.jsonl")
    assert (target.task, target.labels.tolist()) == ("multilabel", [[1, 1], [0, 1]])
    np.save(tmp_path / "y.npy", np.array([[1, 1], [0, 1]], np.uint8))
    assert read_labels("labels", tmp_path / "y.npy").task == "multilabel"


def test_names_that_resemble_numbers_are_names(tmp_path):
    csv(tmp_path / "y.csv", ["id", *IDS], ["label", "1_11", "11_1", "03", "1_11"])
    target = read_labels("labels", tmp_path / "y.csv")
    assert (target.classes, target.labels.tolist()) == (("03", "11_1", "1_11"), [2, 1, 0, 2])


def test_a_column_of_splits_parts_the_labels(tmp_path):
    csv(tmp_path / "y.csv", ["label", *NAMES], ["split", "test", "train", "train", "train"])
    target = read_labels("labels", tmp_path / "y.csv")
    assert (target.origin.places.tolist(), target.test.origin.places.tolist()) == ([1, 2, 3], [0])
    assert target.joined(target.test).origin.places.tolist() == [1, 2, 3, 0]
    assert len(read_labels("labels", tmp_path / "y.csv", split="all")) == 4
    with pytest.raises(InputError, match="expected rows of the split 'val', got train, test"):
        read_labels("labels", tmp_path / "y.csv", split="val")


def test_groups_are_those_of_a_column(tmp_path):
    csv(tmp_path / "y.csv", ["label", *NAMES], ["patient", "p", "q", "p", "r"])
    groups = read_labels("labels", tmp_path / "y.csv", groups="patient").groups
    assert groups[0] == groups[2] != groups[1]
    with pytest.raises(InputError, match="expected groups in the column 'doctor', got the columns label, patient"):
        read_labels("labels", tmp_path / "y.csv", groups="doctor")


def test_several_columns_are_labels_or_numbers(tmp_path):
    csv(tmp_path / "y.csv", ["id", *IDS], ["cat", *"1010"], ["dog", *"1100"])
    target = read_labels("labels", tmp_path / "y.csv", label="cat,dog")
    assert (target.task, target.classes, target.labels.tolist()) == (
        "multilabel",
        ("cat", "dog"),
        [[1, 1], [0, 1], [1, 0], [0, 0]],
    )
    assert target.ids == tuple(IDS)


BAD = {
    "twice.csv": (lambda path: csv(path, ["id", "a", "a"], ["label", "x", "y"]), "'a' twice"),
    "missing.csv": (lambda path: csv(path, ["id", "a", "b"], ["label", "x", ""]), "expected a label for every"),
    "no_id.csv": (
        lambda path: csv(path, ["id", "a", ""], ["label", "x", "y"]),
        "an id for every row, got none in row 1",
    ),
    "na.csv": (lambda path: csv(path, ["id", "a", "b"], ["label", "1", "NULL"]), "got 'NULL' for example 1"),
    "joined.csv": (
        lambda path: csv(path, ["id", "a", "id", "a"], ["label", "x", "label", "y"]),
        "expected one header, got it again in line 3",
    ),
    "excel.csv": (lambda path: path.write_text("sep=,\nid,label\na,x\n"), "got Excel's 'sep=,'; remove this line"),
    "which.csv": (lambda path: csv(path, ["a", "x"], ["b", "y"]), "expected one label column"),
    "empty.csv": (lambda path: path.write_text(""), "got an empty file"),
    "none.csv": (lambda path: None, "expected a file at"),
    "split.csv": (lambda path: csv(path, ["label", "x", "y"], ["split", "train", "3"]), "got another value in row 1"),
}


@pytest.mark.parametrize("name", BAD)
def test_labels_that_cannot_be_used_are_refused(tmp_path, name):
    write, reason = BAD[name]
    write(tmp_path / name)
    with pytest.raises(InputError) as refused:
        read_labels("labels", tmp_path / name)
    assert reason in str(refused.value)
    assert name in str(refused.value)


def test_labels_inside_tables_must_agree(tmp_path):
    np.savez(tmp_path / "a.npz", features=X, ids=IDS, labels=[0, 1, 1, 0])
    np.savez(tmp_path / "b.npz", features=X[[1, 0, 2, 3]], ids=np.array(IDS)[[1, 0, 2, 3]], labels=[1, 0, 1, 0])
    np.savez(tmp_path / "c.npz", features=X, labels=[1, 1, 1, 0])
    np.save(tmp_path / "d.npy", X)
    a, b, c, d = (open_embeddings("tables", tmp_path / name)[0] for name in ("a.npz", "b.npz", "c.npz", "d.npy"))
    target = labels_of_tables("rank", [a, d, b])
    assert (target.labels.tolist(), target.name) == ([0, 1, 1, 0], "a")
    with pytest.raises(InputError, match=r"expected the same labels in all tables, got others in .*c\.npz than in .*a"):
        labels_of_tables("rank", [a, c])
    with pytest.raises(InputError, match="expected labels in one of the tables, got none"):
        labels_of_tables("rank", [d])


def test_labels_in_one_column_are_labels(tmp_path):
    column = np.array([[0], [1], [1], [0]])
    np.savez(tmp_path / "a.npz", features=X, labels=column)
    np.savez(tmp_path / "b.npz", features=X, y=column.astype(str))
    save_file({"features": X, "labels": column}, tmp_path / "c.safetensors")
    np.save(tmp_path / "d.npy", column)
    for name, label in (("a.npz", None), ("b.npz", "y"), ("c.safetensors", None)):
        (table,) = open_embeddings("tables", tmp_path / name, (label,))
        assert labels_of_tables("rank", [table], label=label).labels.tolist() == [0, 1, 1, 0]
    for labels in (read_labels("rank", tmp_path / "d.npy"), labels_of_array("rank", column)):
        assert (labels.task, labels.labels.tolist()) == ("classes", [0, 1, 1, 0])


def test_tables_of_which_none_can_be_opened_say_why(tmp_path):
    np.savez(tmp_path / "a.npz", features=X, labels=np.array(["a", "b", "b", "a"], object))
    with pytest.raises(InputError, match=r"got an array of Python objects; convert texts with array\.astype\(str\)"):
        LabelsOfTables((TableFile(tmp_path / "a.npz"),)).labelled("rank", TaskReading(), None)


PETS = ["cat", "dog", "dog"]


@pytest.mark.parametrize(
    "labels",
    [
        np.array([0, 1, 1]),
        PETS,
        pa.array([0, 1, 1]),
        pa.array(PETS),
        pa.array(PETS).dictionary_encode(),
        pa.chunked_array([PETS[:1], PETS[1:]]),
        list(pa.array(PETS)),
    ],
    ids=["array", "list", "pyarrow", "names", "dictionary", "chunks", "scalars"],
)
def test_an_array_or_a_list_of_labels_is_a_target(labels):
    target = open_target("rank", labels, None, 0, False)
    assert target.labels.tolist() == [0, 1, 1]
    assert not target.has_ids


def test_lists_and_numbers_of_pyarrow_are_labels_of_their_task():
    several, numbers = [["a", "b"], ["b"], []], [0.5 * number for number in range(12)]
    for labels in (several, numbers):
        found, expected = labels_of_array("rank", pa.array(labels)), labels_of_array("rank", labels)
        assert (found.task, found.classes) == (expected.task, expected.classes)
        assert np.array_equal(found.labels, expected.labels)


@pytest.mark.parametrize("missing", [None, np.nan])
@pytest.mark.parametrize("label", ["a", 1])
def test_a_missing_label_in_a_list_is_named(missing, label):
    with pytest.raises(InputError, match=r"^rank: labels: expected a label for every example, got none for example 1;"):
        open_target("rank", [label, missing] * 3, None, 0, False)
