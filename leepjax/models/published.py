"""The table of published weights: name → location and metadata known before a download."""

from typing import NamedTuple

import msgspec

from leepjax.data.preprocessing import Preprocessing
from leepjax.models.card import Card

_STANDARD = Preprocessing(
    image_size=224, crop=0.875, interpolation="bicubic", mean=(0.485, 0.456, 0.406), std=(0.229, 0.224, 0.225)
)


class Published(NamedTuple):
    """A row: published weights for one of leepjax's architectures."""

    name: str
    weights: str
    """``timm/<id>``, a repository with a configuration, or the URL of a file."""
    model: str
    num_parameters: int
    accuracy: float | None
    """Top-1 accuracy on ImageNet's validation set, in [0, 1], as published with the weights; None if unknown."""
    licence: str
    data: str = "ImageNet-1k"
    num_classes: int = 1000
    preprocessing: Preprocessing = _STANDARD
    """For ``timm/<id>``, the configuration in the repository takes precedence."""

    def card(self) -> Card:
        """The card before the weights are downloaded."""
        return Card(
            name=self.name,
            model=self.model,
            num_classes=self.num_classes,
            preprocessing=self.preprocessing,
            num_parameters=self.num_parameters,
            weights_hash="",
            data=self.data,
            licence=self.licence,
            accuracy=self.accuracy,
            origin=self.weights,
        )


_KERAS = "https://storage.googleapis.com/tensorflow/keras-applications/mobilenet/mobilenet_{}_224_tf.h5"
_TENSORFLOW = Preprocessing(
    image_size=224, crop=0.875, interpolation="bilinear", mean=(0.5, 0.5, 0.5), std=(0.5, 0.5, 0.5)
)


def _timm(name: str, repo: str, num_parameters: int, accuracy: float | None = None, *, pixels: int = 224) -> Published:
    seen = msgspec.structs.replace(_STANDARD, image_size=pixels)
    model = repo.partition(".")[0]
    return Published(name, f"timm/{repo}", model, num_parameters, accuracy, "Apache-2.0", preprocessing=seen)


def _mobilenet(name: str, alpha: str, model: str, num_parameters: int, accuracy: float) -> Published:
    url = _KERAS.format(alpha)
    return Published(name, url, model, num_parameters, accuracy, "Apache-2.0", preprocessing=_TENSORFLOW)


# The nine candidates of the LEEP paper's source selection. The paper used GluonCV's weights. The ResNets and SENet154
# here are those weights, converted by timm, with the accuracies given there; MobileNets are Keras', DarkNet53 timm's.
_PAPER9 = (
    _timm("resnet18", "resnet18.gluon_in1k", 11_689_512, 0.7093),
    _timm("resnet34", "resnet34.gluon_in1k", 21_797_672, 0.7437),
    _timm("resnet50", "resnet50.gluon_in1k", 25_557_032, 0.7736),
    _mobilenet("mobilenet-1.0", "1_0", "tf_mobilenetv1_100", 4_231_976, 0.706),
    _mobilenet("mobilenet-0.75", "7_5", "tf_mobilenetv1_075", 2_585_560, 0.684),
    _mobilenet("mobilenet-0.5", "5_0", "tf_mobilenetv1_050", 1_331_592, 0.637),
    _mobilenet("mobilenet-0.25", "2_5", "tf_mobilenetv1_025", 470_072, 0.506),
    _timm("darknet53", "darknet53.c2ns_in1k", 41_609_928, pixels=256),
    _timm("senet154", "senet154.gluon_in1k", 115_088_984, 0.8126),
)
_OTHERS = (
    _timm("resnet101", "resnet101.gluon_in1k", 44_549_160),
    _timm("resnet152", "resnet152.gluon_in1k", 60_192_808),
    _timm("mobilenetv2", "mobilenetv2_100.ra_in1k", 3_504_872),
    _timm("efficientnet-lite0", "tf_efficientnet_lite0.in1k", 4_652_008),
    _timm("efficientnet-lite1", "tf_efficientnet_lite1.in1k", 5_416_680, pixels=240),
    _timm("efficientnet-lite2", "tf_efficientnet_lite2.in1k", 6_092_072, pixels=260),
    _timm("vit-s16", "vit_small_patch16_224.augreg_in1k", 22_050_664),
    _timm("vit-b16", "vit_base_patch16_224.augreg_in1k", 86_567_656),
)

PUBLISHED = {row.name: row for row in (*_PAPER9, *_OTHERS)}

PAPER9 = tuple(row.name for row in _PAPER9)
"""Names of the LEEP paper's nine sources."""
