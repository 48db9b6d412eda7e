"""Vision transformers: every kind of block, pool, token, norm, activation and size."""

from typing import Any

from recorded.families import NUM_CLASSES, Case

TINY: dict[str, Any] = {"depth": 2, "embed_dim": 32, "num_heads": 2}
SQUARE = TINY | {"img_size": 32, "patch_size": 8}
OBLONG = TINY | {"img_size": [24, 40], "patch_size": 8}

CASES = {
    "plain": Case("vit_small_patch16_224", (32, 32), {"img_size": 32, "depth": 2}),
    "clip": Case("vit_base_patch32_clip_quickgelu_224", (24, 40), OBLONG),
    "siglip2": Case("vit_base_patch32_siglip_256", (32, 32), SQUARE | {"mlp_ratio": 2.5}),
    "pool with registers": Case("test_vit3", (32, 32), SQUARE),
    "dinov2": Case("vit_giant_patch14_reg4_dinov2", (27, 40), OBLONG | {"img_size": [27, 40]}),
    "aimv2": Case("aimv2_large_patch14_224", (24, 40), OBLONG),
    "parallel": Case("vit_large_patch14_xp_224", (32, 32), SQUARE),
    "parallel with bias": Case("vit_pwee_patch16_reg1_gap_256", (32, 32), SQUARE),
    "two at once": Case("vit_small_patch16_18x2_224", (32, 32), SQUARE | {"global_pool": "avgmax", "qk_norm": True}),
    "norms at ends": Case("vit_base_patch16_rpn_224", (32, 32), SQUARE | {"global_pool": "max"}),
    "norms of scale": Case("beit3_base_patch16_224", (32, 32), SQUARE | {"act_layer": "relu"}),
    "differential": Case("vit_dwee_patch16_reg1_gap_256", (32, 32), SQUARE | {"num_heads": 4, "qk_norm": True}),
    "differential parallel": Case("vit_dpwee_patch16_reg1_gap_256", (32, 32), SQUARE),
    "other sizes": Case("vit_intern300m_patch14_448", (40, 24), SQUARE | {"pool_include_prefix": True}),
    "no positions": Case("vit_tiny_patch16_224", (32, 32), SQUARE | {"pos_embed": "none", "fc_norm": True}),
    "deit3": Case("deit3_small_patch16_224", (24, 40), OBLONG | {"norm_layer": "rmsnorm"}),
    "larger images": Case("vit_tiny_patch16_224", (24, 40), OBLONG | {"reg_tokens": 1}, {"img_size": 32}),
    "smaller images": Case("flexivit_small", (16, 16), SQUARE | {"img_size": 16}, {"img_size": 32}),
    "hybrid stem": Case("vit_tiny_r_s16_p8_224", (34, 60), TINY | {"img_size": [34, 60], "patch_size": 3}),
    "hybrid": Case("vit_small_r26_s32_224", (32, 50), TINY | {"img_size": [32, 50], "layers": (2, 1)}),
    "distilled": Case("deit_tiny_distilled_patch16_224", (32, 32), SQUARE),
}

TRAINED = ("dinov2", "distilled")


def timm_network(case: Case) -> Any:
    """The network of timm; the names of hybrid ones fix the blocks of their convolutional stages."""
    import timm
    from timm.models import vision_transformer_hybrid as hybrid

    arguments = dict(case.model_args)
    if (layers := arguments.pop("layers", None)) is None:
        return timm.create_model(case.architecture, num_classes=NUM_CLASSES, **arguments)
    backbone = hybrid._resnetv2(layers)
    return hybrid._create_vision_transformer_hybrid(case.architecture, backbone, num_classes=NUM_CLASSES, **arguments)
