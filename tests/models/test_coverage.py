"""How many of the checkpoints in timm's table of ImageNet results open, and that they are built as timm builds them."""

import sys

import pytest
from places import ROOT
from profiles import is_long
from timm_checkpoints import checkpoints, misfit, refusal

sys.path.insert(0, str(ROOT / "docs"))
import timm_coverage

from leepjax.models.architectures import ARCHITECTURES

# RepViT's two heads, each after a norm, are folded into one linear layer when weights are loaded: test_repvit.py.
FOLDED = ("repvit",)
BUILT = [each for each in checkpoints() if each["config"]["architecture"] in ARCHITECTURES]
# Checkpoints of one architecture differ in their pixels and classes alone; the smallest of a family is the quickest.
ONE_OF_EACH = {(each["config"]["architecture"], each["shapes"]): each for each in BUILT if each["family"] not in FOLDED}
SMALLEST = {each["family"]: each for each in sorted(ONE_OF_EACH.values(), key=lambda each: -each["parameters"])}
TENSORS = ONE_OF_EACH.values() if is_long() else list(SMALLEST.values())[::8]


def test_most_checkpoints_open():
    """Of all, and of the 300 that are most accurate."""
    opened = [refusal(record) is None for record in checkpoints()]
    best = opened[: timm_coverage.FIRST]
    assert sum(opened) >= 0.6 * len(opened)
    assert sum(best) >= 0.5 * len(best)


def test_the_page_counts_them():
    assert timm_coverage.page() == timm_coverage.PAGE.read_text("utf-8"), "run python docs/timm_coverage.py"


@pytest.mark.parametrize("record", TENSORS, ids=lambda record: record["name"])
def test_tensors_have_timms_names_and_shapes(record):
    if (why := refusal(record)) is not None:
        pytest.skip(why)
    assert misfit(record) is None
