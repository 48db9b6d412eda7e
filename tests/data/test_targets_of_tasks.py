"""Numbers and several labels from every reader of images, and the commands that need classes."""

import io
import json

import numpy as np
import pyarrow as pa
import pyarrow.csv
import pyarrow.parquet as pq
import pytest
from PIL import Image

import leepjax as lj
from leepjax.data.iterable import from_iterable
from leepjax.data.target import from_arrays, recast, with_classes_of
from leepjax.opening.target import open_target
from leepjax.types import InputError

N = 12
PIXELS = np.arange(N * 4, dtype=np.uint8).reshape(N, 2, 2)
NUMBERS = [i + 0.5 for i in range(N)]
TAGS = [["cat"], [], ["cat", "dog"]] * 4
MATRIX = [[1, 0], [0, 0], [1, 1]] * 4


def png(pixels):
    file = io.BytesIO()
    Image.fromarray(pixels).save(file, "PNG")
    return file.getvalue()


PNGS = [png(each) for each in PIXELS]


@pytest.mark.parametrize(
    ("columns", "label", "task", "names", "labels"),
    [
        ({"label": NUMBERS}, None, "regression", ("label",), [[x] for x in NUMBERS]),
        ({"label": TAGS}, None, "multilabel", ("cat", "dog"), MATRIX),
        ({"tags": ["cat", "", "cat;dog"] * 4}, "tags", "multilabel", ("cat", "dog"), MATRIX),
        ({"a": [1, 0, 1] * 4, "b": [False, False, True] * 4}, "a, b", "multilabel", ("a", "b"), MATRIX),
        ({"a": NUMBERS, "b": range(N)}, "a,b", "regression", ("a", "b"), [[x, i] for i, x in enumerate(NUMBERS)]),
    ],
    ids=str,
)
def test_columns_of_parquet(columns, label, task, names, labels, tmp_path):
    pq.write_table(
        pa.table({"image": PNGS, **{key: list(each) for key, each in columns.items()}}), tmp_path / "x.parquet"
    )
    target = lj.read_target(str(tmp_path / "x.parquet"), label_column=label)
    assert (target.task, target.classes) == (task, names)
    np.testing.assert_array_equal(target.labels, labels)
    assert len(target.subset(np.arange(5)).strata) == 5


TEXT_COLUMNS = {
    "labels": ({"a": [1, 0, 1] * 4, "b": ["no", "no", "yes"] * 4}, "multilabel", MATRIX),
    "numbers": ({"a": NUMBERS, "b": range(N)}, "regression", [[x, i] for i, x in enumerate(NUMBERS)]),
}


@pytest.mark.parametrize("suffix", ["csv", "jsonl", "parquet"])
@pytest.mark.parametrize("name", TEXT_COLUMNS)
def test_several_columns_of_files_of_texts(name, suffix, tmp_path):
    columns, task, labels = TEXT_COLUMNS[name]
    table = pa.table({"text": [f"text {i}" for i in range(N)], **{key: list(each) for key, each in columns.items()}})
    path = tmp_path / f"x.{suffix}"
    if suffix == "csv":
        pa.csv.write_csv(table, path)
    elif suffix == "parquet":
        pq.write_table(table, path)
    else:
        path.write_text("".join(json.dumps(row) + "\n" for row in table.to_pylist()))
    target = lj.read_target(str(path), label_column="a, b")
    assert (target.task, target.classes, target.kind) == (task, ("a", "b"), "text")
    np.testing.assert_allclose(target.labels, labels, rtol=1e-6)
    with pytest.raises(InputError, match="expected different columns of texts and labels, got 'a' twice; name another"):
        lj.read_target(str(path), label_column="a,a")
    with pytest.raises(InputError, match="expected labels in the column 'c', got the columns text, a, b"):
        lj.read_target(str(path), label_column="a,c")
    with pytest.raises(InputError, match="expected one column of classes, got a, b; name one"):
        lj.read_target(str(path), label_column="a,b", task="classes")


