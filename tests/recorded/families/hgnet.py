"""HGNet and HGNetV2."""

from typing import Any

from recorded.families import NUM_CLASSES, Case

_LAST = [[24, 8, 16, 1, True, False, 3, 1], [16, 8, 24, 1, True, True, 3, 1]]
_V1 = [[16, 8, 16, 1, False, False, 3, 2], [16, 8, 24, 2, True, False, 3, 2], *_LAST]
_V2 = [[16, 8, 16, 1, False, False, 3, 2], [16, 8, 24, 2, True, True, 5, 2], *_LAST]

CASES = {
    "v1": Case("hgnet_tiny", (66, 51), {"stem_chs": [8, 8, 16], "stages": _V1, "head_hidden_size": 32}),
    "v2": Case("hgnetv2_b0", (66, 51), {"stem_chs": [8, 16], "stages": _V2, "head_hidden_size": 32, "use_lab": True}),
}

TRAINED = ("v1",)


def timm_network(case: Case) -> Any:
    """The network of a case in timm, where the stages aren't arguments."""
    from timm.models.hgnet import HighPerfGpuNet

    options = dict(case.model_args)
    stem, stages = options.pop("stem_chs"), options.pop("stages")
    config = {"stem_type": "v1" if len(stem) == 3 else "v2", "stem_chs": stem}
    config |= {f"stage{i}": stage for i, stage in enumerate(stages, 1)}
    return HighPerfGpuNet(config, num_classes=NUM_CLASSES, **options)
