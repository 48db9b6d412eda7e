"""Targets from Parquet files: columns, class names, several files, row groups, and how the rest is reported."""

import io
import json
import os
import pickle
from concurrent.futures import ThreadPoolExecutor

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from PIL import Image

from leepjax.data.iterable import from_iterable
from leepjax.data.parquet import RowGroups, from_parquet
from leepjax.data.preprocessing import Preprocessing
from leepjax.data.readable import readable
from leepjax.data.readers import read_target
from leepjax.types import InputError

SQUARE = Preprocessing(image_size=6)

IMAGES = np.random.default_rng(0).integers(0, 256, (10, 6, 8, 3), np.uint8)
LABELS = np.arange(10) % 3
CLASSES = ["cat", "dog", "cow"]


def png(image):
    buffer = io.BytesIO()
    Image.fromarray(image).save(buffer, "PNG")
    return buffer.getvalue()


PNGS = [png(image) for image in IMAGES]
STRUCTS = [{"bytes": content, "path": None} for content in PNGS]
FEATURES = {"image": {"_type": "Image"}, "label": {"_type": "ClassLabel", "names": CLASSES}}


def write(path, columns, features=None, group=3):
    table = pa.table(columns)
    if features:
        table = table.replace_schema_metadata({"huggingface": json.dumps({"info": {"features": features}})})
    pq.write_table(table, path, row_group_size=group)
    return path


def assert_holds_all(target):
    np.testing.assert_array_equal(target.labels, LABELS)
    for i, image in enumerate(IMAGES):
        np.testing.assert_array_equal(np.asarray(target.read(i)), image)


@pytest.mark.parametrize("images", [PNGS, STRUCTS], ids=["binary", "struct"])
def test_images_and_numbers(tmp_path, images):
    target = read_target(str(write(tmp_path / "pets.parquet", {"label": LABELS, "image": images})))
    assert (target.name, target.classes) == ("pets", ("0", "1", "2"))
    assert_holds_all(target)
    assert target.subset(np.array([7])).ids == ("7",)


def test_strings_are_sorted_classes(tmp_path):
    names = np.array(CLASSES)[LABELS]
    for column in (names.tolist(), pa.array(names.tolist()).dictionary_encode()):
        target = from_parquet(write(tmp_path / "x.parquet", {"photo": PNGS, "category": column}))
        assert target.classes == ("cat", "cow", "dog")
        assert [target.classes[label] for label in target.labels] == names.tolist()


def test_the_names_that_hugging_face_writes(tmp_path):
    columns = {"id": LABELS, "thumb": PNGS[::-1], "image": STRUCTS, "label": LABELS, "text": ["x"] * 10}
    target = from_parquet(write(tmp_path / "x.parquet", columns, FEATURES))
    assert target.classes == tuple(CLASSES)
    assert_holds_all(target)


def test_a_folder_and_a_glob_are_one_set_in_the_order_of_names(tmp_path):
    for part in (slice(0, 4), slice(4, 10)):
        write(tmp_path / f"train-{part.start}.parquet", {"image": PNGS[part], "label": LABELS[part]})
    whole = write(tmp_path / "whole.bin", {"image": PNGS, "label": LABELS}, group=100)
    folder, pattern = read_target(str(tmp_path)), read_target(str(tmp_path / "train-*.parquet"))
    assert folder.name == pattern.name == tmp_path.name
    assert_holds_all(folder)
    assert folder.fingerprint == pattern.fingerprint == from_parquet(whole).fingerprint


def test_equal_bytes_have_equal_fingerprints_wherever_they_lie(tmp_path):
    target = from_parquet(write(tmp_path / "x.parquet", {"image": STRUCTS, "label": LABELS}))
    assert target.fingerprint == from_iterable(zip(PNGS, LABELS, strict=True)).fingerprint
    assert target.fingerprint != from_iterable(zip(PNGS, LABELS[::-1], strict=True)).fingerprint


def test_each_row_group_is_read_once_when_images_are_read_in_order(tmp_path, monkeypatch):
    target = from_parquet(write(tmp_path / "x.parquet", {"image": STRUCTS, "label": LABELS}))
    read, groups = RowGroups._read, []

    def counted(self, group, columns):
        groups.append(group)
        return read(self, group, columns)

    monkeypatch.setattr(RowGroups, "_read", counted)
    target.images(range(10), SQUARE)
    assert groups == [0, 1, 2, 3]


