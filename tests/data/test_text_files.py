"""Targets of texts from CSV, TSV, JSON lines and Parquet: columns, headers, encodings, splits, and what is refused."""

import datetime
import decimal
import json
import pickle

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from leepjax.data.readers import read_target
from leepjax.data.text.columns import Asked
from leepjax.data.text.example import Text
from leepjax.data.text.files import from_text_files
from leepjax.data.text.unlabelled import open_texts
from leepjax.types import InputError

TEXTS = ["good", 'a "fine"\nfilm, truly', "né 悪い", "NA"]
LABELS = ["pos", "pos", "neg", "neg"]
QUOTED = 'text,label\ngood,pos\n"a ""fine""\nfilm, truly",pos\nné 悪い,neg\nNA,neg\n'


def read(path, *content, **asked):
    for each in content:
        path.write_bytes(each if isinstance(each, bytes) else each.encode())
    return from_text_files(str(path), Asked(**asked))


def texts_of(target):
    return [target.read(i).text for i in range(len(target))]


def lines(rows):
    return "".join(json.dumps(row) + "\n" for row in rows)


def as_parquet(path, columns, features=None):
    table = pa.table(columns)
    if features:
        table = table.replace_schema_metadata({"huggingface": json.dumps({"info": {"features": features}})})
    pq.write_table(table, path)
    return path


def test_every_format_gives_the_same_target(tmp_path):
    rows = [{"text": text, "label": label} for text, label in zip(TEXTS, LABELS, strict=True)]
    targets = [
        read(tmp_path / "a.csv", QUOTED),
        read(tmp_path / "b.tsv", QUOTED.replace(",", "\t").replace("film\t", "film,")),
        read(tmp_path / "c.csv", QUOTED.replace(",", ";").replace("film;", "film,")),
        read(tmp_path / "d.jsonl", lines(rows)),
        read(tmp_path / "e.json", json.dumps(rows)),
        read(as_parquet(tmp_path / "f.parquet", {"text": TEXTS, "label": LABELS})),
    ]
    for target in targets:
        assert texts_of(target) == TEXTS
        assert target.kind == "text"
        assert target.classes == ("neg", "pos")
        assert target.labels.tolist() == [1, 1, 0, 0]
        assert target.ids == ("0", "1", "2", "3")
    assert len({target.fingerprint for target in targets}) == 1
    assert read(tmp_path / "g.csv", QUOTED.replace("good", "bad")).fingerprint != targets[0].fingerprint
    again = pickle.loads(pickle.dumps(targets[0].subset(np.array([1, 3]))))
    assert texts_of(again) == [TEXTS[1], TEXTS[3]]
    assert again.ids == ("1", "3")


@pytest.mark.parametrize("encoding", ["utf-8-sig", "utf-16", "utf-32"])
@pytest.mark.parametrize("name", ["x.csv", "x.jsonl"])
def test_the_encoding_that_a_mark_states(tmp_path, encoding, name):
    content = QUOTED if name == "x.csv" else lines({"text": t, "label": y} for t, y in zip(TEXTS, LABELS, strict=True))
    assert texts_of(read(tmp_path / name, content.encode(encoding))) == TEXTS


@pytest.mark.parametrize("name", ["x.csv", "x.tsv", "x.jsonl"])
@pytest.mark.parametrize("encoding", ["latin-1", "utf-16-le"])
def test_other_encodings_are_one_sentence(tmp_path, name, encoding):
    content = lines([{"text": "x", "label": 0}]).replace("x", "né") if name == "x.jsonl" else "text,label\nné,0\n"
    with pytest.raises(InputError, match=r"expected text in UTF-8, or in UTF-16 with a byte-order mark.*; save the"):
        read(tmp_path / name, content.replace(",", "\t" if name == "x.tsv" else ",").encode(encoding))


