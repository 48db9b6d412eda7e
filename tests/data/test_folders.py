"""Which images of a folder are read, as which class and split, and how the others are reported."""

import io
import logging
import os

import numpy as np
import pytest
from PIL import Image

from leepjax.adapting.parts import parts
from leepjax.adapting.pretrain import open_sets
from leepjax.data.image_formats import image_formats, image_suffixes
from leepjax.data.readable import readable
from leepjax.data.readers import from_folder, read_target
from leepjax.opening.target import open_target
from leepjax.ranking.plan import make_plan
from leepjax.types import InputError


def encoded(kind="PNG", size=(4, 4), colour=0, **options):
    buffer = io.BytesIO()
    Image.new("RGB", size, (colour % 256, 0, 0)).save(buffer, kind, **options)
    return buffer.getvalue()


def make(root, *names, content=None):
    """Write an image, each with pixels of its own, at each name below a folder."""
    for name in names:
        path = root / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(encoded(colour=sum(name.encode())) if content is None else content)
    return root


@pytest.fixture
def warnings_of(caplog):
    def warnings_of(function, *arguments, **options):
        caplog.clear()
        with caplog.at_level(logging.WARNING, "leepjax"):
            given = function(*arguments, **options)
        return given, [record.getMessage() for record in caplog.records]

    return warnings_of


def in_splits(root, *splits, classes=("cat", "dog"), each=3):
    for split in splits:
        make(root, *(f"{split}/{name}/{i}.png" for name in classes for i in range(each)))
    return root


@pytest.mark.parametrize(
    ("splits", "train", "test"),
    [
        (("train", "val", "test"), "train", "test"),
        (("Train", "VALID"), "Train", "VALID"),
        (("training", "testing"), "training", "testing"),
        (("train", "dev"), "train", "dev"),
        (("TRAIN", "validation"), "TRAIN", "validation"),
        (("val", "test"), "val", "test"),
        (("train",), "train", None),
        (("test",), "test", None),
    ],
)
def test_splits_are_no_classes(tmp_path, warnings_of, splits, train, test):
    target, warned = warnings_of(read_target, str(in_splits(tmp_path / "photos", *splits)))
    assert target.classes == ("cat", "dog")
    assert {id.split("/")[0] for id in target.ids} == {train}
    assert (None if target.test is None else {id.split("/")[0] for id in target.test.ids}) == (test and {test})
    assert len(warned) == 1
    assert "read as" in warned[0]


def test_a_split_can_be_chosen(tmp_path):
    root = in_splits(tmp_path / "photos", "train", "val", "test")
    for split in ("train", "val", "test"):
        chosen = read_target(str(root), split)
        assert ({id.split("/")[0] for id in chosen.ids}, chosen.test) == ({split}, None)
    every = read_target(str(root), "all")
    assert (len(every), every.classes, every.test) == (18, ("cat", "dog"), None)
    with pytest.raises(
        InputError, match=r"photos: expected a split of train, val, test, got 'dev'; choose one of them"
    ):
        read_target(str(root), "dev")
    with pytest.raises(InputError, match=r"cat: expected split folders .* for the split 'test', got none; leave"):
        read_target(str(make(tmp_path / "cat", "a/1.png", "b/1.png")), "test")
    with pytest.raises(
        InputError, match=r"target: expected a set with splits for the split 'val', got 'digits'; leave"
    ):
        read_target("digits", "val")


def test_splits_inside_classes_and_inside_a_wrapper(tmp_path):
    inside = make(tmp_path / "a", *(f"{name}/{split}/1.png" for name in ("cat", "dog") for split in ("train", "Test")))
    assert read_target(str(inside)).classes == ("cat", "dog")
    assert read_target(str(inside)).test.ids == ("cat/Test/1.png", "dog/Test/1.png")
    wrapped = in_splits(tmp_path / "b/images", "train", "test").parent
    assert read_target(str(wrapped)).classes == ("cat", "dog")
    assert len(read_target(str(make(tmp_path / "c", "images/cat/1.png", "images/dog/1.png"))).classes) == 2


