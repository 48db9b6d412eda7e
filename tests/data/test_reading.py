"""Options of reading a target: which split, which column of images and which of labels."""

import io

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from PIL import Image

from leepjax.adapting.parts import parts
from leepjax.adapting.pretrain import open_sets
from leepjax.cli.commands import app
from leepjax.cli.options import names_of
from leepjax.data.readers import read_target
from leepjax.opening.target import open_target
from leepjax.types import InputError


def two_labelled(folder):
    """A file with two columns of images and two that may be labels."""

    def image(value):
        file = io.BytesIO()
        Image.new("RGB", (4, 4), (value, value, value)).save(file, "PNG")
        return file.getvalue()

    columns = {"photo": [image(i) for i in range(6)], "mask": [image(200 + i) for i in range(6)]}
    columns |= {"colour": ["red", "blue"] * 3, "size": [0, 1, 2] * 2}
    pq.write_table(pa.table(columns), folder / "set.parquet")
    return folder / "set.parquet"


def test_columns_can_be_named_from_every_command(tmp_path):
    path = two_labelled(tmp_path)
    for open_it in (
        lambda **options: open_target("rank", path, None, 0, False, **options),
        lambda **options: parts("retrain", path, test_fraction=0.5, **options).train,
        lambda **options: open_sets(path, path, **options)[0],
    ):
        assert open_it(image_column="photo", label_column="colour").classes == ("blue", "red")
        assert np.asarray(open_it(image_column="mask", label_column="size").read(0)).max() >= 200
        with pytest.raises(InputError, match="the column 'shape'"):
            open_it(image_column="photo", label_column="shape")


@pytest.mark.parametrize("command", ["rank", "sweep", "extract", "retrain", "finetune", "pretrain"])
def test_every_command_that_opens_a_target_has_the_options_of_reading(command):
    names = {name for argument in app[command].assemble_argument_collection() for name in argument.names}
    assert {"--label-column", "--image-column", "--split", "--strict"} <= names
    assert "--no-strict" not in names


def test_columns_of_what_has_none_are_refused(tmp_path):
    for target in ("digits", (np.zeros((2, 4, 4), np.uint8), [0, 1])):
        with pytest.raises(InputError, match=r"column 'y'.*leave it out"):
            open_target("rank", target, None, 0, False, label_column="y")


def test_a_split_of_a_hub_s_set_is_chosen_by_what_it_means(tmp_path, monkeypatch):
    datasets = pytest.importorskip("datasets")
    datasets.disable_progress_bars()
    monkeypatch.chdir(tmp_path)

    def of(labels):
        features = datasets.Features({"image": datasets.Image(), "label": datasets.ClassLabel(names=["a", "b"])})
        pictures = [Image.new("RGB", (4, 4))] * len(labels)
        return datasets.Dataset.from_dict({"image": pictures, "label": labels}, features)

    datasets.DatasetDict({"train": of([0, 1]), "validation": of([0, 1, 1])}).save_to_disk("pets")
    assert len(read_target("hf:pets")) == 2
    assert len(read_target("hf:pets", "val")) == 3
    assert len(read_target("hf:pets", "all")) == 5
    assert len(read_target("hf:pets:validation", label_column="label")) == 3
    with pytest.raises(InputError, match="expected one split, got 'train' and 'val'"):
        read_target("hf:pets:train", "val")
    with pytest.raises(InputError, match="expected one label column, got 'label' and 'other'"):
        read_target("hf:pets:train:label", label_column="other")


def test_a_colon_in_the_path_of_a_hub_s_set(tmp_path, monkeypatch):
    datasets = pytest.importorskip("datasets")
    datasets.disable_progress_bars()
    features = datasets.Features({"image": datasets.Image(), "label": datasets.ClassLabel(names=["a", "b"])})
    table = datasets.Dataset.from_dict({"image": [Image.new("RGB", (4, 4))] * 2, "label": [0, 1]}, features)
    datasets.DatasetDict({"train": table, "test": table.select([0])}).save_to_disk(tmp_path / "a:b")
    assert len(read_target(f"hf:{tmp_path}/a:b")) == 2
    assert len(read_target(f"hf:{tmp_path}/a:b:test:label")) == 1
    monkeypatch.chdir(tmp_path)
    assert len(read_target("hf:a:b:test")) == 1


def test_commas_separate_names_but_not_a_path_that_exists(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "a,b").mkdir()
    assert names_of("a,b") == ["a,b"]
    assert names_of("digits, a,b,c") == ["digits", "a,b", "c"]
    assert names_of("digits,local-dir:a,b,onnx:a,b") == ["digits", "local-dir:a,b", "onnx:a,b"]
    assert names_of("c,a,b@last:cls,local-dir:a,b@last:cls") == ["c", "a,b@last:cls", "local-dir:a,b@last:cls"]
    assert names_of("hf:a,b:test:label,hf:a:x,c") == ["hf:a,b:test:label", "hf:a:x", "c"]
    assert names_of("local-dir:a,c") == ["local-dir:a", "c"]
    assert names_of(r"x\,y,z,") == ["x,y", "z"]
    assert names_of(None) is None


def test_folders_of_one_class_in_two_normal_forms_are_one_class(tmp_path):
    for layout in ("{0}", "train/{0}", "{0}/train"):
        root = tmp_path / layout.format("x").replace("/", "-")
        for number, name in enumerate(("caf\u00e9", "cafe\u0301", "tea", "tea")):
            folder = root / layout.format(name)
            folder.mkdir(parents=True, exist_ok=True)
            Image.new("RGB", (4, 4)).save(folder / f"{number}.png")
        target = read_target(str(root), "train" if "train" in layout else None)
        assert (target.classes, np.bincount(target.labels).tolist()) == (("caf\u00e9", "tea"), [2, 2])


def test_a_pointer_of_git_lfs_is_named(tmp_path):
    path = tmp_path / "train.parquet"
    path.write_text("version https://git-lfs.github.com/spec/v1\noid sha256:0\nsize 3\n")
    with pytest.raises(InputError, match="pointer of Git LFS"):
        read_target(str(path))


def test_stdin_is_an_input_of_score_and_verify():
    for command in ("score - -", "score - labels.npy", "verify - --truth t.csv", "verify s.csv --truth -"):
        name, *rest = command.split()
        assert "-" in map(str, app[name].parse_args(rest, exit_on_error=False, print_error=False)[1].arguments.values())
