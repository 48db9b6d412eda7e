"""DenseNets."""

from recorded.families import Case

SMALL = {"growth_rate": 8, "block_config": [1, 2, 1, 1]}

CASES = {
    "plain": Case("densenet121", (51, 64), SMALL),
    "blur": Case("densenetblur121d", (67, 64), SMALL | {"bn_size": 2, "act_layer": "silu"}),
    "blur_between": Case("densenetblur121d", (64, 67), SMALL | {"aa_stem_only": False}),
}

TRAINED = ("plain",)
