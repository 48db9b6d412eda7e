"""RegNets; four stages follow from these arguments."""

from recorded.families import Case

SMALL = {"w0": 8, "wa": 24.0, "wm": 2.0, "depth": 5, "group_size": 8, "stem_width": 8}

CASES = {
    "x": Case("regnetx_004", (51, 64), SMALL),
    "x_torchvision": Case("regnetx_004_tv", (33, 40), SMALL | {"wa": 16.0, "wm": 1.8, "group_size": 36}),
    "y": Case("regnety_032", (51, 64), SMALL | {"downsample": "avg"}),
    "v": Case("regnetv_040", (33, 40), SMALL),
    "v_pooled": Case("regnetv_064", (51, 40), SMALL),
    "z": Case("regnetz_040", (33, 40), SMALL | {"bottle_ratio": 2.0, "group_size": 16}),
    "z_wide": Case("regnetz_005", (51, 40), SMALL | {"num_features": 24, "bottle_ratio": 1.0}),
}
TRAINED = ("y",)
