"""Every measure against its float64 oracle, in programs that XLA optimised as it does for users."""

import pytest
from against_oracle import agrees_with_oracle
from cases import MEASURES, WIDE
from profiles import is_long

from leepjax import DEFAULT_MEASURES

pytestmark = pytest.mark.usefixtures("optimised")


# A mask becomes weights of 0 and 1, which the same program scores. By default the measures that users get without
# asking for others; `benchmarks/timing/measures.py` compares more of them.
@pytest.mark.parametrize("where", ["weights", "mask", "all"] if is_long() else ["weights"])
@pytest.mark.parametrize("name", MEASURES if is_long() else DEFAULT_MEASURES[::2])
def test_oracle_float32(name, where):
    agrees_with_oracle(name, WIDE, where)