def test_threads_share_it(tmp_path):
    target = from_parquet(write(tmp_path / "x.parquet", {"image": STRUCTS, "label": LABELS}, group=2))
    order = np.random.default_rng(1).integers(0, 10, 300)
    with ThreadPoolExecutor(4) as pool:
        images = list(pool.map(lambda i: np.asarray(target.read(int(i))), order))
    np.testing.assert_array_equal(np.stack(images), IMAGES[order])


def test_it_can_be_sent_elsewhere(tmp_path, monkeypatch):
    write(tmp_path / "x.parquet", {"image": STRUCTS, "label": LABELS})
    monkeypatch.chdir(tmp_path)
    target = read_target("x.parquet")
    target.read(0)
    content = pickle.dumps(target)
    assert len(content) < 4000
    monkeypatch.chdir("/")
    assert_holds_all(pickle.loads(content))


def test_a_file_that_is_replaced_is_not_read_under_the_old_fingerprint(tmp_path):
    path = write(tmp_path / "x.parquet", {"image": STRUCTS, "label": LABELS})
    target = read_target(str(path))
    write(path, {"image": STRUCTS[::-1], "label": LABELS})
    with pytest.raises(InputError, match="image 0: expected the image that was read first, got another"):
        target.read(0)
    for columns, group in (({"image": STRUCTS}, 2), ({"picture": STRUCTS}, 3)):
        write(path, columns, group=group)
        with pytest.raises(InputError, match="a whole row group 2, got one of another file: it changed while"):
            target.read(7)


def test_images_without_bytes_are_read_from_their_path_or_left_out(tmp_path):
    (tmp_path / "0.png").write_bytes(PNGS[0])
    images = [{"bytes": None, "path": "0.png"}, {"bytes": None, "path": "gone.png"}, None, STRUCTS[3]]
    target = from_parquet(write(tmp_path / "x.parquet", {"image": images, "label": LABELS[:4]}))
    kept, bad = readable(target)
    assert bad == ("1", "2")
    np.testing.assert_array_equal(
        kept.images([0, 1], SQUARE), from_iterable([(PNGS[0], 0), (PNGS[3], 0)]).images([0, 1], SQUARE)
    )


def test_a_path_outside_the_folder_of_the_file_is_not_followed(tmp_path):
    """Nor is one that leads there by a link, nor is a device or pipe in the folder opened."""
    inside = tmp_path / "set"
    inside.mkdir()
    for path in (tmp_path / "secret.png", inside / "own.png"):
        path.write_bytes(PNGS[0])
    (inside / "link.png").symlink_to(tmp_path / "secret.png")
    (inside / "zero.png").symlink_to("/dev/zero")
    os.mkfifo(inside / "pipe.png")
    outside = [
        str(tmp_path / "secret.png"),
        "../secret.png",
        "link.png",
        "/dev/zero",
        "zero.png",
        "a\0b.png",
        "x" * 5000,
    ]
    paths = [*outside, "pipe.png", ".", "own.png", str(inside / "own.png")]
    images = [{"bytes": None, "path": path} for path in paths]
    target = from_parquet(write(inside / "x.parquet", {"image": images, "label": [0, 1] * 5 + [0]}))
    kept, bad = readable(target)
    assert kept.ids == ("9", "10")
    assert len(bad) == 9
    for i in range(5):
        with pytest.raises(InputError, match=r"image \d: expected an image in the set's own folder, got the path '"):
            target.read(i)


@pytest.mark.parametrize(
    ("columns", "features", "message"),
    [
        ({"label": LABELS}, None, r"x\.parquet: expected one image column, got none; name it with --image-column"),
        ({"image": PNGS}, None, r"x\.parquet: expected one label column .*, got image; name it with"),
        ({"a": PNGS, "b": PNGS, "label": LABELS}, None, r"expected one image column, got a, b"),
        (
            {"image": PNGS, "fine": LABELS, "coarse": LABELS},
            None,
            r"expected one label column \(.*\), got image, fine, coarse; name it with --label-column",
        ),
        ({"image": PNGS, "label": LABELS / 2}, None, r"that are whole and below 2\^31, got 0\.5 for example 1"),
        ({"image": PNGS, "label": LABELS - 1}, FEATURES, r"expected class numbers from zero, got -1 for example 0"),
        ({"image": PNGS, "label": LABELS + 1}, FEATURES, r"x\.parquet: labels must lie in \[0, 3\), got 3"),
        (
            {"image": PNGS, "label": [None, *LABELS[1:]]},
            None,
            r"expected a label for every example, got none for example 0",
        ),
        (
            {"image": pa.array([], pa.binary()), "label": pa.array([], pa.int32())},
            None,
            r"expected at least one example",
        ),
    ],
)
def test_tables_without_labelled_images(tmp_path, columns, features, message):
    with pytest.raises(InputError, match=message):
        read_target(str(write(tmp_path / "x.parquet", columns, features)))