def test_a_byte_of_zero_is_named(tmp_path):
    with pytest.raises(InputError, match="expected text, got a byte of zero in line 2; remove it"):
        read(tmp_path / "x.csv", b"text,label\ngo\0od,0\nbad,1\nfine,0\n")


def test_without_a_header_the_texts_are_the_column_of_more_values(tmp_path, caplog):
    target = read(tmp_path / "x.tsv", "good one\t1\nbad one\t0\nbad too\t0\n")
    assert texts_of(target) == ["good one", "bad one", "bad too"]
    assert target.labels.tolist() == [1, 0, 0]
    assert "has no header; texts are read from the column 1 and labels from the column 2" in caplog.text
    swapped = read(tmp_path / "y.csv", "1,good one\n0,bad one\n0,bad too\n")
    assert texts_of(swapped) == texts_of(target)
    three = "7,1,good one\n8,0,bad one\n9,0,bad too\n"
    assert texts_of(read(tmp_path / "z.csv", three, text="3", label="2")) == texts_of(target)
    with pytest.raises(InputError, match="got 1, 2, 3; name it with --label-column"):
        read(tmp_path / "z.csv")


def test_the_first_row_of_a_single_column_is_a_text_unless_it_is_a_usual_name(tmp_path, caplog):
    path = tmp_path / "x.csv"
    path.write_text("sms\na good film\na bad film\n")
    assert texts_of(open_texts("predict", path)) == ["sms", "a good film", "a bad film"]
    assert "x.csv: the first row, 'sms', is read as a text because it is no usual name of a column" in caplog.text
    assert texts_of(open_texts("predict", path, Asked(text="sms"))) == ["a good film", "a bad film"]
    path.write_text("Text\na good film\na bad film\n")
    assert texts_of(open_texts("predict", path)) == ["a good film", "a bad film"]


def test_blank_lines_before_a_header_are_no_rows(tmp_path):
    for name, content in [
        ("a.csv", "\n\ntext,label\na,x\nb,y\n"),
        ("b.tsv", "\r\ntext\tlabel\r\na\tx\r\nb\ty\r\n"),
        ("c.csv", "\ntext;label\na;x\nb;y\n"),
        ("d.tsv", '\ntext\tlabel\n"a"\tx\n"b"\ty\n'),
    ]:
        assert texts_of(read(tmp_path / name, content)) == ["a", "b"]


@pytest.mark.parametrize("mark", ["", "\ufeff"])
def test_a_header_that_occurs_again_is_refused(tmp_path, mark):
    joined = f"id,text,label\n0,text,x\n1,b,label\n{mark}id,text,label\n0,c,x\n"
    for asked in ({}, {"text": "text", "label": "label"}):
        with pytest.raises(InputError, match=r"expected one header, got it again as row 2 \(the first row is 0\)"):
            read(tmp_path / "x.csv", joined, **asked)
    with pytest.raises(InputError, match=r"expected one header, got it again as row 2"):
        open_texts("predict", str(tmp_path / "x.csv"))
    assert len(read(tmp_path / "x.csv", "id,text,label\n0,text,x\n1,b,label\n2,text,x\n3,c,label\n")) == 4


def test_the_fields_of_a_json_list_are_those_of_all_its_objects(tmp_path):
    rows = [{"text": "a", "category": "x"}, {"text": "b", "category": "x", "label": "y"}]
    for name, content in (("x.json", json.dumps(rows)), ("x.jsonl", lines(rows))):
        with pytest.raises(InputError, match="expected a label for every example, got none for example 0"):
            read(tmp_path / name, content)


def test_quotes_in_a_tsv_are_text_unless_they_enclose_cells(tmp_path):
    loose = read(tmp_path / "x.tsv", 'text\tlabel\n"a" and b\t1\nthe 19" tv\t0\n"open\t1\n')
    assert texts_of(loose) == ['"a" and b', 'the 19" tv', '"open']
    enclosed = read(tmp_path / "y.tsv", 'text\tlabel\n"a ""b"""\t1\n"c\td"\t0\n')
    assert texts_of(enclosed) == ['a "b"', "c\td"]
    assert texts_of(read(tmp_path / "z.tsv", 'text\tlabel\n"a ""b"""\t1\n"c"\t0\n')) == ['a "b"', "c"]


