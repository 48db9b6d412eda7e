"""Positions of tokens on grids of other sizes."""

import json

import numpy as np
import pytest
from places import RECORDED
from recorded.random_state import uniform

from leepjax.models.layers.tokens import resample_grid, resampling

CASES = json.loads((RECORDED / "resampled_grids.json").read_text())


@pytest.mark.parametrize("case", CASES, ids=lambda case: f"{case['mode']}-{case['antialias']}-{case['new']}")
def test_grids_are_resampled_as_by_pytorch(case):
    grid = uniform("grid", tuple(case["old"])).astype(np.float64)
    got = resample_grid(grid, case["new"], case["mode"], antialias=case["antialias"])
    np.testing.assert_allclose(got, case["values"], rtol=0, atol=1e-6)


@pytest.mark.parametrize("kernel", ["bicubic", "bilinear"])
@pytest.mark.parametrize("antialias", [True, False])
def test_a_grid_of_the_same_size_is_unchanged(kernel, antialias):
    np.testing.assert_allclose(resampling(7, 7, kernel, antialias=antialias), np.eye(7), atol=1e-15)
