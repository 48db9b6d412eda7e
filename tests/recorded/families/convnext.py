"""ConvNeXt and ConvNeXt V2."""

from recorded.families import Case

_SMALL = {"depths": [1, 1, 1, 1], "dims": [8, 16, 24, 32], "kernel_sizes": [3, 3, 3, 3]}

CASES = {
    "v1": Case("convnext_tiny", (67, 72), _SMALL | {"head_hidden_size": 20, "kernel_sizes": [7, 5, 3, 3]}),
    "v2": Case("convnextv2_tiny", (32, 32), _SMALL | {"patch_size": 2, "norm_eps": 1e-5}),
    "v2-convolutions": Case("convnextv2_atto", (64, 64), _SMALL | {"global_pool": "avgmax"}),
    "tiered": Case("convnext_atto_ols", (64, 67), _SMALL | {"head_norm_first": True, "conv_bias": False}),
    "overlap": Case("convnext_nano_ols", (61, 64), _SMALL | {"norm_layer": "rmsnorm2d", "act_layer": "gelu_tanh"}),
    "simple-norm": Case("convnext_zepto_rms_ols", (64, 64), _SMALL),
}

TRAINED = ("v2",)
