"""InceptionNeXt."""

from recorded.families import Case

CASES = {
    "tiny": Case("inception_next_tiny", (67, 64), {"depths": [1, 1, 1, 1], "dims": [8, 16, 24, 32]}),
    "atto": Case("inception_next_atto", (64, 72), {"depths": [1, 1, 1, 2], "dims": [8, 12, 24, 32]}),
}

TRAINED = ("atto",)