def test_the_names_that_hugging_face_declares_for_lists(tmp_path):
    feature = {"feature": {"names": ["cat", "dog", "cow"], "_type": "ClassLabel"}, "_type": "Sequence"}
    table = pa.table({"image": PNGS, "label": [[0], [], [0, 1]] * 4})
    metadata = {"huggingface": json.dumps({"info": {"features": {"label": feature}}})}
    pq.write_table(table.replace_schema_metadata(metadata), tmp_path / "x.parquet")
    target = lj.read_target(str(tmp_path / "x.parquet"))
    assert target.classes == ("cat", "dog", "cow")
    np.testing.assert_array_equal(target.labels[:, :2], MATRIX)


def test_arrays_and_iterables():
    for target in (
        from_arrays(PIXELS, TAGS, task=None),
        from_iterable(zip(PIXELS, TAGS, strict=True), task=None),
        from_arrays(PIXELS, np.array(MATRIX), ["cat", "dog"], task=None),
    ):
        assert (target.task, target.classes) == ("multilabel", ("cat", "dog"))
        np.testing.assert_array_equal(target.labels, MATRIX)


def test_labels_in_one_column_are_classes():
    column = np.arange(len(PIXELS))[:, None] % 2
    for task in (None, "classes"):
        for target in (
            from_arrays(PIXELS, column, task=task),
            from_arrays(PIXELS, column.astype(str), task=task),
            from_iterable(zip(PIXELS, column, strict=True), task=task),
        ):
            assert (target.task, target.classes) == ("classes", ("0", "1"))
            np.testing.assert_array_equal(target.labels, column[:, 0])


def test_class_folders_named_by_numbers(tmp_path):
    for i in range(4):
        (tmp_path / f"{i}.5").mkdir()
        (tmp_path / f"{i}.5" / "x.png").write_bytes(PNGS[i])
    target = lj.read_target(str(tmp_path), task="regression")
    assert target.labels.ravel().tolist() == [0.5, 1.5, 2.5, 3.5]
    assert lj.read_target(str(tmp_path)).task == "classes"


def test_commands_that_train_for_classes_refuse_others():
    with pytest.raises(
        InputError, match="finetune: expected classes in arrays, got numbers; rank and choose take these"
    ):
        open_target("finetune", from_arrays(PIXELS, NUMBERS, task=None), None, 0, False)


def test_a_test_set_may_lack_a_label():
    train = from_arrays(PIXELS, TAGS, task=None)
    test = from_arrays(PIXELS[:4] + 100, [["dog"], [], ["dog"], []], task=None)
    found = with_classes_of("rank", train, test)
    assert found.classes == train.classes
    assert found.labels.tolist() == [[0, 1], [0, 0], [0, 1], [0, 0]]


def test_a_test_set_may_lack_classes_and_have_them_in_another_order():
    train = from_arrays(PIXELS[:3], ["1", "2", "3"])
    known = with_classes_of("rank", train, from_arrays(PIXELS[:2] + 100, [2, 1]))
    assert (known.classes, known.labels.tolist()) == (train.classes, [1, 0])
    reversed_ = from_arrays(PIXELS[:2] + 100, [0, 1], ["3", "1"])
    found = with_classes_of("rank", train, reversed_)
    assert found.labels.tolist() == [2, 0]
    assert found.fingerprint != reversed_.fingerprint
    assert with_classes_of("rank", train, train) is train
    with pytest.raises(InputError, match=r"rank: expected the same classes in both sets, got '4' in the test set"):
        with_classes_of("rank", train, from_arrays(PIXELS[:2], ["1", "4"]))


def test_several_labels_in_the_names_of_folders_are_those_of_the_training_part():
    train = from_arrays(PIXELS[:3], ["a;b", "b;c", "c"])
    test = from_arrays(PIXELS[:2], ["c", "b"])
    several = recast(train.with_test(test), "multilabel")
    assert several.test is not None
    assert (several.test.classes, several.test.labels.tolist()) == (("a", "b", "c"), [[0, 0, 1], [0, 1, 0]])