def test_columns_are_chosen_by_name(tmp_path, caplog):
    table = "id,Title,Text,Category,stars\n1,t,good,pos,5\n2,t,bad,neg,1\n3,u,fine,pos,4\n"
    target = read(tmp_path / "x.csv", table)
    assert texts_of(target) == ["good", "bad", "fine"]
    assert target.classes == ("neg", "pos")
    assert "texts are read from the column 'Text'; other candidates are Title" in caplog.text
    assert texts_of(read(tmp_path / "x.csv", text="Title", label="stars")) == ["t", "t", "u"]
    for asked, said in [
        ({"text": "Body"}, "expected the text column 'Body', got Title, Text; name it with --text-column"),
        ({"text": "Text", "label": "Text"}, "expected different columns of texts and labels, got 'Text' twice"),
        ({"label": "mood"}, "expected labels in the column 'mood', got the columns id, Title, Text, Category, stars"),
        ({"groups": "user"}, "expected groups in the column 'user'"),
        ({"pair": "none"}, "expected the column of second texts 'none', got Title"),
    ]:
        with pytest.raises(InputError, match=said):
            read(tmp_path / "x.csv", **asked)
    with pytest.raises(InputError, match="expected one label column"):
        read(tmp_path / "y.csv", "text,mood\ngood,1\nbad,0\nfine,1\n")
    with pytest.raises(InputError, match=r"got path, caption; .* \(a column of paths of images with --image-column\)"):
        read(tmp_path / "y.csv", "path,caption,label\na.png,b,1\nc.png,d,0\n")
    with pytest.raises(InputError, match="expected one text column, got none"):
        read(tmp_path / "y.csv", "x,label\n0.5,1\n0.25,0\n1e3,1\n")
    with pytest.raises(InputError, match="got a different value in each of 3 rows"):
        read(tmp_path / "y.csv", "text,label\na,x\nb,y\nc,z\n")


def test_pairs_of_texts(tmp_path, caplog):
    rows = [{"sentence1": "a", "sentence2": "b", "label": 0}, {"sentence1": "c", "sentence2": "d", "label": 1}]
    target = read(tmp_path / "x.jsonl", lines(rows))
    assert target.read(1) == Text("c", "d")
    assert "pairs of texts are read from the columns 'sentence1' and 'sentence2'" in caplog.text
    assert read(tmp_path / "x.jsonl", text="sentence1").read(1) == Text("c")
    swapped = read(tmp_path / "x.jsonl", text="sentence2", pair="sentence1")
    assert swapped.read(1) == Text("d", "c")
    assert swapped.fingerprint != target.fingerprint


def test_each_labelled_word_is_an_example_and_a_sentence_is_a_group(tmp_path):
    rows = {"tokens": [["Ann", "sees", "Rome"], ["Bo", "runs"]], "ner_tags": [[1, 0, 2], [1, -100]]}
    names = {"ner_tags": {"_type": "Sequence", "feature": {"_type": "ClassLabel", "names": ["O", "PER", "LOC"]}}}
    for path in (as_parquet(tmp_path / "x.parquet", rows, names), tmp_path / "x.jsonl"):
        if path.suffix == ".jsonl":
            path.write_text(lines(dict(zip(rows, row, strict=True)) for row in zip(*rows.values(), strict=True)))
        target = read(path)
        assert target.labels.tolist() == [1, 0, 2, 1]
        assert target.ids == ("0:0", "0:1", "0:2", "1:0")
        assert target.read(2) == Text(("Ann", "sees", "Rome"), word=2)
        assert target.read(3).text == ("Bo", "runs")
        assert len(set(target.groups[:3])) == 1
        assert len(set(target.groups)) == 2
    assert read(tmp_path / "x.parquet").classes == ("O", "PER", "LOC")
    with pytest.raises(InputError, match="expected a label for each of 2 words in row 0, got 1"):
        read(tmp_path / "y.jsonl", lines([{"tokens": ["a", "b"], "tags": ["O"]}]))


