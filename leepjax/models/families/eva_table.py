"""The members of the family of EVA, by timm's names: the arguments of ``Eva``."""

from collections.abc import Mapping
from typing import Any

Arguments = Mapping[str, Any]

_GIANT = {"patch_size": 14, "embed_dim": 1408, "depth": 40, "num_heads": 16, "mlp_ratio": 6144 / 1408}

# EVA-02
_ROPE_16 = {"use_rot_pos_emb": True, "ref_feat_shape": (16, 16)}
_EVA02 = {"patch_size": 14, "mlp_ratio": 4 * 2 / 3, "swiglu_mlp": True, **_ROPE_16}
_APART = {"qkv_fused": False, "scale_mlp": True}
_CLIP = {**_APART, "scale_attn_inner": True, "pool": "token"}
_TINY = {**_EVA02, "embed_dim": 192, "num_heads": 3}
_SMALL = {**_EVA02, "embed_dim": 384, "num_heads": 6}
_BASE = {**_EVA02, "embed_dim": 768, "num_heads": 12}
_LARGE = {**_EVA02, "embed_dim": 1024, "num_heads": 16, "depth": 24}

# timm's own ViTs with rotary positions and registers
_REGISTERS = {
    "img_size": 256,
    "init_values": 1e-5,
    "class_token": False,
    "num_reg_tokens": 1,
    "use_abs_pos_emb": False,
    **_ROPE_16,
}

# Perception Encoder
_PE = {
    "attn_type": "rope",
    "use_pre_transformer_norm": True,
    "use_rot_pos_emb": True,
    "rope_grid_indexing": "xy",
    "norm_layer": "layernorm:1e-5",
}
_PE_CORE = {**_PE, "pool": "map", "attn_pool_num_heads": 8, "attn_pool_mlp_ratio": 4.0}
_PE_PLAIN = {**_PE, "use_post_transformer_norm": False, "use_fc_norm": False, "ref_feat_shape": (32, 32)}
_PE_GIGANTIC = {
    "img_size": 448,
    "patch_size": 14,
    "embed_dim": 1536,
    "num_heads": 16,
    "mlp_ratio": 8960 / 1536,
    "class_token": False,
    "ref_feat_shape": (32, 32),
}

# Heo et al.'s rotary ViTs
_ROPE_VIT = {
    "attn_type": "rope",
    "init_values": 1e-5,
    "pool": "token",
    "use_abs_pos_emb": False,
    "use_rot_pos_emb": True,
    "rope_grid_indexing": "xy",
    "rope_temperature": 100.0,
}
_MIXED = {"rope_type": "mixed", "rope_temperature": 10.0}
_APE = {"no_embed_class": True, "use_abs_pos_emb": True}

# DINOv3, LingBot-Vision and Sapiens2
_DINOV3 = {
    "img_size": 256,
    "dynamic_img_size": True,
    "qkv_bias": False,
    "init_values": 1e-5,
    "rope_type": "dinov3",
    "rope_temperature": 100.0,
    "rope_rotate_half": True,
    "use_rot_pos_emb": True,
    "use_abs_pos_emb": False,
    "num_reg_tokens": 4,
    "use_fc_norm": False,
    "norm_layer": "layernorm:1e-5",
}
_PLUS = {"swiglu_mlp": True, "swiglu_align_to": 8}
_LINGBOT = {**_DINOV3, "img_size": 512, "qkv_bias": True, "pool": "token"}
_SAPIENS2 = {
    **_DINOV3,
    "img_size": (1024, 768),
    "qkv_fused": False,
    "qkv_bias": True,
    "qk_norm": True,
    "attn_type": "rope",
    "pool": "token",
    "swiglu_mlp": True,
    "init_values": 1.0,
    "attn_only_layer_scale": True,
    "num_reg_tokens": 8,
    "norm_layer": "rmsnorm",
}

_VIT_SIZES = {
    "tiny": {"embed_dim": 192, "num_heads": 3},
    "small": {"embed_dim": 384, "num_heads": 6},
    "base": {"embed_dim": 768, "num_heads": 12},
    "large": {"embed_dim": 1024, "num_heads": 16, "depth": 24},
}
_DINOV3_SIZES = {
    **_VIT_SIZES,
    "small_plus": {**_VIT_SIZES["small"], **_PLUS},
    "huge_plus": {"embed_dim": 1280, "num_heads": 20, "depth": 32, **_PLUS},
}


