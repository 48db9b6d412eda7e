"""VGG; the widths of its stages are fixed."""

from recorded.families import Case

CASES = {
    "plain": Case("vgg11", (51, 64), {"mlp_ratio": 0.005}),
    "normed": Case("vgg11_bn", (225, 256), {"mlp_ratio": 0.005}),
}
