"""Make a target of numbers from scikit-learn's digits, and one of several labels from CIFAR-10's test images.

``angles.npz``: each handwritten digit is enlarged, rotated by a random angle from −45° to 45°, and labelled with the
angle in degrees. ``quadruples.npz``: four images of two or three classes as a square of two by two; the labels are the
classes that occur among them. Both are real images with labels that are exact by construction; they stand in for
measured numbers and tagged photographs.

Run ``python -m benchmarks.tasks.make_targets cifar10_test.npz OUT``, with arrays images [n 32 32 3], labels, classes.
"""

import sys
from pathlib import Path

import numpy as np
from PIL import Image
from sklearn.datasets import load_digits

NUM_EXAMPLES = 1000


def angles(rng):
    """Rotated digits [n 32 32], and the angles [n] in degrees."""
    pixels, _ = load_digits(return_X_y=True)
    chosen = rng.choice(len(pixels), NUM_EXAMPLES, replace=False)
    found = rng.uniform(-45, 45, NUM_EXAMPLES).astype(np.float32)
    digits = np.rint(pixels.reshape(-1, 8, 8) * (255 / 16)).astype(np.uint8)
    turned = []
    for i, angle in zip(chosen, found, strict=True):
        large = Image.new("L", (32, 32))
        large.paste(Image.fromarray(digits[i]).resize((24, 24), Image.Resampling.BICUBIC), (4, 4))
        turned.append(np.asarray(large.rotate(float(angle), Image.Resampling.BICUBIC)))
    return np.stack(turned), found


def quadruples(images, labels, num_classes, rng):
    """Squares of four images [n 64 64 3], and which classes occur [n c]; at least two images are of one class."""
    of_class = [np.flatnonzero(labels == label) for label in range(num_classes)]
    squares, found = [], np.zeros((NUM_EXAMPLES, num_classes), np.uint8)
    for row in found:
        first, second, third = rng.choice(num_classes, 3, replace=False)
        classes = rng.permutation([first, first, second, rng.choice([second, third])])
        four = images[[rng.choice(of_class[each]) for each in classes]]
        squares.append(four.reshape(2, 2, 32, 32, 3).transpose(0, 2, 1, 3, 4).reshape(64, 64, 3))
        row[classes] = 1
    return np.stack(squares), found


def main(source, out):
    """Write both targets."""
    arrays, rng = np.load(source), np.random.default_rng(0)
    images, labels, classes = arrays["images"], arrays["labels"].astype(int), arrays["classes"]
    turned, found = angles(rng)
    np.savez(Path(out) / "angles.npz", images=turned, labels=found, classes=np.array(["angle in degrees"]))
    squares, several = quadruples(images, labels, len(classes), rng)
    np.savez(Path(out) / "quadruples.npz", images=squares, labels=several, classes=classes)


if __name__ == "__main__":
    main(*sys.argv[1:])
