"""Targets of texts from folders, from Python's objects and from Hugging Face `datasets`, and how they are named."""

from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from PIL import Image

from leepjax.data.iterable import from_iterable
from leepjax.data.readers import list_target, read_target
from leepjax.data.target import from_arrays
from leepjax.data.text.example import Text
from leepjax.data.text.in_memory import from_texts
from leepjax.opening.settings import open_with_test
from leepjax.opening.target import open_target
from leepjax.types import InputError, JudgingSettings, TaskReading

TEXTS, LABELS = ["good", "bad", "fine"], ["pos", "neg", "pos"]


def made(root, **files):
    for name, content in files.items():
        path = root / name.replace("__", "/")
        path = path.with_name(f"{path.name}.txt")
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(content if isinstance(content, bytes) else content.encode())
    return str(root)


def texts_of(target):
    return [target.read(i).text for i in range(len(target))]


def opened(target, **options):
    return open_target("rank", target, None, 0, options.pop("strict", False), **options)


def test_a_folder_with_a_text_in_each_file(tmp_path, caplog):
    root = made(
        tmp_path / "mood",
        pos__a="good",
        pos__b="fine\n",
        neg__a="\ufeffbad",
        neg__b=" ",
        neg__c=b"\xe9t\xe9",
        readme="x",
    )
    target = read_target(root)
    assert (target.kind, target.name, target.classes) == ("text", "mood", ("neg", "pos"))
    assert texts_of(target) == ["bad", "good", "fine\n"]
    assert target.ids == ("neg/a.txt", "pos/a.txt", "pos/b.txt")
    assert "1 of 5 texts can't be read and are left out, the first: " in caplog.text
    assert "one text is empty and left out; the first: neg/b.txt" in caplog.text
    with pytest.raises(InputError, match="others: one file is no text"):
        read_target(root, strict=True)
    made(tmp_path / "mood", pos__a="great")
    assert read_target(root).fingerprint != target.fingerprint


def test_a_folder_of_texts_in_splits_and_groups(tmp_path):
    parts = [(part, label, f"{part[0]}{user}") for part in ("train", "test") for label in "ab" for user in "12"]
    texts = {f"{part}__{label}__u{user}__x": f"{part} {label}" for part, label, user in parts}
    root = made(tmp_path / "x", **texts)
    target = list_target(root, None, False, None, None, "folder")
    assert len(target) == len(target.test) == 4
    assert len(set(target.groups)) == 2
    assert texts_of(target.test) == ["test a", "test a", "test b", "test b"]
    assert len(read_target(root, "all")) == 8


def test_files_are_targets_of_every_command(tmp_path):
    (tmp_path / "x.csv").write_text("review,mood\n" + "".join(f"{t},{y}\n" for t, y in zip(TEXTS, LABELS, strict=True)))
    name = str(tmp_path / "x.csv")
    assert texts_of(read_target(name, label_column="mood")) == TEXTS
    assert texts_of(opened(name, label_column="mood", text_column="review")) == TEXTS
    for options, said in [
        (
            {"image_column": "review", "label_column": "mood"},
            "expected paths of images in the column 'review', got 'good'",
        ),
        ({"image_column": "a", "text_column": "b"}, "expected a column of images or of texts, got 'a' and 'b'"),
    ]:
        with pytest.raises(InputError, match=said):
            opened(name, **options)
    for other in ("digits", "tfds:mnist"):
        with pytest.raises(InputError, match="column"):
            opened(other, text_column="text")
    (tmp_path / "x.csv").write_text("text,label\nb,a\nc,a\n")
    with pytest.raises(InputError, match="at least two classes in x, got only 'a'; add texts of another class"):
        opened(name)


@pytest.mark.parametrize(
    "form",
    [
        lambda: (TEXTS, LABELS),
        lambda: (np.array(TEXTS), np.array(LABELS)),
        lambda: (np.array(TEXTS, object), LABELS),
        lambda: (pa.array(TEXTS), pa.array(LABELS)),
        lambda: list(zip(TEXTS, LABELS, strict=True)),
        lambda: zip(TEXTS, LABELS, strict=True),
    ],
)
def test_texts_in_memory(form):
    target = opened(form())
    assert (texts_of(target), target.labels.tolist(), target.classes) == (TEXTS, [1, 0, 1], ("neg", "pos"))
    assert target.fingerprint == from_texts(TEXTS, LABELS).fingerprint


def test_pairs_and_labelled_words_in_memory():
    target = opened(([("a", "b"), ("c", "d")], [0, 1]))
    assert [target.read(i) for i in range(2)] == [Text("a", "b"), Text("c", "d")]
    words = opened(([["Ann", "runs"], ["Bo"]], [["PER", "O"], ["PER"]]))
    assert words.read(1) == Text(("Ann", "runs"), word=1)
    assert words.classes == ("O", "PER")


