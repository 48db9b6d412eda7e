"""PoolFormer of both versions, ConvFormer and CAFormer."""

from recorded.families import Case

_SMALL = {"depths": [1, 1, 1, 1], "dims": [8, 12, 16, 24]}

CASES = {
    "pool": Case("poolformer_s12", (67, 72), _SMALL),
    "pool-v2": Case("poolformerv2_s12", (64, 72), _SMALL | {"depths": [1, 1, 2, 1]}),
    "conv": Case("convformer_s18", (64, 61), _SMALL),
    "attention": Case("caformer_s18", (65, 64), _SMALL | {"dims": [8, 12, 32, 64], "global_pool": "max"}),
}

TRAINED = ("pool",)
