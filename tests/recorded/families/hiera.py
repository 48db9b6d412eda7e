"""Hiera: learned positions and those of windows, both ways to widen, local and global attention."""

from recorded.families import Case

# A unit of masks has one position after all but one of the stages, as in the published networks.
SMALL = {"stages": [1, 1, 1], "embed_dim": 16, "num_heads": 1, "q_pool": 2, "mask_unit_size": [4, 4]}

CASES = {
    "learned": Case(
        "hiera_tiny_224", (64, 32), {**SMALL, "img_size": [64, 32], "mask_unit_attn": [True, False, False]}
    ),
    "windows": Case(
        "hiera_small_abswin_256",
        (32, 64),
        {**SMALL, "img_size": [32, 64], "q_pool": 1, "global_pos_size": [6, 6]},
    ),
}

TRAINED = ("windows",)
