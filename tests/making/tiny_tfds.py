"""A set of TensorFlow Datasets in a module of its own, as TFDS wants it: PNGs that are encoded without TensorFlow."""

import io

import numpy as np
import tensorflow_datasets as tfds
from PIL import Image

CLASSES = ("circle", "square", "star")
IMAGES = np.random.default_rng(0).integers(0, 256, (30, 6, 8, 3), np.uint8)


def png(image):
    buffer = io.BytesIO()
    Image.fromarray(image).save(buffer, "PNG")
    return buffer.getvalue()


class TinyShapes(tfds.core.GeneratorBasedBuilder):
    """Three labels, a text and splits of which one is without labels."""

    VERSION = tfds.core.Version("1.0.0")

    def _info(self):
        features = {
            "image": tfds.features.Image(shape=(6, 8, 3)),
            "shape": tfds.features.ClassLabel(names=CLASSES),
            "half": tfds.features.ClassLabel(num_classes=2),
            "fifth": tfds.features.ClassLabel(num_classes=5),
            "caption": tfds.features.Text(),
        }
        features = tfds.features.FeaturesDict(features)
        return tfds.core.DatasetInfo(builder=self, features=features, supervised_keys=("image", "shape"))

    def _split_generators(self, dl_manager):
        return {"train": self._rows(0, 20), "test": self._rows(20, 28), "unlabelled": self._rows(28, 30, label=-1)}

    def _generate_examples(self):
        raise NotImplementedError

    def _rows(self, start, end, label=None):
        for i in range(start, end):
            shape = i % 3 if label is None else label
            labels = {"shape": shape, "half": i % 2, "fifth": i % 5}
            yield i, {"image": io.BytesIO(png(IMAGES[i])), **labels, "caption": str(i)}
