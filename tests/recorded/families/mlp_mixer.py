"""MLP-Mixer with both perceptrons, ResMLP and gMLP."""

from recorded.families import Case

SMALL = {"num_blocks": 1, "embed_dim": 16, "img_size": [24, 32], "patch_size": 8}

CASES = {
    "mixer": Case("mixer_b16_224", (24, 32), SMALL),
    "gmixer": Case("gmixer_12_224", (24, 32), SMALL),
    "resmlp": Case("resmlp_24_224", (24, 32), SMALL),
    "gmlp": Case("gmlp_s16_224", (24, 32), SMALL),
}

TRAINED = ("mixer",)
