"""MaxViT and CoAtNet, of two stages only."""

from recorded.families import Case

_SMALL = {"embed_dim": [32, 64], "depths": [1, 2], "stem_width": [8, 16], "img_size": 64}
_MAXVIT = _SMALL | {"depths": [1, 1], "block_type": ["M", "M"]}
_COATNET = _SMALL | {"block_type": ["C", "T"]}

CASES = {
    "tensorflow": Case("maxvit_tiny_tf_224", (64, 96), _MAXVIT | {"img_size": [64, 96], "head_hidden_size": 24}),
    "maxvit": Case("maxvit_tiny_rw_224", (64, 64), _MAXVIT),
    "perceptron": Case("maxvit_rmlp_small_rw_224", (64, 64), _MAXVIT | {"head_hidden_size": 24}),
    "convnext": Case("maxxvitv2_nano_rw_256", (64, 64), _MAXVIT),
    "coatnet": Case("coatnet_0_rw_224", (64, 64), _COATNET),
    "coatnet-max": Case("coatnet_rmlp_1_rw_224", (64, 64), _COATNET),
    "coatnet-batch": Case("coatnet_bn_0_rw_224", (64, 64), _COATNET),
    "coatnet-paper": Case("coatnet_0_224", (64, 64), _COATNET | {"head_hidden_size": 24}),
    "mixed": Case("coatnet_nano_cc_224", (64, 64), _SMALL | {"block_type": ["C", ["C", "T"]], "global_pool": "max"}),
    "coatnext": Case("coatnext_nano_rw_224", (64, 64), _COATNET),
}

TRAINED = ("maxvit",)