def test_a_class_called_like_a_split_beside_other_classes_is_a_class(tmp_path, warnings_of):
    target, warned = warnings_of(from_folder, make(tmp_path / "x", "test/1.png", "car/1.png", "bus/1.png"))
    assert target.classes == ("bus", "car", "test")
    assert any("test is read as a class" in each for each in warned)
    nested = from_folder(make(tmp_path / "y", "train/steam/1.png", "car/red/1.png"))
    assert nested.classes == ("car", "train")


def test_a_folder_beside_splits_is_reported(tmp_path, warnings_of):
    root = make(in_splits(tmp_path / "x", "train", "test"), "unlabelled/1.png")
    target, warned = warnings_of(from_folder, root)
    assert target.classes == ("cat", "dog")
    assert any("unlabelled" in each for each in warned)
    with pytest.raises(InputError, match=r"x: expected only images in class folders, .*unlabelled; remove"):
        from_folder(root, strict=True)


def test_a_test_part_without_classes_is_reported(tmp_path, warnings_of):
    root = make(in_splits(tmp_path / "x", "train"), "test/1.png", "test/2.png")
    target, warned = warnings_of(from_folder, root)
    assert (target.classes, target.test) == (("cat", "dog"), None)
    assert any("2 images are in no class folder" in each for each in warned)


def test_splits_that_do_not_fit_are_refused(tmp_path):
    with pytest.raises(InputError, match=r"x: expected class folders in test, got images without a class"):
        from_folder(make(tmp_path / "x", "train/1.png", "test/1.png"))
    with pytest.raises(InputError, match=r"y: expected one folder per split, got (dev|val) and"):
        from_folder(in_splits(tmp_path / "y", "val", "dev", "train"))
    root = make(in_splits(tmp_path / "z", "train", "test"), "test/cow/1.png")
    with pytest.raises(InputError, match=r"z: expected the classes of train in test, got 'cow' as well; rename or"):
        from_folder(root)
    assert from_folder(root, "test").classes == ("cat", "cow", "dog")


@pytest.mark.parametrize(
    ("names", "shown"),
    [
        (["images/train2017/1.png", "images/val2017/1.png"], "train2017 and val2017"),
        (["train/a/1.png", "train/b/1.png", "TestSet/a/1.png"], "TestSet and train"),
        (["seg_pred/1.png", *(f"seg_{split}/seg_{split}/{c}/1.png" for c in "ab" for split in ("train", "test"))],
         "seg_test and seg_train"),
        (["train/a/1.png", "eval/a/1.png", "notes/a/1.png"], "eval and train"),
    ],
)  # fmt: skip
def test_folders_that_resemble_splits_are_refused(tmp_path, names, shown):
    with pytest.raises(InputError, match=f"got {shown}, which resemble splits; rename them to these"):
        from_folder(make(tmp_path / "x", *names))


def test_classes_that_hold_equal_folders_or_words_of_splits_are_read_and_reported(tmp_path, warnings_of):
    folds = [f"fold{number}/{name}/1.png" for number in (1, 2) for name in ("cat", "dog")]
    target, warned = warnings_of(from_folder, make(tmp_path / "x", *folds))
    assert target.classes == ("fold1", "fold2")
    assert any("fold1 and fold2 are read as classes, though both hold folders called cat and dog" in s for s in warned)
    years = [f"{name}/{split}/1.png" for name in ("cat", "dog") for split in ("train2017", "val2017")]
    target, warned = warnings_of(from_folder, make(tmp_path / "z", *years))
    assert target.classes == ("cat", "dog")
    assert any("train2017 and val2017; if these are splits, call them train, val or test in every" in s for s in warned)
    trains = from_folder(make(tmp_path / "y", "bullet_train/1.png", "test_tube/1.png", "dog/1.png"))
    assert trains.classes == ("bullet_train", "dog", "test_tube")


def test_a_class_folder_is_not_taken_for_one_that_holds_all_classes(tmp_path):
    places = [f"cat/{place}/1.png" for place in ("indoor", "outdoor")]
    for name, beside in (("x", "dog/1.heic"), ("y", "dog/notes/1.jpg_large")):
        assert from_folder(make(tmp_path / name, *places, beside)).classes == ("cat", "dog")
    annotated = make(tmp_path / "z", "images/cat/1.png", "images/dog/1.png", "annotations/1.xml")
    assert from_folder(annotated).classes == ("cat", "dog")
    train = ["train/images/cat/a/1.png", "train/images/dog/1.png"]
    target = from_folder(make(tmp_path / "w", *train, "test/images/cat/a/2.png", "test/images/cat/b/2.png"))
    assert (target.classes, target.test.classes, len(target.test)) == (("cat", "dog"), ("cat", "dog"), 2)


