"""Every measure against its float64 oracle, in programs that XLA optimised as it does for users."""

import pytest
from against_oracle import agrees_with_oracle
from cases import MEASURES, WIDE
from profiles import only_long

pytestmark = pytest.mark.usefixtures("optimised")


# A mask becomes weights of 0 and 1, which the same program scores.
@pytest.mark.parametrize("where", ["weights", *only_long(("mask",), ("all",))])
@pytest.mark.parametrize("name", MEASURES)
def test_oracle_float32(name, where):
    agrees_with_oracle(name, WIDE, where)