def test_files_named_after_splits(tmp_path, caplog):
    for split, rows in {"train": "a,x\nb,y\nc,x\nd,y\n", "test": "e,y\nf,y\n"}.items():
        (tmp_path / f"mood_{split}.csv").write_text(f"text,label\n{rows}")
    for name in (str(tmp_path), str(tmp_path / "mood_*.csv")):
        target = from_text_files(name, Asked())
        assert len(target) == 4
        assert target.test.labels.tolist() == [1, 1]
        assert target.test.classes == ("x", "y")
    assert "train is used for scores and training, test for verification" in caplog.text
    assert len(from_text_files(str(tmp_path), Asked(), split="all")) == 6
    test = from_text_files(str(tmp_path), Asked(), split="test")
    assert texts_of(test) == ["e", "f"]
    assert test.ids == ("mood_test.csv:0", "mood_test.csv:1")
    (tmp_path / "extra.csv").write_text("text,label\ng,x\n")
    beside = from_text_files(str(tmp_path), Asked())
    assert (beside.fingerprint, len(beside.test)) == (target.fingerprint, 2)
    assert "files of no split lie beside these and are left out: extra.csv (read all with --split all)" in caplog.text
    assert len(from_text_files(str(tmp_path), Asked(), split="all")) == 7
    (tmp_path / "taste_test.csv").write_text("text,label\nz,x\n")
    with pytest.raises(InputError, match="expected the splits of one set, got those of mood, taste"):
        from_text_files(str(tmp_path), Asked())


def test_files_in_folders_named_after_splits(tmp_path):
    for split, rows in {"train": "a,x\nb,y\nc,x\nd,y\n", "test": "e,y\nf,y\n"}.items():
        (tmp_path / split).mkdir()
        (tmp_path / split / "data.csv").write_text(f"text,label\n{rows}")
    target = from_text_files(str(tmp_path / "*/data.csv"), Asked())
    assert (texts_of(target), texts_of(target.test)) == (["a", "b", "c", "d"], ["e", "f"])
    # A folder that holds all files says nothing about one of them.
    (tmp_path / "test/train.csv").write_text("text,label\ng,x\n")
    assert texts_of(from_text_files(str(tmp_path / "test"), Asked())) == ["e", "f", "g"]
    (tmp_path / "other").mkdir()
    (tmp_path / "other/data.csv").write_text("text,label\nh,x\n")
    assert texts_of(from_text_files(str(tmp_path / "*/data.csv"), Asked(), split="test")) == ["e", "f"]


@pytest.mark.parametrize(
    "names",
    [
        "trainData testData",
        "data_train_final data_test_final",
        "train1 test1",
        "traindata testset",
        "train eval",
        "holdout train",
        "a/train1/x a/test1/x",
    ],
)
def test_files_that_resemble_splits_are_refused(tmp_path, names):
    for name in names.split():
        path = tmp_path / f"{name}.csv"
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text("text,label\na,x\nb,y\n")
    name = str(tmp_path / "a/*/x.csv") if "/" in names else str(tmp_path)
    with pytest.raises(InputError, match=r"or of splits called train, val or test, got .*\.csv and .*, which resemble"):
        from_text_files(name, Asked())
    assert len(from_text_files(name, Asked(), split="all")) == 4