@pytest.mark.parametrize(
    ("texts", "labels", "said"),
    [
        (TEXTS, LABELS[:2], "expected 3 labels, one per text, got 2"),
        (["a", ("b", "c")], [0, 1], "expected texts or pairs of texts, got both"),
        (["a", 3], [0, 1], "expected a text in each row, got int in row 1"),
        (["a", "\ud800"], [0, 1], "expected a text in each row, got str in row 1"),
        ([("a", "b", "c"), ("b", "c", "d")], [0, 1], "expected pairs of texts, or a label for each word, got 3"),
        (["", "  "], [0, 1], "expected texts, got 2 empty ones"),
        (TEXTS, [0, 1, None], "expected a label for every"),
    ],
)
def test_what_is_wrong_in_memory_is_one_sentence(texts, labels, said):
    with pytest.raises(InputError, match=said):
        opened((texts, labels))


def test_paths_of_images_are_no_texts():
    with pytest.raises(InputError, match=r"got the path 'cat/1\.png'; open it"):
        from_iterable([("cat/1.png", 0), ("dog/2.png", 1)])
    for paths in (["a.png", "b.png"], [Path("a.png"), Path("b.png")], np.array(["a.png", "b.png"])):
        with pytest.raises(InputError, match=r"arrays: image 0: expected an image, got the path 'a\.png'; open it"):
            opened((paths, [0, 1]))
    with pytest.raises(InputError, match=r"x: expected an image, got the path 'a\.png'; open it"):
        from_arrays(np.array(["a.png", "b.png"]), [0, 1], name="x")


def test_texts_that_pandas_marks_as_missing_are_empty(caplog):
    for missing in (None, np.nan):
        target = opened(([missing, "good", "bad"], [1, 0, 1]))
        assert (texts_of(target), target.ids) == (["good", "bad"], ("1", "2"))
        assert "one text is empty and left out; the first: row 0" in caplog.text
        caplog.clear()
        pairs = opened(([("good", missing), ("bad", "worse"), ("fine", "well")], [1, 0, 1]))
        assert (texts_of(pairs), pairs.ids) == (["bad", "fine"], ("1", "2"))
        caplog.clear()


def test_pictures_in_a_list_are_read_as_those_in_pairs():
    picture = Image.new("P", (4, 4), 1)
    picture.putpalette([0, 0, 0, 200, 10, 30])
    target, pairs = opened(([picture] * 2, [0, 1])), from_iterable([(picture, 0), (picture, 1)])
    assert target.read(0).getpixel((0, 0)) == (200, 10, 30)
    assert target.fingerprint == pairs.fingerprint
    with pytest.raises(InputError, match="rank: expected 2 labels, one per image, got 3; give each"):
        opened(([picture] * 2, [0, 1, 1]))


def test_tables_of_columns_in_memory_are_no_targets():
    columns = {"text": ["a b", "c d"], "label": ["x", "y"]}
    frame = type("Frame", (), {"columns": ("text", "label"), "shape": (2, 2), "__iter__": lambda self: iter(columns)})()
    for target in (columns, frame, (frame, ["x", "y"]), (["a b", "c d"], columns), (["a b", "c d"], frame)):
        with pytest.raises(InputError, match=r"^rank: expected .*, got a (Frame|dict) of columns; pass "):
            open_target("rank", target, None, 0, False)


