"""Vision transformers."""

from recorded.families import Case

CASES = {
    "plain": Case("vit_small_patch16_224", (32, 32), {"img_size": 32, "depth": 2}),
}
