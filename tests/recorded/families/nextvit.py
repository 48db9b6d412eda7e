"""Next-ViT, whose widths are fixed."""

from recorded.families import Case

CASES = {
    "small": Case("nextvit_small", (33, 40), {"depths": [1, 1, 5, 1], "stem_chs": [8, 12, 16]}),
}
