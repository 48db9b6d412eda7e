"""Digests of what timm's evaluation transform makes of small images: crop modes, oblong sizes, interpolations, grey.

Run it with timm and a Pillow before 13; torchvision needn't be importable, as the few of its functions that timm calls
are defined here for Pillow's images. The test that reads the result needs none of them:

python make_timm_modes.py timm_modes.json
"""

import hashlib
import itertools
import json
import sys
import types
from enum import Enum
from pathlib import Path

import numpy as np
from PIL import Image, ImageOps

InterpolationMode = Enum("InterpolationMode", {name: name.lower() for name in Image.Resampling.__members__})
SHAPES = ((40, 61), (61, 40), (33, 90), (20, 31), (48, 48), (24, 24))


def images():
    """Noise, which shows every pixel that is taken or weighted otherwise."""
    rng = np.random.default_rng(7)
    return [Image.fromarray(rng.integers(0, 256, (*shape, 3), np.uint8)) for shape in SHAPES]


class Resize:
    def __init__(self, size, interpolation):
        self.size, self.interpolation = size, interpolation

    def __call__(self, image):
        if not isinstance(self.size, int):
            return resize(image, self.size, self.interpolation)
        short, long = min(image.size), int(self.size * max(image.size) / min(image.size))
        width, height = (self.size, long) if image.width == short else (long, self.size)
        return resize(image, (height, width), self.interpolation)


class CenterCrop:
    def __init__(self, size):
        self.size = size

    def __call__(self, image):
        (height, width), (rows, columns) = self.size, image.size[::-1]
        wide, high = max(0, width - columns), max(0, height - rows)
        image = pad(image, (wide // 2, high // 2, (wide + 1) // 2, (high + 1) // 2), [0] * len(image.getbands()), "")
        rows, columns = rows + high, columns + wide
        return crop(image, round((rows - height) / 2.0), round((columns - width) / 2.0), height, width)


class Compose:
    def __init__(self, transforms):
        self.transforms = transforms


def resize(image, size, interpolation):
    return image.resize(size[::-1], Image.Resampling[interpolation.name])


def crop(image, top, left, height, width):
    return image.crop((left, top, left + width, top + height))


def pad(image, padding, fill, padding_mode):
    return ImageOps.expand(image, border=tuple(padding), fill=tuple(fill) if len(fill) > 1 else fill[0])


def get_dimensions(image):
    return [len(image.getbands()), image.height, image.width]


def timms():
    """timm's function, with the classes and functions of this file in torchvision's place."""
    transforms = types.ModuleType("torchvision.transforms")
    functional = types.ModuleType("torchvision.transforms.functional")
    for each in (Resize, CenterCrop, Compose):
        setattr(transforms, each.__name__, each)
    for each in (resize, crop, pad, get_dimensions):
        setattr(functional, each.__name__, each)
    from timm.data import transforms as of_timm
    from timm.data import transforms_factory

    of_timm.F, transforms_factory.transforms = functional, transforms
    of_timm._str_to_torch_interpolation = {mode.value: mode for mode in InterpolationMode}
    return transforms_factory.transforms_imagenet_eval


def cases():
    sizes = ((24, 24), (24, 32), (48, 31))
    for size, mode, percent in itertools.product(sizes, ("center", "squash", "border"), (1.0, 0.9)):
        yield size, percent, mode, "bicubic", 3
    for mode, interpolation in itertools.product(
        ("center", "border"), ("nearest", "box", "bilinear", "hamming", "lanczos")
    ):
        yield (24, 32), 0.9, mode, interpolation, 3
    for size, mode in itertools.product(((24, 24), (24, 32)), ("center", "border")):
        yield size, 0.9, mode, "bilinear", 1
    for size, mode in itertools.product(((24, 24), (24, 31)), ("center", "squash", "border")):
        yield size, 1.15, mode, "bicubic", 3
    yield (24, 31), 1.15, "center", "bicubic", 1


if __name__ == "__main__":
    evaluation, digests = timms(), {}
    for size, percent, mode, interpolation, channels in cases():
        mean = (0.485, 0.456, 0.406)[:channels]
        composed = evaluation(size, percent, mode, interpolation=interpolation, mean=mean, normalize=False)
        state = hashlib.sha256()
        for image in images():
            pixels = image if channels == 3 else image.convert("L")
            for transform in composed.transforms[:-1]:  # the last one makes a tensor
                pixels = transform(pixels)
            assert pixels.size == size[::-1]
            state.update(pixels.tobytes())
        digests[f"{size[0]} {size[1]} {percent} {mode} {interpolation} {channels}"] = state.hexdigest()[:16]
    Path(sys.argv[1]).write_text(json.dumps(digests, indent=1) + "\n")
