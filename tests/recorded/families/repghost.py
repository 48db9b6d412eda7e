"""RepGhost."""

from typing import Any

from recorded.families import NUM_CLASSES, Case

BLOCKS = [[[3, 16, 12, 0.0, 1]], [[5, 24, 16, 0.25, 2], [3, 32, 16, 0.25, 1]]]

CASES = {
    "plain": Case("repghostnet_100", (66, 51), {"cfgs": BLOCKS}),
    "narrow": Case("repghostnet_100", (33, 34), {"cfgs": BLOCKS[:1], "width": 0.7}),
}

TRAINED = ("plain",)


def timm_network(case: Case) -> Any:
    """The network of a case in timm, where the blocks aren't arguments."""
    from timm.models.repghost import RepGhostNet

    return RepGhostNet(num_classes=NUM_CLASSES, **case.model_args)
