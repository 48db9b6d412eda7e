"""ReXNet."""

from recorded.families import Case

SMALL = {"final_chs": 40, "initial_chs": 8, "width_mult": 0.4, "depth_mult": 0.5}

CASES = {
    "rexnet": Case("rexnet_100", (66, 51), SMALL),
    "rexnetr": Case("rexnetr_100", (66, 51), SMALL | {"act_layer": "relu", "dw_act_layer": "silu", "se_ratio": 0.25}),
}

TRAINED = ("rexnet",)
