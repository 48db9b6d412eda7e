"""Twins: attention to reduced maps, and within windows with padding."""

from recorded.families import Case

SMALL = {"embed_dims": [16, 32], "num_heads": [1, 2], "mlp_ratios": [2, 3], "depths": [1, 2], "sr_ratios": [2, 1]}

CASES = {
    "pcpvt": Case("twins_pcpvt_small", (32, 48), {**SMALL, "img_size": [32, 48]}),
    "svt": Case("twins_svt_small", (32, 40), {**SMALL, "img_size": [32, 40], "wss": [3, 2]}),
}

TRAINED = ("pcpvt",)