def _pe_core(size: str, patch: int, image: int) -> Arguments:
    reference = {"ref_feat_shape": (image // patch,) * 2, "rope_grid_offset": 1.0}
    return {**_PE_CORE, **_VIT_SIZES[size], **reference, "img_size": image, "patch_size": patch}


def _pe_spatial(size: str, patch: int, image: int) -> Arguments:
    return {**_PE_PLAIN, **_VIT_SIZES[size], "rope_grid_offset": 1.0, "img_size": image, "patch_size": patch}


def _sapiens2(width: int, depth: int, heads: int, kv_heads: int) -> Arguments:
    """All but the first and last eight blocks share keys and values among heads."""
    grouped = tuple(heads if i < 8 or i >= depth - 8 else kv_heads for i in range(depth))
    return {**_SAPIENS2, "embed_dim": width, "depth": depth, "num_heads": heads, "num_kv_heads": grouped}


TABLE: Mapping[str, Arguments] = {
    "eva_giant_patch14_224": _GIANT,
    "eva_giant_patch14_336": {**_GIANT, "img_size": 336},
    "eva_giant_patch14_560": {**_GIANT, "img_size": 560},
    "eva02_tiny_patch14_224": _TINY,
    "eva02_small_patch14_224": _SMALL,
    "eva02_base_patch14_224": {**_BASE, **_APART},
    "eva02_large_patch14_224": {**_LARGE, **_APART},
    "eva02_tiny_patch14_336": {**_TINY, "img_size": 336},
    "eva02_small_patch14_336": {**_SMALL, "img_size": 336},
    "eva02_base_patch14_448": {**_BASE, **_APART, "img_size": 448},
    "eva02_large_patch14_448": {**_LARGE, **_APART, "img_size": 448},
    "eva_giant_patch14_clip_224": {**_GIANT, "pool": "token"},
    "eva02_base_patch16_clip_224": {**_BASE, **_CLIP, "patch_size": 16},
    "eva02_large_patch14_clip_224": {**_LARGE, **_CLIP},
    "eva02_large_patch14_clip_336": {**_LARGE, **_CLIP, "img_size": 336},
    "eva02_enormous_patch14_clip_224": {
        "patch_size": 14,
        "embed_dim": 1792,
        "depth": 64,
        "num_heads": 16,
        "mlp_ratio": 15360 / 1792,
        "use_post_norm": True,
        "pool": "token",
    },
    "vit_medium_patch16_rope_reg1_gap_256": {**_REGISTERS, "embed_dim": 512, "num_heads": 8},
    "vit_mediumd_patch16_rope_reg1_gap_256": {
        **_REGISTERS,
        "embed_dim": 512,
        "num_heads": 8,
        "depth": 20,
        "qkv_bias": False,
    },
    "vit_betwixt_patch16_rope_reg4_gap_256": {**_REGISTERS, "embed_dim": 640, "num_heads": 10, "num_reg_tokens": 4},
    "vit_base_patch16_rope_reg1_gap_256": {**_REGISTERS, "embed_dim": 768, "num_heads": 12},
    "vit_pe_core_tiny_patch16_384": _pe_core("tiny", 16, 384),
    "vit_pe_core_small_patch16_384": _pe_core("small", 16, 384),
    "vit_pe_core_base_patch16_224": _pe_core("base", 16, 224),
    "vit_pe_core_large_patch14_336": _pe_core("large", 14, 336),
    "vit_pe_core_gigantic_patch14_448": {**_PE_CORE, **_PE_GIGANTIC, "depth": 50},
    "vit_pe_lang_large_patch14_448": {**_pe_spatial("large", 14, 448), "depth": 23, "init_values": 0.1},
    "vit_pe_lang_gigantic_patch14_448": {**_PE_PLAIN, **_PE_GIGANTIC, "depth": 47, "init_values": 0.1},
    "vit_pe_spatial_tiny_patch16_512": _pe_spatial("tiny", 16, 512),
    "vit_pe_spatial_small_patch16_512": _pe_spatial("small", 16, 512),
    "vit_pe_spatial_base_patch16_512": _pe_spatial("base", 16, 512),
    "vit_pe_spatial_large_patch14_448": _pe_spatial("large", 14, 448),
    "vit_pe_spatial_gigantic_patch14_448": {**_PE_PLAIN, **_PE_GIGANTIC, "depth": 50, "init_values": 0.1},
    **{
        f"vit_{size}_patch16_rope_{name}224": {**_ROPE_VIT, **_VIT_SIZES[size], **options}
        for name, options in (("", {}), ("mixed_", _MIXED), ("ape_", _APE), ("mixed_ape_", {**_MIXED, **_APE}))
        for size in ("small", "base", "large")
    },
    **{
        f"vit_{size}_patch16_dinov3{name}": {**_DINOV3, **arguments, "qkv_bias": bool(name)}
        for size, arguments in _DINOV3_SIZES.items()
        for name in ("", "_qkvb")
        if (size, name) != ("tiny", "")
    },
    "vit_7b_patch16_dinov3": {
        **_DINOV3,
        "embed_dim": 4096,
        "depth": 40,
        "num_heads": 32,
        "mlp_ratio": 2.0,
        "swiglu_mlp": True,
        "swiglu_align_to": 64,
    },
    "vit_small_patch16_lingbot": {**_LINGBOT, **_VIT_SIZES["small"]},
    "vit_base_patch16_lingbot": {**_LINGBOT, **_VIT_SIZES["base"]},
    "vit_large_patch16_lingbot": {**_LINGBOT, **_VIT_SIZES["large"]},
    "vit_giant_patch16_lingbot": {
        **_LINGBOT,
        **_PLUS,
        "embed_dim": 1536,
        "depth": 40,
        "num_heads": 24,
        "qkv_bias": False,
        "mlp_ratio": 4 * 2 / 3,
    },
    "vit_base_patch16_sapiens2": _sapiens2(768, 12, 12, 6),
    "vit_large_patch16_sapiens2": _sapiens2(1024, 24, 16, 8),
    "vit_huge_patch16_sapiens2": _sapiens2(1280, 32, 16, 8),
    "vit_giant_patch16_sapiens2": _sapiens2(1536, 40, 24, 12),
    "vit_5b_patch16_sapiens2": _sapiens2(2432, 56, 32, 16),
}
