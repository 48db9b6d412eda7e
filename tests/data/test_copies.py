"""Examples that occur more than once, or in both parts, are counted, whatever form they have."""

import io

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from PIL import Image

from leepjax.adapting.parts import parts
from leepjax.opening.settings import open_with_test
from leepjax.types import JudgingSettings, TaskReading

IMAGES = np.random.default_rng(0).integers(0, 256, (6, 4, 4, 3), np.uint8)
LABELS = np.arange(6) % 2
REPEATED = [0, 1, 2, 3, 0]
"""Two images are equal, and three are others."""


def folder(path, rows):
    for at, row in enumerate(rows):
        file = path / str(LABELS[row]) / f"{at}.png"
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_bytes(png(row))
    return str(path)


def parquet(path, rows):
    pq.write_table(pa.table({"image": [png(row) for row in rows], "label": LABELS[rows], "who": rows}), path)
    return str(path)


def npz(path, rows):
    np.savez(path, images=IMAGES[rows], labels=LABELS[rows], who=np.array(rows))
    return str(path)


def pairs(_, rows):
    return [(Image.fromarray(IMAGES[row]), int(LABELS[row])) for row in rows]


def texts(_, rows):
    return [f"text {row}" for row in rows], LABELS[rows]


def png(row):
    buffer = io.BytesIO()
    Image.fromarray(IMAGES[row]).save(buffer, "PNG")
    return buffer.getvalue()


def warned(caplog, target, **settings):
    caplog.clear()
    open_with_test("rank", target, JudgingSettings(**settings), TaskReading())
    return caplog.text


@pytest.mark.parametrize("form", [folder, parquet, npz, pairs, texts])
def test_copies_are_counted_in_every_form(tmp_path, caplog, form):
    noun = "texts" if form is texts else "images"
    suffix = {parquet: ".parquet", npz: ".npz"}.get(form, "")
    found = warned(caplog, form(tmp_path / f"a{suffix}", REPEATED))
    assert f"rank: 2 of 5 {noun} occur more than once, the first: 0" in found.replace("0/0.png", "0")
    distinct = form(tmp_path / f"b{suffix}", [0, 1, 2, 3])
    assert not warned(caplog, distinct)
    assert not warned(caplog, distinct, test=form(tmp_path / f"c{suffix}", [4, 5]))
    found = warned(caplog, distinct, test=form(tmp_path / f"d{suffix}", [4, 3]))
    assert f"rank: 1 of 2 test {noun} are in the training part, too" in found


def test_copies_of_one_group_and_of_an_archive_s_two_forms(tmp_path, caplog):
    grouped = parquet(tmp_path / "a.parquet", REPEATED)
    assert not warned(caplog, grouped, groups="who")
    assert "2 of 5 images" in warned(caplog, grouped)
    same = folder(tmp_path / "b", [4, 3])
    assert "1 of 2 test images are in the training part, too" in warned(caplog, grouped, test=same)
    assert not warned(caplog, npz(tmp_path / "c.npz", REPEATED), groups="who")


def test_copies_are_counted_before_training_too(tmp_path, caplog):
    parts("finetune", npz(tmp_path / "all.npz", [0, 0, 1, 1]), test_fraction=0.5)
    assert "of 2 test images are in the training part, too" in caplog.text
