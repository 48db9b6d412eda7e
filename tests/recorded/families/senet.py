"""The first squeeze-and-excitation networks; their widths are fixed."""

from recorded.families import Case

SMALL = {"layers": [1, 1, 1, 1]}

CASES = {
    "basic": Case(
        "legacy_seresnet18",
        (33, 40),
        SMALL | {"input_3x3": True, "inplanes": 32, "downsample_kernel_size": 3, "downsample_padding": 1},
    ),
    "bottleneck": Case("legacy_seresnet50", (37, 32), SMALL),
    "grouped": Case("legacy_seresnext26_32x4d", (32, 37), SMALL),
}

TRAINED = ("basic",)
