"""Digests of what timm's own evaluation transform makes of every fifth of the shared ImageNet images.

Run it with PyTorch, timm and a Pillow before 13; the test that reads the result needs none of them:

python make_timm_pixels.py FOLDER timm_pixels.json
"""

import hashlib
import itertools
import json
import sys
from pathlib import Path

import numpy as np
from PIL import Image
from timm.data import create_transform

folder, out = Path(sys.argv[1]), Path(sys.argv[2])
sys.path.insert(0, str(folder))
import load_pack  # noqa: E402

SETTINGS = ((224, 0.875, "bicubic"), (224, 0.95, "bilinear"), (160, 1.0, "bicubic"), (128, 0.875, "bilinear"))
SHAPES = ((224, 224), (150, 200), (224, 101))
images = load_pack.imagenet_sample()[0][::5]
digests = {}
for (size, crop, interpolation), (height, width) in itertools.product(SETTINGS, SHAPES):
    transform = create_transform(
        (3, size, size), interpolation=interpolation, crop_pct=crop, mean=(0, 0, 0), std=(1, 1, 1)
    )
    state = hashlib.sha256()
    for image in images:
        pixels = transform(Image.fromarray(np.ascontiguousarray(image[:height, :width]))).numpy()
        state.update(np.rint(255 * pixels.transpose(1, 2, 0)).astype(np.uint8).tobytes())
    digests[f"{size} {crop} {interpolation} {height} {width}"] = state.hexdigest()[:16]
out.write_text(json.dumps(digests, indent=1) + "\n")
