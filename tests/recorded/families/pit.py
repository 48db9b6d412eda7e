"""PiT with one head and with two."""

from recorded.families import Case

SMALL = {"base_dims": [16, 16], "depth": [1, 1], "heads": [1, 2], "patch_size": 8, "stride": 4}

CASES = {
    "plain": Case("pit_ti_224", (32, 40), {**SMALL, "img_size": [32, 40]}),
    "distilled": Case("pit_b_distilled_224", (36, 28), {**SMALL, "img_size": [36, 28], "mlp_ratio": 3.0}),
}

TRAINED = ("plain",)
