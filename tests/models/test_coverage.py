"""How many of the checkpoints in timm's table of ImageNet results open, and that they are built as timm builds them."""

import sys

import pytest
from places import ROOT
from profiles import is_long
from timm_checkpoints import checkpoints, misfit, refusal

sys.path.insert(0, str(ROOT / "docs"))
import timm_coverage

OPEN = [record for record in checkpoints() if refusal(record) is None]
# RepViT's two heads, each after a norm, are folded into one linear layer when weights are loaded: test_repvit.py.
FOLDED = ("repvit",)
# Checkpoints of one architecture differ in their pixels and classes alone; the smallest of a family is the quickest.
ONE_OF_EACH = {(record["config"]["architecture"], record["shapes"]): record for record in OPEN}
ONE_OF_EACH = [record for record in ONE_OF_EACH.values() if record["family"] not in FOLDED]
SMALLEST = {r["family"]: r for r in sorted(ONE_OF_EACH, key=lambda record: -record["parameters"])}.values()


def test_most_checkpoints_open():
    """Of all, and of the 300 that are most accurate."""
    best = {record["name"] for record in checkpoints()[: timm_coverage.FIRST]}
    assert len(OPEN) >= 0.6 * len(checkpoints())
    assert sum(record["name"] in best for record in OPEN) >= 0.5 * len(best)


def test_the_page_counts_them():
    assert timm_coverage.page() == timm_coverage.PAGE.read_text("utf-8"), "run python docs/timm_coverage.py"


@pytest.mark.parametrize("record", ONE_OF_EACH if is_long() else list(SMALLEST)[::4], ids=lambda record: record["name"])
def test_tensors_have_timms_names_and_shapes(record):
    assert misfit(record) is None
