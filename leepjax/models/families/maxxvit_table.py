"""The members of the MaxViT family, by timm's names."""

from functools import partial

from leepjax.models.families.maxxvit import MaxxVit
from leepjax.models.families.maxxvit_blocks import Conv, Transformer

# timm's own variants expand the input's width rather than the output's, in convolutional blocks and in attention.
_early = Conv(expand_output=False, output_bias=False, act_layer="silu")
_coat = _early._replace(stride_mode="pool", pre_norm_act=True, attn_act_layer="relu")
_max = _early._replace(attn_ratio=1 / 16)
_next = Conv(convnext=True, expand_output=False, norm_eps=1e-6)
_tensorflow = Conv(norm_eps=1e-3, act_layer="gelu_tanh", same=True)
_late = Transformer(expand_first=False)
_late_mlp = _late._replace(rel_pos_type="mlp")
_next_mlp = _late_mlp._replace(init_values=1e-6)
_v2 = _next_mlp._replace(no_block_attn=True)
_in_tensorflow = Transformer(norm_eps=1e-5, act_layer="gelu_tanh", head_first=False, rel_pos_type="bias_tf")


def _widths(first: int) -> tuple[int, ...]:
    return (first, 2 * first, 4 * first, 8 * first)


def _coatnet(conv: Conv, attention: Transformer, width: int, depths: tuple[int, ...], stem: int, **options) -> partial:
    arguments = {"embed_dim": _widths(width), "depths": depths, "stem_width": (stem // 2, stem)} | options
    return partial(MaxxVit, conv, attention, **arguments)


def _maxvit(conv: Conv, attention: Transformer, width: int, depths: tuple[int, ...], stem: int, **options) -> partial:
    return _coatnet(conv, attention, width, depths, stem, block_type=("M",) * 4, **options)


_biased = _max._replace(output_bias=True, attn_ratio=0.25)
_pooled = _biased._replace(stride_mode="pool")
_strided = _coat._replace(stride_mode="dw")
_silu = _strided._replace(attn_act_layer="silu")
_unbiased = _late._replace(shortcut_bias=False)
_batch = _unbiased._replace(norm_layer="batchnorm")
_rmlp_1 = _unbiased._replace(rel_pos_type="mlp", rel_pos_dim=384, pool_type="max")
_short, _small, _long = (2, 3, 7, 2), (3, 4, 6, 3), (2, 6, 14, 2)
_rmlp_2 = _coatnet(_silu, _next_mlp, 128, _long, 128)
_COATNETS = {
    "coatnet_pico_rw_224": _coatnet(_biased, _late, 64, (2, 3, 5, 2), 64),
    "coatnet_nano_rw_224": _coatnet(_pooled, _late, 64, _small, 64),
    "coatnet_nano_cc_224": _coatnet(_coat, _late, 64, _small, 64, block_type=("C", "C", ("C", "T"), ("C", "T"))),
    "coatnet_0_rw_224": _coatnet(_coat._replace(attn_early=True), _unbiased, 96, _short, 64),
    "coatnet_1_rw_224": _coatnet(_strided._replace(attn_early=True), _unbiased, 96, _long, 64),
    "coatnet_2_rw_224": _coatnet(_silu, _late, 128, _long, 128),
    "coatnet_3_rw_224": _coatnet(_silu, _late._replace(init_values=1e-6), 192, _long, 192),
    "coatnet_bn_0_rw_224": _coatnet(_strided._replace(attn_early=True), _batch, 96, _short, 64),
    "coatnet_rmlp_nano_rw_224": _coatnet(_biased, _late_mlp._replace(rel_pos_dim=384), 64, _small, 64),
    "coatnet_rmlp_0_rw_224": _coatnet(_strided, _late_mlp, 96, _short, 64),
    "coatnet_rmlp_1_rw_224": _coatnet(_coat._replace(attn_early=True, pool_type="max"), _rmlp_1, 96, _long, 64),
    "coatnet_rmlp_1_rw2_224": _coatnet(_strided, _late_mlp, 96, _long, 64),
    "coatnet_rmlp_2_rw_224": _rmlp_2,
    "coatnet_rmlp_2_rw_384": partial(_rmlp_2, img_size=384),
    "coatnet_rmlp_3_rw_224": _coatnet(_silu, _next_mlp, 192, _long, 192),
    "coatnext_nano_rw_224": _coatnet(_next._replace(init_values=1e-5), _late, 64, _small, 64),
    "test_coatnet": _coatnet(_pooled, _late, 32, (1, 1, 2, 1), 32, embed_dim=(32, 64, 96, 128), img_size=160),
}
_paper = partial(MaxxVit, Conv(), Transformer())
_PAPER = {
    "coatnet_0_224": partial(_paper, head_hidden_size=768),
    "coatnet_1_224": partial(_paper, depths=_long, head_hidden_size=768),
    "coatnet_2_224": partial(
        _paper, depths=_long, embed_dim=_widths(128), stem_width=(128, 128), head_hidden_size=1024
    ),
    "coatnet_3_224": partial(
        _paper, depths=_long, embed_dim=_widths(192), stem_width=(192, 192), head_hidden_size=1536
    ),
    "coatnet_4_224": partial(
        _paper, depths=(2, 12, 28, 2), embed_dim=_widths(192), stem_width=(192, 192), head_hidden_size=1536
    ),
    "coatnet_5_224": partial(
        _paper, depths=(2, 12, 28, 2), embed_dim=(256, 512, 1280, 2048), stem_width=(192, 192), head_hidden_size=2048
    ),
}
_base = _maxvit(_max, _late_mlp, 96, _long, 64, head_hidden_size=768)
_tiny = _maxvit(_max, _late, 64, (2, 2, 5, 2), 64)
_small_rmlp = _maxvit(_max, _next_mlp, 96, (2, 2, 5, 2), 64)
_base_v2 = _maxvit(_next, _v2, 128, (2, 6, 12, 2), 128)
_MAXVITS = {
    "maxvit_pico_rw_256": _maxvit(_max, _late, 32, (2, 2, 5, 2), 32, stem_width=(24, 32), img_size=256),
    "maxvit_nano_rw_256": _maxvit(_max, _late, 64, (1, 2, 3, 1), 64, img_size=256),
    "maxvit_tiny_rw_224": _tiny,
    "maxvit_tiny_rw_256": partial(_tiny, img_size=256),
    "maxvit_rmlp_pico_rw_256": _maxvit(_max, _late_mlp, 32, (2, 2, 5, 2), 32, stem_width=(24, 32), img_size=256),
    "maxvit_rmlp_nano_rw_256": _maxvit(_max, _late_mlp, 64, (1, 2, 3, 1), 64, img_size=256),
    "maxvit_rmlp_tiny_rw_256": _maxvit(_max, _late_mlp, 64, (2, 2, 5, 2), 64, img_size=256),
    "maxvit_rmlp_small_rw_224": _small_rmlp,
    "maxvit_rmlp_small_rw_256": partial(_small_rmlp, img_size=256),
    "maxvit_rmlp_base_rw_224": _base,
    "maxvit_rmlp_base_rw_384": partial(_base, img_size=384),
    "maxxvit_rmlp_nano_rw_256": _maxvit(_next, _next_mlp, 64, (1, 2, 3, 1), 64, img_size=256),
    "maxxvit_rmlp_tiny_rw_256": _maxvit(_next, _next_mlp, 64, (2, 2, 5, 2), 64, img_size=256),
    "maxxvit_rmlp_small_rw_256": _maxvit(_next, _next_mlp, 96, (2, 2, 5, 2), 96, img_size=256),
    "maxxvitv2_nano_rw_256": _maxvit(_next, _v2._replace(rel_pos_type="bias"), 96, (1, 2, 3, 1), 96, img_size=256),
    "maxxvitv2_rmlp_base_rw_224": _base_v2,
    "maxxvitv2_rmlp_base_rw_384": partial(_base_v2, img_size=384),
    "maxxvitv2_rmlp_large_rw_224": _maxvit(_next, _v2, 160, (2, 6, 16, 2), 160, head_hidden_size=1280),
    "test_maxvit": _maxvit(_max, _late, 32, (1, 1, 1, 1), 32, embed_dim=(32, 64, 96, 128), img_size=160),
}
_SIZES = {
    "tiny": (64, (2, 2, 5, 2), 64),
    "small": (96, (2, 2, 5, 2), 64),
    "base": (96, _long, 64),
    "large": (128, _long, 128),
    "xlarge": (192, _long, 192),
}
_TENSORFLOW = {
    f"maxvit_{name}_tf_{size}": _maxvit(
        _tensorflow,
        _in_tensorflow,
        width,
        depths,
        stem,
        stem_width=(stem, stem),
        stem_bias=True,
        head_hidden_size=8 * width,
        img_size=size,
    )
    for name, (width, depths, stem) in _SIZES.items()
    for size in (224, 384, 512)
}

ARCHITECTURES = {**_COATNETS, **_PAPER, **_MAXVITS, **_TENSORFLOW}
