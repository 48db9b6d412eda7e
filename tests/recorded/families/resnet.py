"""Residual networks: every kind of stem, block, shortcut, norm, gate and anti-aliasing."""

from recorded.families import Case

SMALL = {"layers": [1, 1, 1, 1], "channels": [16, 16, 24, 32]}

CASES = {
    "plain": Case("resnet18", (51, 64), SMALL | {"layers": [1, 2, 1, 1], "act_layer": "silu"}),
    "tiered_se_grouped": Case("seresnext26t_32x4d", (67, 64), SMALL),
    "deep_eca_pooled_shortcuts": Case("ecaresnet50d", (51, 45), SMALL | {"stem_width": 16}),
    "blur": Case("resnetblur50", (67, 64), SMALL),
    "averages": Case("seresnetaa50d", (64, 32), SMALL | {"stem_width": 16}),
    "group_norm": Case("resnet50_gn", (51, 64), SMALL | {"channels": [32, 32, 32, 32]}),
    "strided_stem": Case("resnetrs50", (51, 64), SMALL | {"stem_width": 16}),
    "wide_shortcuts": Case("senet154", (51, 64), SMALL | {"channels": [32, 32, 32, 32], "base_width": 4}),
    "mixed_blocks": Case("test_resnet", (51, 64), {}),
}
TRAINED = ("tiered_se_grouped",)
