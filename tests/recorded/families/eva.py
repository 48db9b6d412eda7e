"""EVA and its relatives: kinds of rotary positions, attention, perceptrons, prefix tokens, norms and pools."""

from recorded.families import Case

SMALL = {"depth": 1, "embed_dim": 32, "num_heads": 2, "patch_size": 8}

CASES = {
    "absolute": Case(
        "eva_giant_patch14_224", (16, 24), {**SMALL, "img_size": [16, 24], "global_pool": "avgmax", "qkv_bias": False}
    ),
    "eva02": Case("eva02_base_patch16_clip_224", (24, 32), {**SMALL, "img_size": [24, 32]}),
    "post-norm": Case(
        "eva02_enormous_patch14_clip_224", (16, 16), {**SMALL, "img_size": 16, "mlp_ratio": 2.5, "swiglu_mlp": True}
    ),
    "registers": Case("vit_betwixt_patch16_rope_reg4_gap_256", (24, 16), {**SMALL, "img_size": [24, 16]}),
    "perception": Case(
        "vit_pe_core_tiny_patch16_384", (24, 32), {**SMALL, "img_size": [24, 32], "attn_pool_num_heads": 4}
    ),
    "mixed": Case(
        "vit_small_patch16_rope_mixed_ape_224",
        (24, 32),
        {**SMALL, "depth": 2, "embed_dim": 24, "num_heads": 3, "img_size": [24, 32]},
    ),
    "dinov3": Case("vit_small_plus_patch16_dinov3_qkvb", (24, 40), {**SMALL, "global_pool": "max"}),
    "dynamic": Case(
        "vit_pe_lang_large_patch14_448",
        (24, 40),
        {**SMALL, "img_size": 32, "dynamic_img_size": True, "rope_rotate_half": True},
    ),
    "grouped": Case(
        "vit_base_patch16_sapiens2",
        (24, 16),
        {**SMALL, "depth": 2, "num_heads": 4, "num_kv_heads": [4, 2], "init_values": 0.5},
    ),
}

TRAINED = ("eva02",)
