"""MobileViT and MobileViTv2; on odd maps, which are resized to whole patches, and on even ones."""

from typing import Any

from recorded.families import NUM_CLASSES, Case

V1 = {"stages": [[1, 16, 1, 2.0], [2, 24, 2, 2.0, 16, 2]], "stem_chs": 8, "num_features": 40}
V2 = {"stages": [[1, 16, 1, 2.0], [2, 16, 2, 2.0, 8, 2]], "stem_chs": 8}

CASES = {
    "v1": Case("mobilevit_xxs", (33, 49), V1),
    "v1 whole": Case("mobilevit_xxs", (32, 24), V1),
    "v2": Case("mobilevitv2_050", (33, 49), V2),
    "v2 whole": Case("mobilevitv2_050", (32, 24), V2),
}

TRAINED = ("v1",)


def timm_network(case: Case) -> Any:
    """The network of a case in timm, where the blocks aren't arguments."""
    from timm.models.byobnet import ByobNet, ByoModelCfg
    from timm.models.mobilevit import _inverted_residual_block, _mobilevit_block, _mobilevitv2_block

    def blocks(depth: int, channels: int, stride: int, expansion: float, width: int = 0, layers: int = 0) -> Any:
        common = {"d": depth, "c": channels, "s": stride, "br": expansion}
        if not layers:
            return _inverted_residual_block(**common)
        if case.architecture.startswith("mobilevitv2"):
            return _mobilevitv2_block(**common, transformer_depth=layers, transformer_br=width / channels)
        return _mobilevit_block(**common, transformer_dim=width, transformer_depth=layers, patch_size=2)

    arguments = dict(case.model_args)
    stages = tuple(blocks(*stage) for stage in arguments.pop("stages"))
    config = ByoModelCfg(blocks=stages, stem_type="3x3", stem_pool="", downsample="", act_layer="silu", **arguments)
    return ByobNet(config, num_classes=NUM_CLASSES)
