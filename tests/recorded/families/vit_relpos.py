"""Vision transformers with relative positions."""

from typing import Any

from recorded.families import Case

TINY: dict[str, Any] = {"depth": 2, "embed_dim": 32, "num_heads": 2, "patch_size": 8}

CASES = {
    "class token": Case("vit_relpos_medium_patch16_cls_224", (24, 40), TINY | {"img_size": [24, 40], "qk_norm": True}),
    "shared": Case("vit_srelpos_small_patch16_224", (24, 40), TINY | {"img_size": [24, 40]}),
    "norms at ends": Case("vit_relpos_base_patch32_plus_rpn_256", (32, 32), TINY | {"img_size": 32, "fc_norm": True}),
}

TRAINED = ("shared",)