def test_a_column_of_splits_parts_the_texts(tmp_path, caplog):
    rows = [("a", "x", "train"), ("", "y", "train"), ("b", "y", "Training"), ("c", "x", "test"), ("d", "y", "test")]
    columns = dict(zip(("text", "label", "split"), map(list, zip(*rows, strict=True)), strict=True))
    (tmp_path / "x.csv").write_text("text,label,split\n" + "".join(",".join(row) + "\n" for row in rows))
    for path in (tmp_path / "x.csv", as_parquet(tmp_path / "x.parquet", columns)):
        target = read(path)
        assert texts_of(target) == ["a", "b"]
        assert texts_of(target.test) == ["c", "d"]
        assert target.test.ids == ("3", "4")
        assert texts_of(from_text_files(str(path), Asked(), split="test")) == ["c", "d"]
        assert len(from_text_files(str(path), Asked(), split="all")) == 4
        with pytest.raises(InputError, match="expected rows of the split 'val', got train, test; choose one"):
            from_text_files(str(path), Asked(), split="val")
    assert "train is used for scores and training, test for verification" in caplog.text
    words = lines({"tokens": [text, "z"], "tags": [0, 1], "split": each} for text, _, each in rows if text)
    assert read(tmp_path / "x.jsonl", words).test.ids == ("2:0", "2:1", "3:0", "3:1")
    other = read(tmp_path / "y.csv", "review,label,split\na,x,1\nb,y,2\nc,x,3\n")
    assert (len(other), other.test) == (3, None)
    with pytest.raises(InputError, match="expected train, val or test in the column 'split', got another value in row"):
        read(tmp_path / "y.csv", "text,label,split\na,x,train\nb,y,tets\n")
    (tmp_path / "y.csv").write_text("text,label\na,x\nb,y\n")
    with pytest.raises(InputError, match="expected the split 'test' in the names of files or in a column called split"):
        from_text_files(str(tmp_path / "y.csv"), Asked(), split="test")


@pytest.mark.parametrize("suffix", ["csv", "tsv", "jsonl", "parquet"])
def test_labels_of_all_files_are_typed_together_and_those_of_parts_matched_by_name(suffix, tmp_path):
    def written(folder, **files):
        folder.mkdir()
        for stem, labels in files.items():
            path, texts = folder / f"{stem}.{suffix}", [f"{stem} {i}" for i in range(len(labels))]
            mark = "\t" if suffix == "tsv" else ","
            if suffix == "parquet":
                as_parquet(path, {"text": texts, "label": labels})
            elif suffix == "jsonl":
                path.write_text(lines({"text": t, "label": y} for t, y in zip(texts, labels, strict=True)))
            else:
                path.write_text(
                    "\n".join(map(mark.join, zip(["text", *texts], ["label", *labels], strict=True))) + "\n"
                )
        return from_text_files(str(folder), Asked())

    one_name = written(tmp_path / "a", train=["1", "2", "N", "1"], test=["1", "2", "1"])
    assert one_name.classes == one_name.test.classes == ("1", "2", "N")
    assert one_name.test.labels.tolist() == [0, 1, 0]
    assert written(tmp_path / "b", x=["1", "2", "1"], y=["N", "2", "N"]).labels.tolist() == [0, 1, 0, 2, 1, 2]
    gaps = written(tmp_path / "c", train=["1000", "5000", "5000"], test=["5000", "1000", "5000"])
    assert (gaps.test.classes, gaps.test.labels.tolist()) == (("1000", "5000"), [1, 0, 1])
    several = written(tmp_path / "d", train=["1;2", "1", "1;3"], test=["3", "1", "3"])
    assert several.test.labels.tolist() == [[0, 0, 1], [1, 0, 0], [0, 0, 1]]
    with pytest.raises(InputError, match="expected the same classes in both sets, got '3' in the test set alone"):
        written(tmp_path / "e", train=["1", "2", "2"], test=["1", "3", "3"])