def test_labels_mean_the_same_in_each_split(tmp_path):
    root = make(in_splits(tmp_path / "x", "train", classes=("a", "b", "c")), "test/c/1.png")
    assert from_folder(root).test.labels.tolist() == [2]
    assert from_folder(root, "test").classes == ("a", "b", "c")


def test_commands_train_and_verify_on_their_own_parts(tmp_path):
    root = in_splits(tmp_path / "x", "train", "val", "test")
    options = {"verify": "finetune", "limit": None, "seed": 0, "resamples": 0, "confidence": 0.9, "test_fraction": 0.5}
    study = make_plan("rank", root, ["leep"], strict=True, **options)
    ids = np.array(study.target.ids)
    assert {id.split("/")[0] for id in ids[study.train]} == {"train"}
    assert {id.split("/")[0] for id in ids[study.test]} == {"test"}
    for split in (parts("retrain", root), open_sets(root, None), parts("finetune", root / "train", root)):
        assert [each.ids[0].split("/")[-3:-1] for each in split][1] == ["test", "cat"]
        assert all(each.test is None and len(each) == 6 for each in split)
    alone = make_plan("rank", root, ["leep"], strict=True, split="val", **options)
    assert (len(alone.train), len(alone.test)) == (3, 3)
    assert open_target("extract", root, None, 0, True).test is None


def test_a_limit_is_shared_by_the_parts(tmp_path):
    root = in_splits(tmp_path / "x", "train", "test", each=10)
    limited = open_target("rank", root, 8, 0, False, with_test=True)
    assert (len(limited), len(limited.test)) == (4, 4)
    assert len(open_target("rank", root, 8, 0, False)) == 8


def test_a_test_set_is_needed_to_pretrain(tmp_path):
    with pytest.raises(
        InputError, match=r"pretrain: expected a test set, got none; pass one, or a folder with train and"
    ):
        open_sets(make(tmp_path / "x", "a/1.png", "b/1.png"), None)


def test_hidden_and_system_entries_are_ignored(tmp_path, warnings_of):
    names = [
        ".DS_Store",
        "Thumbs.db",
        "cat/desktop.ini",
        "__MACOSX/cat/._1.png",
        "cat/._1.png",
        "@eaDir/1.png",
        ".git/1.png",
    ]
    root = make(make(tmp_path / "x", "cat/1.png", "dog/1.png"), *names, "cat/THUMBS.DB")
    target, warned = warnings_of(from_folder, root, strict=True)
    assert (target.classes, len(target), warned) == (("cat", "dog"), 2, [])


def test_other_files_are_counted_by_suffix(tmp_path, warnings_of):
    root = make(
        tmp_path / "x", "cat/1.png", "dog/1.png", "README", "cat/a.txt", "cat/b.TXT", "labels.csv", content=b"text"
    )
    make(root, "cat/1.png", "dog/1.png")
    target, warned = warnings_of(from_folder, root)
    assert len(target) == 2
    assert "4 files are no image and left out: 2 .txt, 1 .csv, 1 without a suffix" in "".join(sorted(warned)).replace(
        "1 without a suffix, 1 .csv", "1 .csv, 1 without a suffix"
    )
    with pytest.raises(InputError, match="4 files are no image"):
        from_folder(root, strict=True)


def test_images_beside_class_folders_are_counted(tmp_path, warnings_of):
    root = make(tmp_path / "x", "cat/1.png", "dog/1.png", "2.png", "3.png")
    target, warned = warnings_of(from_folder, root)
    assert len(target) == 2
    assert any("2 images are in no class folder and left out; the first: 2.png" in each for each in warned)
    with pytest.raises(InputError, match="2 images are in no class folder"):
        from_folder(root, strict=True)


def test_folders_below_a_class_belong_to_it(tmp_path, warnings_of):
    target, warned = warnings_of(from_folder, make(tmp_path / "x", "cat/tabby/old/1.png", "dog/1.png"))
    assert (target.classes, target.labels.tolist()) == (("cat", "dog"), [0, 1])
    assert any("belong to that class, for example cat/tabby/old/1.png" in each for each in warned)


