"""Groups of images come from a column, a key or folders, and none is on both sides."""

import io

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from PIL import Image

from leepjax.data.groups import group_numbers
from leepjax.data.target import from_arrays
from leepjax.ranking.bootstrap import bootstrap_weights
from leepjax.ranking.plan import make_plan
from leepjax.types import InputError

GROUPS = [f"p{i}" for i in range(6) for _ in range(4)]
LABELS = np.arange(24) % 2
IMAGES = np.random.default_rng(0).integers(0, 256, (24, 8, 8), np.uint8)


@pytest.fixture(scope="module")
def targets(tmp_path_factory):
    """The same images and groups in each form that holds groups: path and the groups' name."""
    root = tmp_path_factory.mktemp("groups")
    encoded = []
    for i, (image, label, group) in enumerate(zip(IMAGES, LABELS, GROUPS, strict=True)):
        path = root / "folder" / str(label) / group / f"{i:02}.png"
        path.parent.mkdir(parents=True, exist_ok=True)
        Image.fromarray(image).save(path)
        encoded.append(path.read_bytes())
    np.savez(root / "set.npz", images=IMAGES, labels=LABELS, patient=np.array(GROUPS))
    table = pa.table({"image": encoded, "label": LABELS, "patient": GROUPS})
    pq.write_table(table, root / "set.parquet", row_group_size=7)
    return {
        "folder": (root / "folder", "folder"),
        "npz": (root / "set.npz", "patient"),
        "parquet": (root / "set.parquet", "patient"),
    }


@pytest.mark.parametrize("form", ["folder", "npz", "parquet"])
@pytest.mark.parametrize("verify", ["ridge", "finetune"])
def test_no_group_is_on_both_sides(targets, form, verify):
    target, groups = targets[form]
    plan = make_plan("rank", target, ["leep"], groups=groups, verify=verify)
    assert sorted(np.unique(plan.target.groups)) == sorted(np.unique(group_numbers("", GROUPS)))
    for folds in plan.folds:
        sides = {tuple(np.unique(folds[plan.target.groups == group])) for group in np.unique(plan.target.groups)}
        assert all(len(side) == 1 for side in sides)
        assert len(sides) == (5 if verify == "ridge" else 2)
    limited = make_plan("rank", target, ["leep"], groups=groups, verify=verify, limit=12).target
    assert len(limited.groups) == 12


def test_the_groups_are_part_of_what_a_record_depends_on(targets):
    target, groups = targets["npz"]
    plain, grouped = (make_plan("rank", target, ["leep"], groups=name, verify="none") for name in (None, groups))
    assert plain.target.groups is None
    assert plain.split != grouped.split


def test_a_resample_holds_groups_whole():
    groups = np.array([5, 5, -1, -1, -1, 7])
    weights = bootstrap_weights(6, 50, 0, groups)
    assert (weights[:, 0] == weights[:, 1]).all()
    assert (weights[:, 2:5] == weights[:, 2:3]).all()
    assert (weights[:, [0, 2, 5]].sum(axis=1) == 3).all()


def test_a_group_in_both_given_parts_is_refused(tmp_path):
    for name, groups in (("a", GROUPS), ("b", ["p5"] * 24), ("c", ["q"] * 24)):
        np.savez(tmp_path / f"{name}.npz", images=IMAGES, labels=LABELS, patient=np.array(groups))
    with pytest.raises(InputError, match="rank: expected each group in one part, got 24 test images whose group"):
        make_plan("rank", tmp_path / "a.npz", ["leep"], groups="patient", test=tmp_path / "b.npz")
    make_plan("rank", tmp_path / "a.npz", ["leep"], groups="patient", test=tmp_path / "c.npz")
    with pytest.raises(InputError, match="rank: expected at least two groups, got one"):
        make_plan("rank", tmp_path / "c.npz", ["leep"], groups="patient")


@pytest.mark.parametrize(
    ("form", "groups", "message"),
    [
        ("folder", "patient", "target: expected groups 'folder' of a folder, got 'patient'; pass that"),
        ("npz", "doctor", "expected arrays .* got no 'doctor'; add it with numpy.savez"),
        ("npz", "images", r"expected 24 groups in 'images', one per image, got shape \(24, 8, 8\)"),
        ("parquet", "doctor", "expected groups in the column 'doctor', got the columns image, label, patient; name"),
        ("digits", "patient", "target: expected a set with groups for 'patient', got 'digits'; leave the groups out"),
        ("data", "patient", "rank: expected a target with names for the groups 'patient', got data; set the groups"),
    ],
)
def test_missing_groups_are_one_sentence(targets, form, groups, message):
    others = {"digits": "digits", "data": from_arrays(IMAGES, LABELS)}
    target = targets[form][0] if form in targets else others[form]
    with pytest.raises(InputError, match=message):
        make_plan("rank", target, ["leep"], groups=groups)


def test_images_without_a_group_are_refused(tmp_path):
    for path in ("a/p/1.png", "b/2.png"):
        (tmp_path / path).parent.mkdir(parents=True)
        Image.fromarray(IMAGES[0]).save(tmp_path / path)
    with pytest.raises(InputError, match=r"expected images at <class>/<group>/<image> .*, got 'b/2.png'; make one"):
        make_plan("rank", tmp_path, ["leep"], groups="folder")
    content = io.BytesIO()
    Image.fromarray(IMAGES[0]).save(content, "png")
    table = pa.table({"image": [content.getvalue()] * 4, "label": [0, 1, 0, 1], "patient": ["a", None, "b", "c"]})
    pq.write_table(table, tmp_path / "x.parquet")
    with pytest.raises(InputError, match="expected a group for each example, got none for example 1; fill it in"):
        make_plan("rank", tmp_path / "x.parquet", ["leep"], groups="patient")