def test_tables_of_paths_are_targets_of_their_images(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    rows = [(f"{name}/a {i}.png", name, "test" if i == 2 else "train") for name in ("cat", "dog") for i in range(3)]
    for at, (path, _, _) in enumerate(rows):
        (tmp_path / "pets" / path).parent.mkdir(parents=True, exist_ok=True)
        Image.new("RGB", (4, 4), (at, 0, 0)).save(tmp_path / "pets" / path)
    columns = dict(zip(("filename", "label", "split"), map(list, zip(*rows, strict=True)), strict=True))
    pq.write_table(pa.table(columns), "pets/x.parquet")
    csv = ["filename,label,split", *(",".join(row) for row in rows)]
    Path("pets/x.csv").write_text("\n".join(csv))
    Path("y.csv").write_text("\n".join(["filename,label,split", *("pets/" + ",".join(row) for row in rows)]))
    for name in ("pets/x.csv", "pets/x.parquet", "y.csv"):
        for options in ({}, {"image_column": "filename"}):
            target = read_target(name, **options)
            assert (target.kind, target.labels.tolist(), target.test.labels.tolist()) == (
                "images",
                [0, 0, 1, 1],
                [0, 1],
            )
            assert [target.read(i).getpixel((0, 0))[0] for i in range(4)] == [0, 1, 3, 4]
            assert target.test.id(0).endswith("cat/a 2.png")
    before = read_target("pets/x.csv").fingerprint
    opened = read_target("pets/x.csv")
    Image.new("RGB", (4, 4), (9, 9, 9)).save("pets/cat/a 0.png")
    with pytest.raises(
        InputError, match=r"image 0 \(.*a 0\.png\): expected the image that was read first, got another"
    ):
        opened.read(0)
    assert read_target("pets/x.csv").fingerprint != before
    assert read_target("pets/x.csv", text_column="filename").kind == "text"


def test_paths_of_images_beside_texts_are_reported(tmp_path, caplog):
    rows = "".join(f"{i}.png,a cat {i},{'xy'[i % 2]}\n" for i in range(4))
    (tmp_path / "x.csv").write_text(f"image,description,label\n{rows}")
    assert read_target(str(tmp_path / "x.csv")).kind == "text"
    assert "texts are read from the column 'description', though 'image' holds paths of images (read" in caplog.text
    caplog.clear()
    read_target(str(tmp_path / "x.csv"), text_column="description")
    assert caplog.text == ""


def test_paths_in_tables_of_several_folders_are_relative_to_their_own_table(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    for red, (folder, table) in enumerate((("one", "train.csv"), ("two", "test.csv"), ("elsewhere", "dev.csv"))):
        Path(folder).mkdir()
        prefix = "elsewhere/" if folder == "elsewhere" else ""
        for i in range(2):
            Image.new("RGB", (4, 4), (red, i, 0)).save(f"{folder}/{i}.png")
        rows = [f"{prefix}{i}.png,{label}" for i, label in enumerate(("cat", "dog"))]
        Path(folder, table).write_text("\n".join(["image,label", *rows]))
    target = read_target("*/*.csv")
    assert (target.ids, target.test.ids) == (("one/0.png", "one/1.png"), ("two/0.png", "two/1.png"))
    assert [target.read(i).getpixel((0, 0))[:2] for i in range(2)] == [(0, 0), (0, 1)]
    assert [target.test.read(i).getpixel((0, 0))[:2] for i in range(2)] == [(1, 0), (1, 1)]
    every = read_target("*/*.csv", "all")
    assert [every.read(i).getpixel((0, 0))[0] for i in range(6)] == [2, 2, 0, 0, 1, 1]
    texts = read_target("*/*.csv", "all", text_column="image")
    assert texts.ids[::2] == ("elsewhere/dev.csv:0", "one/train.csv:0", "two/test.csv:0")


def test_paths_in_tables_that_lead_nowhere_or_outside(tmp_path, monkeypatch, caplog):
    folder = tmp_path / "set"
    folder.mkdir()
    monkeypatch.chdir(folder)
    for name in ("a.png", "set/b.png", "set/c.png"):
        Image.new("RGB", (4, 4)).save(tmp_path / name)
    Path("x.csv").write_text(f"image,label\nb.png,0\nc.png,1\n{tmp_path / 'a.png'},0\nnone.png,1\n")
    assert opened("x.csv").ids == ("b.png", "c.png")
    assert "2 of 4 images can't be decoded and are left out" in caplog.text
    Path("y.csv").write_text("image,label\nnone.png,0\nnor.png,1\n")
    with pytest.raises(InputError, match=r"got no file at 'none\.png'; correct the paths"):
        opened("y.csv")
    Path("w.csv").write_text("image,label\nimg\\b.png,0\nimg\\c.png,1\n")
    with pytest.raises(InputError, match=r"; write / in place of \\ in the paths"):
        opened("w.csv")
    Path("z.csv").write_text(f"image,label\n{tmp_path / 'a.png'},0\n../a.png,1\n")
    with pytest.raises(InputError, match=r"expected images in the table's own folder or below the working folder"):
        opened("z.csv")


def test_a_column_of_lists_holds_no_paths(tmp_path):
    (tmp_path / "x.jsonl").write_text('{"tokens": ["a.png", "b.png"], "tags": ["x", "y"]}\n' * 2)
    with pytest.raises(InputError, match=r"expected paths of images in the column 'tokens', got .*; name a column of"):
        read_target(str(tmp_path / "x.jsonl"), image_column="tokens", label_column="tags")


def test_texts_of_the_training_part_in_the_test_part_are_counted(caplog):
    opened = open_with_test(
        "rank", (TEXTS, LABELS), JudgingSettings(test=(["good", "worse"], ["pos", "neg"])), TaskReading()
    )
    assert len(opened.test) == 2
    assert "1 of 2 test texts are in the training part, too, the first: 0" in caplog.text


def test_sets_of_hugging_face(tmp_path, monkeypatch):
    datasets = pytest.importorskip("datasets")
    monkeypatch.chdir(tmp_path)
    names = datasets.ClassLabel(names=["neg", "pos"])
    columns = {"text": TEXTS, "label": [1, 0, 1], "tokens": [["a", "b"], ["c"], ["d"]], "ner": [[0, 1], [1], [0]]}
    features = {"text": datasets.Value("string"), "label": names, "tokens": datasets.List(datasets.Value("string"))}
    features |= {"ner": datasets.List(datasets.ClassLabel(names=["O", "PER"]))}
    table = datasets.Dataset.from_dict(columns, datasets.Features(features))
    datasets.DatasetDict({"train": table, "test": table.select([2])}).save_to_disk("mood")
    target = read_target("hf:mood")
    assert (texts_of(target), target.classes, target.labels.tolist()) == (TEXTS, ("neg", "pos"), [1, 0, 1])
    assert texts_of(read_target("hf:mood:test")) == ["fine"]
    words = read_target("hf:mood", text_column="tokens", label_column="ner")
    assert (words.classes, words.labels.tolist()) == (("O", "PER"), [0, 1, 1, 0])
