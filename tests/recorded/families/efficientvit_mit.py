"""EfficientViT of MIT."""

from recorded.families import Case

CASES = {
    "b": Case(
        "efficientvit_b0", (67, 64), {"widths": [8, 12, 16, 32, 32], "depths": [1, 2, 1, 1, 1], "head_widths": [40, 48]}
    ),
    "l": Case(
        "efficientvit_l1",
        (64, 75),
        {"widths": [8, 12, 16, 16, 32], "depths": [1, 1, 1, 1, 1], "head_dim": 16, "head_widths": [40, 48]},
    ),
}

TRAINED = ("b",)