def test_what_is_missing(tmp_path, caplog):
    target = read(tmp_path / "x.csv", "text,label\na,1\n ,0\nb,0\n,1\n")
    assert texts_of(target) == ["a", "b"]
    assert target.ids == ("0", "2")
    assert "2 texts are empty and left out; the first: row 1" in caplog.text
    with pytest.raises(InputError, match="2 texts are empty"):
        from_text_files(str(tmp_path / "x.csv"), Asked(), strict=True)
    for content, said in [
        ("text,label\na,1\nb,\n", "expected a label for every"),
        ("text,label\na,x\nb,\n", "expected a label for every"),
        ("text,label\na,1\nb,NA\n", "expected a label for every example, got 'NA' for example 1"),
        ("text,label\n,1\n,0\n", "expected texts, got 2 empty ones"),
        ("text,label\n", "expected at least one"),
        ("", "got an empty file"),
        ("sep=;\r\ntext;label\r\na;1\r\n", "got Excel's 'sep=;'; remove this line"),
        ("text,label\na,1,2\n", "expected rows with equally many cells, got .*Expected 2 columns, got 3"),
        ("text,text,label\na,b,1\n", "expected distinct names of columns, got 'text' twice"),
        ("text|label\na|1\nb|0\n", "expected columns of texts and of labels, got one; separate the cells"),
    ]:
        with pytest.raises(InputError, match=said):
            read(tmp_path / "y.csv", content)
    for content in ("{\n", "[1, 2]", '{"text": "a", "label": 1}\n{"text": 3}\n', "[[1]]"):
        with pytest.raises(InputError, match="expected one JSON object per line"):
            read(tmp_path / "y.json", content)
    for columns in ({"text": {"0": "a", "1": "b"}, "label": {"0": 0, "1": 1}}, {"text": ["a", "b"], "label": [0, 1]}):
        with pytest.raises(InputError, match=r"got one object of columns; write one for each row"):
            read(tmp_path / "y.json", json.dumps(columns))


@pytest.mark.parametrize("label", [datetime.date(2020, 1, 1), decimal.Decimal("1.5")])
def test_the_type_of_labels_that_cannot_be_read_is_named(tmp_path, label):
    path = as_parquet(tmp_path / "x.parquet", {"text": ["a", "b"], "label": [label, label]})
    with pytest.raises(InputError, match=r"in the column 'label', got (date32|decimal128).*; convert the column"):
        read_target(str(path))


def test_numbers_and_several_labels(tmp_path, caplog):
    assert read(tmp_path / "x.csv", "text,label\na,0.0\nb,1.0\nc,1.0\n").labels.tolist() == [0, 1, 1]
    rows = "".join(f"t{i},{i / 7:.3f}\n" for i in range(12))
    assert read(tmp_path / "y.csv", f"text,label\n{rows}").task == "regression"
    assert "y.csv: labels are numbers, from 0 to 1.571 (the task regression; pass --task classes" in caplog.text
    commas = "".join(f"t{i};{i / 8:.3f}\n".replace(".", ",") for i in range(12))
    with pytest.raises(InputError, match="expected numbers with a decimal point, or names of classes, got '0,000'"):
        read(tmp_path / "v.csv", f"text;label\n{commas}")
    several = read(tmp_path / "z.jsonl", lines({"text": t, "labels": y} for t, y in [("a", ["x", "y"]), ("b", [])]))
    assert several.task == "multilabel"
    assert several.labels.tolist() == [[1, 1], [0, 0]]
    assert read(tmp_path / "w.csv", "text,labels\na,x;y\nb,y\nc,\n").labels.tolist() == [[1, 1], [0, 1], [0, 0]]


def test_strings_that_look_like_times_are_texts(tmp_path):
    rows = [{"text": f"2020-01-0{i} 10:00:00", "label": i % 2} for i in range(1, 5)]
    assert texts_of(read(tmp_path / "x.jsonl", lines(rows))) == [row["text"] for row in rows]
