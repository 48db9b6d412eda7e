"""Write resampled_grids.json: what PyTorch's ``interpolate`` computes in float64, for models/test_tokens.py.

pip install torch
python tests/recorded/make_resampled_grids.py
"""

import itertools
import json
import sys
from pathlib import Path

import numpy as np
import torch

sys.path.insert(0, str(Path(__file__).parents[1]))
from recorded.random_state import uniform

OLD = (3, 4, 2)
NEW = ((5, 2), (2, 7))


def main() -> None:
    """Record all modes and sizes."""
    grid = torch.from_numpy(uniform("grid", OLD)).double().permute(2, 0, 1)[None]
    cases = []
    for mode, antialias, new in itertools.product(("bicubic", "bilinear"), (True, False), NEW):
        resampled = torch.nn.functional.interpolate(grid, size=new, mode=mode, antialias=antialias)
        values = np.round(resampled[0].permute(1, 2, 0).numpy(), 7).tolist()
        cases.append({"mode": mode, "antialias": antialias, "old": OLD, "new": new, "values": values})
    (Path(__file__).parent / "resampled_grids.json").write_text(json.dumps(cases))


if __name__ == "__main__":
    main()