def test_a_class_without_an_image_is_named(tmp_path, warnings_of):
    root = make(tmp_path / "x", "cat/1.png", "dog/1.png", "cow/notes.txt")
    target, warned = warnings_of(from_folder, root)
    assert target.classes == ("cat", "cow", "dog")
    assert any("the class folders of cow hold no image" in each for each in warned)


def test_linked_folders_are_followed_and_loops_are_not(tmp_path, warnings_of):
    make(tmp_path / "elsewhere", "more/1.png", "more/2.png")
    root = make(tmp_path / "x", "cat/1.png", "dog/sub/1.png")
    (root / "cat/linked").symlink_to(tmp_path / "elsewhere/more")
    (root / "cat/self").symlink_to(root / "cat")
    (root / "dog/root").symlink_to(root)
    (root / "dog/sub2").symlink_to(root / "dog/sub")
    (root / "cow").symlink_to(tmp_path / "elsewhere")
    target, warned = warnings_of(from_folder, root)
    names = np.array(target.classes)[target.labels]
    assert {name: int((names == name).sum()) for name in target.classes} == {"cat": 3, "cow": 2, "dog": 1}
    assert any("3 links are to a folder that is read already" in each for each in warned)
    assert any("the classes cat and cow hold the same images, because a link leads to" in each for each in warned)


def test_a_table_beside_images_without_classes_is_named(tmp_path):
    loose = make(tmp_path / "x", "1.png", "2.png")
    (loose / "metadata.csv").write_text("file_name,label\n1.png,a\n2.png,b\n")
    with pytest.raises(
        InputError, match=r"name the table '.*/x/metadata.csv' if .*, or hf:.*/x, which reads it; other"
    ):
        from_folder(loose)
    split = make(tmp_path / "y", "train/1.png", "test/1.png")
    for each in ("train", "test"):
        (split / each / "data.csv").write_text("image,label\n1.png,a\n")
    with pytest.raises(InputError, match=r"got images without a class; name the table '.*/y/\*/data.csv' if it holds"):
        from_folder(split)


def test_masks_beside_images_are_reported(tmp_path, warnings_of):
    for images, masks, ending in (("images", "masks", ""), ("JPEGImages", "SegmentationClass", ""), ("a", "gt", "_gt")):
        root = tmp_path / images
        make(root, *(f"{images}/{i}.jpg" for i in range(3)), *(f"{masks}/{i}{ending}.png" for i in range(3)))
        _, (warned,) = warnings_of(from_folder, root)
        assert f"{images} and {masks} are read as classes, though their files have the same names" in warned
    _, warned = warnings_of(from_folder, make(tmp_path / "faces", "mask/1.png", "no_mask/1.png", "visor/2.png"))
    assert warned == []


def test_class_folders_that_differ_in_case_are_reported(tmp_path, warnings_of):
    _, warned = warnings_of(from_folder, make(tmp_path / "x", "Cat/1.png", "cat/2.png", "dog/3.png"))
    assert warned == [f"{tmp_path / 'x'}: 'Cat' and 'cat' are two classes; write them alike if they are one."]


def test_classes_that_the_test_part_lacks_are_reported(tmp_path, warnings_of):
    root = in_splits(make(tmp_path / "x", "train/unsup/1.png"), "train", "test")
    target, warned = warnings_of(from_folder, root)
    assert target.classes == target.test.classes == ("cat", "dog", "unsup")
    assert any("the part to verify on has no example of 'unsup'; leave them out" in each for each in warned)


def test_links_that_multiply_are_read_once(tmp_path):
    root = make(tmp_path / "x", "dog/1.png", "cat/0/1.png")
    for i in range(30):
        (root / f"cat/{i + 1}").mkdir()
        for name in ("left", "right"):
            (root / f"cat/{i + 1}/{name}").symlink_to(root / f"cat/{i}")
    assert len(from_folder(root)) == 2