def test_columns_can_be_asked_for(tmp_path):
    path = write(tmp_path / "x.parquet", {"a": PNGS[::-1], "b": PNGS, "fine": LABELS[::-1], "coarse": LABELS})
    assert_holds_all(from_parquet(path, image="b", label="coarse"))
    with pytest.raises(InputError, match=r"expected labels in the column 'big', got the columns a, b, fine, coarse"):
        from_parquet(path, image="b", label="big")


def test_each_file_names_its_own_classes(tmp_path):
    orders = [["cat", "dog", "owl"], ["owl", "dog", "cat"], ["dog", "elk"]]
    truth = []
    for i, names in enumerate(orders):
        labels = np.arange(3) % len(names)
        features = FEATURES | {"label": {"_type": "ClassLabel", "names": names}}
        write(tmp_path / f"{i}.parquet", {"image": STRUCTS[:3], "label": labels}, features)
        truth += [names[label] for label in labels]
    write(tmp_path / "3.parquet", {"image": STRUCTS[:2], "label": ["elk", "cat"]})
    target = read_target(str(tmp_path))
    assert target.classes == ("cat", "dog", "owl", "elk")
    assert [target.classes[label] for label in target.labels] == [*truth, "elk", "cat"]


def test_files_with_and_without_names_for_their_numbers_disagree(tmp_path):
    write(tmp_path / "a.parquet", {"image": STRUCTS, "label": LABELS}, FEATURES)
    write(tmp_path / "b.parquet", {"image": STRUCTS, "label": LABELS})
    with pytest.raises(InputError, match=r"b\.parquet: expected class names as in a\.parquet, got numbers without nam"):
        read_target(str(tmp_path))


@pytest.mark.parametrize("column", ["id", "file_name", "caption", "breed", "fine", "coarse_label"])
def test_a_column_is_not_taken_for_labels_because_of_its_type(tmp_path, column):
    path = write(tmp_path / "x.parquet", {"image": STRUCTS, column: LABELS})
    with pytest.raises(InputError, match=rf"expected one label column \(.*\), got image, {column}; name it with"):
        read_target(str(path))
    assert_holds_all(from_parquet(path, label=column))


@pytest.mark.parametrize("column", ["Label", "TARGET", "category", "fine_label", "class"])
def test_a_column_named_like_labels_is_found(tmp_path, column):
    assert_holds_all(from_parquet(write(tmp_path / "x.parquet", {"id": LABELS, "image": STRUCTS, column: LABELS})))


def test_a_guessed_column_of_identifiers_is_refused(tmp_path):
    path = write(tmp_path / "x.parquet", {"image": STRUCTS, "label": [f"photograph {i}" for i in range(10)]})
    with pytest.raises(InputError, match=r"in the column 'label', got a different value in each of 10 rows; name"):
        read_target(str(path))
    assert len(from_parquet(path, label="label").classes) == 10


@pytest.mark.parametrize("asked", [None, "label"])
def test_the_type_of_labels_that_cannot_be_read_is_named(tmp_path, asked):
    labels = pa.array([0, 1] * 5, pa.int32()).cast(pa.date32())
    pq.write_table(pa.table({"image": [each["bytes"] for each in STRUCTS], "label": labels}), tmp_path / "x.parquet")
    with pytest.raises(InputError, match=r"in the column 'label', got date32\[day\]; convert the column, or name"):
        from_parquet(tmp_path / "x.parquet", label=asked)


def test_the_first_usual_name_counts_and_the_others_are_reported(tmp_path, caplog):
    columns = {"image": STRUCTS, "target": LABELS[::-1], "label": LABELS}
    assert_holds_all(from_parquet(write(tmp_path / "x.parquet", columns)))
    assert "labels are read from the column 'label'; other candidates are target" in caplog.text


def test_a_cloned_repository_of_the_hub_comes_in_splits(tmp_path, caplog):
    data = tmp_path / "pets" / "data"
    data.mkdir(parents=True)
    (tmp_path / "pets" / "README.md").write_text("---\nlicense: mit\n---\n")
    write(data / "train-00000-of-00001.parquet", {"image": STRUCTS, "label": LABELS})
    write(data / "test-00000-of-00001.parquet", {"image": STRUCTS[:4], "label": LABELS[:4]})
    target = read_target(str(tmp_path / "pets"))
    assert target.name == "pets"
    assert_holds_all(target)
    assert target.test is not None
    np.testing.assert_array_equal(target.test.labels, LABELS[:4])
    assert target.test.classes == target.classes
    assert "train is used for scores and training, test for verification" in caplog.text
    assert len(from_parquet(data, split="test")) == 4
    assert len(from_parquet(data, split="all")) == 14
    with pytest.raises(InputError, match=r"data: expected files of the split 'val', got train, test; choose one"):
        from_parquet(data, split="val")


