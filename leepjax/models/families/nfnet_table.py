"""The members of the family of normalizer-free networks, by timm's names."""

from functools import partial
from typing import Any

from leepjax.models.families.nfnet import NormFreeNet

_F = {f"f{number}": (number + 1, 2 * number + 2, 6 * number + 6, 3 * number + 3) for number in range(8)}
_NFNET = {
    "stem_type": "deep_quad",
    "stem_chs": 128,
    "group_size": 128,
    "extra_conv": True,
    "num_features": 3072,
    "attn_layer": "se",
    "attn_kwargs": {"rd_ratio": 0.5},
    "act_layer": "gelu",
}
_DM = _NFNET | {"gamma_in_act": True, "same_padding": True, "skipinit": True}
_LIGHT = _NFNET | {
    "group_size": 64,
    "bottle_ratio": 0.25,
    "attn_kwargs": {"rd_ratio": 0.25, "rd_divisor": 8},
    "act_layer": "silu",
}
_ECA = _LIGHT | {"attn_layer": "eca", "attn_kwargs": {}}
_RESNET = {
    "channels": (256, 512, 1024, 2048),
    "stem_type": "7x7_pool",
    "stem_chs": 64,
    "bottle_ratio": 0.25,
    "act_layer": "relu",
}
_REGNET = {
    "group_size": 8,
    "width_factor": 0.75,
    "bottle_ratio": 2.25,
    "reg": True,
    "attn_layer": "se",
    "attn_kwargs": {"rd_ratio": 0.5},
}
_REGNETS = {
    0: ((1, 3, 6, 6), (48, 104, 208, 440)),
    1: ((2, 4, 7, 7), (48, 104, 208, 440)),
    2: ((2, 4, 8, 8), (56, 112, 232, 488)),
    3: ((2, 5, 9, 9), (56, 128, 248, 528)),
    4: ((2, 6, 11, 11), (64, 144, 288, 616)),
    5: ((3, 7, 14, 14), (80, 168, 336, 704)),
}
_RESNETS = {26: (2, 2, 2, 2), 50: (3, 4, 6, 3), 101: (3, 4, 23, 3)}
_GATES: dict[str, dict[str, Any]] = {"": {}, "se": {"attn_layer": "se"}, "eca": {"attn_layer": "eca"}}

ARCHITECTURES = {
    **{f"dm_nfnet_{name}": partial(NormFreeNet, depths=_F[name], **_DM) for name in list(_F)[:7]},
    **{f"nfnet_{name}": partial(NormFreeNet, depths=depths, **_NFNET) for name, depths in _F.items()},
    "nfnet_l0": partial(NormFreeNet, depths=_F["f0"], **(_LIGHT | {"num_features": 2304})),
    "eca_nfnet_l0": partial(NormFreeNet, depths=_F["f0"], **(_ECA | {"num_features": 2304})),
    **{f"eca_nfnet_l{number}": partial(NormFreeNet, depths=_F[f"f{number}"], **_ECA) for number in (1, 2, 3)},
    **{
        f"nf_regnet_b{number}": partial(
            NormFreeNet, depths=depths, channels=widths, num_features=1280 * widths[-1] // 440, **_REGNET
        )
        for number, (depths, widths) in _REGNETS.items()
    },
    **{
        f"nf_{gate}resnet{number}": partial(NormFreeNet, depths=depths, **_RESNET, **options)
        for gate, options in _GATES.items()
        for number, depths in _RESNETS.items()
    },
    "test_nfnet": partial(
        NormFreeNet,
        depths=(1, 1, 1, 1),
        channels=(32, 64, 96, 128),
        **(_LIGHT | {"num_features": 192, "group_size": 8}),
    ),
}