def test_broken_links_and_pipes_are_images_that_cannot_be_decoded(tmp_path):
    root = make(tmp_path / "x", "cat/1.png", "dog/1.png")
    (root / "cat/2.png").symlink_to(root / "gone.png")
    (root / "cat/3.png").symlink_to("/dev/zero")
    os.mkfifo(root / "cat/4.png")
    os.mkfifo(root / "cat/pipe")
    kept, bad = readable(from_folder(root))
    assert (kept.ids, bad) == (("cat/1.png", "dog/1.png"), ("cat/2.png", "cat/3.png", "cat/4.png"))


def test_a_folder_that_cannot_be_listed_is_named(tmp_path, monkeypatch):
    root = make(tmp_path / "x", "cat/1.png")

    def scandir(path):
        raise PermissionError(13, "Permission denied")

    monkeypatch.setattr(os, "scandir", scandir)
    with pytest.raises(InputError, match=r"x: expected a folder that can be read, got Permission denied; change its"):
        from_folder(root)


WRITTEN = {"bmp": "BMP", "tif": "TIFF", "gif": "GIF", "avif": "AVIF", "jfif": "JPEG", "jpe": "JPEG", "ppm": "PPM"}
WRITTEN |= {
    "JP2": "JPEG2000",
    "tga": "TGA",
    "pcx": "PCX",
    "ico": "ICO",
    "mpo": "MPO",
    "": "PNG",
    "apng": "PNG",
    "dib": "DIB",
}


@pytest.mark.parametrize("suffix", WRITTEN)
def test_every_format_that_pillow_decodes_is_read(tmp_path, suffix):
    root = make(tmp_path / "x", "cat/1.png")
    make(root, f"dog/1{'.' if suffix else ''}{suffix}", content=encoded(WRITTEN[suffix], size=(16, 16), colour=255))
    target, bad = readable(from_folder(root, strict=True), strict=True)
    assert (target.labels.tolist(), bad) == ([0, 1], ())


def test_formats_that_need_another_program_are_no_images():
    assert not {"EPS", "MPEG", "WMF", "HDF5", "PDF"} & set(image_formats())
    assert not {".eps", ".ps", ".mpg", ".h5", ".pdf", ".wmf", ".txt"} & image_suffixes()
    assert {".jpg", ".jpeg", ".png", ".webp", ".bmp", ".tiff", ".mpo"} <= image_suffixes()


def test_the_first_frame_of_an_animation_is_used_and_reported_once(tmp_path, warnings_of):
    frames = [Image.new("RGB", (8, 8), colour) for colour in ((255, 0, 0), (0, 255, 0))]
    for name, kind in (("cat/1.gif", "GIF"), ("cat/2.png", "PNG"), ("dog/1.webp", "WEBP"), ("dog/2.tiff", "TIFF")):
        make(tmp_path / "x", name, content=b"")
        frames[0].save(tmp_path / "x" / name, kind, save_all=True, append_images=frames[1:])
    (target, bad), warned = warnings_of(readable, from_folder(tmp_path / "x"))
    assert not bad
    assert [each for each in warned if "frames" in each] == [
        "4 images have several frames, of which the first is used; the first: cat/1.gif."
    ]
    for i in range(4):
        assert np.abs(np.asarray(target.read(i)).astype(int) - [255, 0, 0]).max() < 10


def test_names_that_are_not_utf8_are_escaped(tmp_path):
    root = make(tmp_path / "x", "dog/1.png")
    raw = os.fsencode(root)
    os.mkdir(raw + b"/caf\xe9")
    for name in (b"/caf\xe9/1.png", b"/dog/\xe9.png", b"/dog/\xff.png"):
        with open(raw + name, "wb") as file:
            file.write(encoded() if b"\xff" not in name else b"text")
    os.rename(raw, raw + b"\xe9")
    target = from_folder(root.with_name(os.fsdecode(b"x\xe9")))
    assert (target.name, target.classes) == ("x\\xe9", ("caf\\xe9", "dog"))
    assert target.ids == ("caf\\xe9/1.png", "dog/1.png", "dog/\\xe9.png", "dog/\\xff.png")
    with pytest.raises(InputError) as raised:
        readable(target, strict=True)
    str(raised.value).encode()


def test_composed_and_decomposed_names_are_one_class(tmp_path):
    root = make(tmp_path / "x", "train/cafe\u0301/1.png", "train/b/1.png", "test/caf\u00e9/1.png")
    target = from_folder(root)
    assert target.classes == ("b", "caf\u00e9")
    assert target.test.labels.tolist() == [1]