def test_files_in_folders_named_after_splits(tmp_path):
    for split, rows in {"train": slice(None), "test": slice(4)}.items():
        (tmp_path / "pets" / split).mkdir(parents=True)
        write(tmp_path / "pets" / split / "0000.parquet", {"image": STRUCTS[rows], "label": LABELS[rows]})
    target = read_target(str(tmp_path / "pets/*/0000.parquet"))
    assert (target.name, len(target), len(target.test)) == ("pets", len(LABELS), 4)


def test_a_column_of_splits_parts_the_images(tmp_path):
    splits = ["train"] * 6 + ["test"] * 4
    path = write(tmp_path / "pets.parquet", {"image": STRUCTS, "label": LABELS, "split": splits})
    target = from_parquet(path)
    assert (len(target), len(target.test)) == (6, 4)
    np.testing.assert_array_equal(np.asarray(target.test.read(0)), IMAGES[6])
    assert from_parquet(path, split="test").fingerprint == target.test.fingerprint
    whole = from_parquet(path, split="all")
    assert_holds_all(whole)
    assert whole.fingerprint == from_parquet(path, label="label", groups="split").fingerprint


def test_numbers_of_the_test_part_are_found_among_the_training_part_s(tmp_path):
    write(tmp_path / "train.parquet", {"image": STRUCTS, "label": LABELS * 2000})
    write(tmp_path / "test.parquet", {"image": STRUCTS[:3], "label": [4000, 2000, 4000]})
    test = read_target(str(tmp_path)).test
    assert test is not None
    assert (test.classes, test.labels.tolist()) == (("0", "2000", "4000"), [2, 1, 2])


def test_a_suffix_in_capitals(tmp_path):
    path = write(tmp_path / "X.PARQUET", {"image": STRUCTS, "label": LABELS})
    assert_holds_all(read_target(str(path)))
    assert_holds_all(read_target(str(tmp_path)))


def test_files_that_are_not_there_or_not_whole(tmp_path):
    for name in ("nowhere/*.parquet", "nowhere"):
        with pytest.raises(InputError, match=r"nowhere.*: expected at least one \.parquet, got none; check the path"):
            from_parquet(tmp_path / name)
    with pytest.raises(
        InputError, match=r"target: expected a folder, .* which isn't there; correct the path, or name a"
    ):
        read_target(str(tmp_path / "nowhere.parquet"))
    (tmp_path / "text.parquet").write_bytes(b"text")
    with pytest.raises(InputError, match=r"text\.parquet: expected a Parquet file, got .*; download it again"):
        read_target(str(tmp_path / "text.parquet"))
    broken = bytearray(write(tmp_path / "broken.parquet", {"image": PNGS, "label": LABELS}).read_bytes())
    broken[4:200] = bytes(196)
    (tmp_path / "broken.parquet").write_bytes(broken)
    with pytest.raises(
        InputError, match=r"broken\.parquet: expected a whole row group 0, got .*; download the file again"
    ):
        read_target(str(tmp_path / "broken.parquet"))


@pytest.mark.parametrize("bomb", ["image", "rows"])
def test_a_small_file_that_declares_gigabytes_is_refused(tmp_path, bomb):
    path = tmp_path / "set.parquet"
    if bomb == "image":
        columns = {"image": [bytes(100_000_000)], "label": [0]}
    else:
        columns = {"image": pa.repeat(b"", 10_000_000), "label": pa.repeat(0, 10_000_000)}
    pq.write_table(pa.table(columns), path, compression="zstd", row_group_size=10_000_000)
    assert path.stat().st_size < 100_000
    with pytest.raises(InputError, match=r"expected row groups of at most 16 times the file's .* bytes, got one of"):
        from_parquet(path)


def test_files_of_other_columns(tmp_path):
    write(tmp_path / "0.parquet", {"image": PNGS, "label": LABELS})
    write(tmp_path / "1.parquet", {"image": PNGS, "kind": LABELS})
    with pytest.raises(InputError, match=r"1\.parquet: expected the columns of 0\.parquet, got no 'label'; leave the"):
        read_target(str(tmp_path))
