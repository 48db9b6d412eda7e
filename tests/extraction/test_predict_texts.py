"""Predictions for texts without labels: files, folders, strings and pairs, by a network that reads texts."""

import json

import numpy as np
import pytest
from small_text import WORDS, static_folder, text_folder

import leepjax as lj
from leepjax.data.text.unlabelled import open_texts
from leepjax.models.opening import load_source
from leepjax.types import InputError

TEXTS = ["a cat.", "no", "a b c"]


@pytest.fixture(scope="module")
def source(tmp_path_factory):
    return load_source(f"local-dir:{text_folder(tmp_path_factory.mktemp('model') / 'mini', 'distilbert-classifier')}")


def test_files_folders_and_strings_are_the_same_texts(source, tmp_path):
    (tmp_path / "x.csv").write_text("id,text,label\n" + "".join(f"{i},{text},y\n" for i, text in enumerate(TEXTS)))
    (tmp_path / "x.jsonl").write_text("".join(json.dumps({"text": text}) + "\n" for text in TEXTS))
    (tmp_path / "folder" / "deep").mkdir(parents=True)
    for name, text in zip(("a.txt", "deep/b.txt", "deep/c.txt"), TEXTS, strict=True):
        (tmp_path / "folder" / name).write_text(text)
    expected = lj.predict(TEXTS, source)
    assert expected.classes == ("bad", "good", "neither")
    for given, ids in (
        (tmp_path / "x.csv", ("0", "1", "2")),
        (str(tmp_path / "x.jsonl"), ("0", "1", "2")),
        (tmp_path / "folder", ("a.txt", "deep/b.txt", "deep/c.txt")),
        ([tmp_path / "folder" / "a.txt", *sorted((tmp_path / "folder" / "deep").iterdir())], None),
    ):
        found = lj.predict(given, source)
        np.testing.assert_allclose(found.probabilities, expected.probabilities, atol=1e-6)
        assert ids in (None, found.ids)
    assert list(found.rows()[0]) == ["text", "class", "probability"]


def test_a_last_batch_of_few_texts_keeps_their_order(source):
    texts = ["a b c", "a cat.", "no", "c", "b", "a b c a b c"]
    alone, together = (lj.predict(texts, source, batch_size=batch_size) for batch_size in (1, 4))
    np.testing.assert_allclose(together.probabilities, alone.probabilities, atol=1e-6)


def test_pairs_and_named_columns(tmp_path):
    (tmp_path / "x.csv").write_text("premise,hypothesis,note\na cat.,no,x\nb,c,y\n")
    pairs = open_texts("predict", [("a cat.", "no"), ("b", "c")])
    found = open_texts("predict", tmp_path / "x.csv")
    assert [found.read(i) for i in range(2)] == [pairs.read(i) for i in range(2)]
    both = open_texts("predict", [tmp_path / "x.csv", tmp_path / "x.csv"])
    assert both.ids[2] == f"{tmp_path / 'x.csv'}:0"


def test_what_is_no_text_is_refused(source, tmp_path, caplog):
    (tmp_path / "x.csv").write_text("text,id\n,1\ngood,2\n")
    assert lj.predict(tmp_path / "x.csv", source).ids == ("1",)
    assert "one text is empty and left out; the first: 0" in caplog.text
    (tmp_path / "empty").mkdir()
    for given, message in (
        (tmp_path / "gone.csv", r"expected \.csv, .* or a folder at .*gone\.csv, got nothing there"),
        (tmp_path / "empty", "expected texts in .*empty, got none"),
        ([], "expected texts in an empty list, got none"),
    ):
        with pytest.raises(InputError, match=message):
            lj.predict(given, source)
    with pytest.raises(InputError, match="expected the text column 'review', got text; name it"):
        lj.predict(tmp_path / "x.csv", source, text_column="review")


def test_of_a_folder_only_files_of_text_that_can_be_read_are_used(source, tmp_path, caplog):
    for name in (
        "a.txt",
        ".git/description.txt",
        ".ipynb_checkpoints/a-checkpoint.txt",
        "__MACOSX/b.txt",
        "sub.txt/c.txt",
    ):
        (tmp_path / name).parent.mkdir(exist_ok=True)
        (tmp_path / name).write_text("a cat.")
    (tmp_path / "latin.txt").write_bytes("café".encode("latin-1"))
    (tmp_path / "link.txt").symlink_to("nowhere")
    assert lj.predict(tmp_path, source).ids == ("a.txt", "sub.txt/c.txt")
    assert "2 of 4 texts can't be read and are left out, the first: " in caplog.text
    with pytest.raises(InputError, match=r"latin\.txt: expected text in UTF-8"):
        lj.predict(tmp_path, source, strict=True)
    with pytest.raises(InputError, match=r"latin\.txt: expected text in UTF-8"):
        lj.predict(tmp_path / "latin.txt", source)
    (tmp_path / "x.csv").write_text("text\nno\n")
    (tmp_path / "x.log").touch()
    both = open_texts("predict", [tmp_path / "latin.txt", tmp_path / "x.csv"])
    assert [both.read(i).text for i in range(len(both))] == ["no"]
    with pytest.raises(InputError, match=r"expected only texts, got others: one file is no text .* x\.log"):
        lj.predict(tmp_path, source, strict=True)


@pytest.mark.parametrize(
    ("texts", "got"),
    [
        ({"text": ["a"]}, "got a dict of columns; pass the column of them"),
        (None, "got NoneType; pass a path or a list"),
        ([1, 2], "got int at 0; pass strings, or tuples of two strings"),
        ([("a", "b"), ("c",)], "expected pairs of texts, got 1 strings in row 1"),
        ([("a", "b"), "cd"], "expected pairs of texts, got str in row 1"),
    ],
)
def test_what_holds_no_texts_is_refused(texts, got):
    with pytest.raises(InputError, match=f"^predict: .*{got}"):
        open_texts("predict", texts)


def test_what_choose_writes_for_texts_predicts(tmp_path):
    table = np.random.default_rng(0).normal(size=(len(WORDS), 3)).astype(np.float32)
    folder = static_folder(tmp_path / "static", table)
    texts, labels = [f"{a} {b}" for a in "abcdef" for b in "abcdef"], [a for a in "abcdef" for _ in range(6)]
    target = ([text if label in "abc" else "cat " * 3 + text for text, label in zip(texts, labels, strict=True)],
              ["few" if label in "abc" else "many" for label in labels])  # fmt: skip
    choice = lj.choose(target, f"local-dir:{folder}", out=tmp_path / "out")
    assert choice.path is not None
    found = lj.predict(target[0], tmp_path / "out")
    assert np.mean([row["class"] == label for row, label in zip(found.rows(), target[1], strict=True)]) > 0.9
