"""Write torch_outputs.npz: what timm's networks compute in float64 from `random_state`, for test_families.py.

    pip install torch timm
    python tests/recorded/make_torch_fixtures.py

Tests need neither: they make the same state with NumPy and compare its hash with the recorded one.
"""

import json
from functools import partial
from pathlib import Path

import numpy as np
import timm
import torch
from random_state import digest, images, random_state
from timm.models.efficientnet import _gen_mobilenet_v1, _gen_mobilenet_v2

NUM_CLASSES = 10
NUM_FEATURES = 256  # of each image, to keep the file small; the logits depend on all of them
TENSORFLOW = {"bn_eps": 1e-3, "pad_type": "same"}


def resnet50_v1(num_classes):
    """He et al.'s ResNet-50 from torchvision's: the stride in the first 1 × 1 convolution."""
    model = timm.create_model("resnet50", num_classes=num_classes)
    for stage in (model.layer2, model.layer3, model.layer4):
        stage[0].conv1.stride, stage[0].conv2.stride = (2, 2), (1, 1)
    return model


NAMES = (
    *(f"resnet{depth}" for depth in (18, 34, 50, 101, 152)),
    *("senet154", "mobilenetv1_100", "mobilenetv2_100", "darknet53"),
    *(f"tf_efficientnet_lite{i}" for i in range(3)),
    *("vit_small_patch16_224", "vit_base_patch16_224"),
)
MODELS = {
    **{name: partial(timm.create_model, name) for name in NAMES},
    "resnet50_v1": resnet50_v1,
    **{f"mobilenetv1_{p:03}": partial(_gen_mobilenet_v1, "mobilenetv1_100", p / 100) for p in (75, 50, 25)},
    **{
        f"tf_mobilenetv1_{p:03}": partial(_gen_mobilenet_v1, "mobilenetv1_100", p / 100, **TENSORFLOW)
        for p in (100, 75, 50, 25)
    },
    "tf_mobilenetv2_100": partial(_gen_mobilenet_v2, "mobilenetv2_100", **TENSORFLOW),
}


def outputs(name):
    """Features, logits, and what the network and its state are."""
    model = MODELS[name](num_classes=NUM_CLASSES)
    shapes = {key: tuple(value.shape) for key, value in model.state_dict().items() if "num_batches" not in key}
    state = random_state(shapes)
    model.load_state_dict({key: torch.from_numpy(value) for key, value in state.items()}, strict=False)
    model.double().eval()
    with torch.inference_mode():
        maps = model.forward_features(torch.from_numpy(images(name)).permute(0, 3, 1, 2).double())
        features = model.forward_head(maps, pre_logits=True)
        logits = model.forward_head(maps)
    facts = {"digest": digest(state), "num_parameters": sum(p.numel() for p in model.parameters())}
    return features.numpy(), logits.numpy(), facts


def main():
    """All networks, one after another."""
    arrays, facts = {}, {}
    for name in MODELS:
        features, logits, facts[name] = outputs(name)
        arrays[f"{name}.features"] = features[:, :NUM_FEATURES].astype(np.float32)
        arrays[f"{name}.logits"] = logits.astype(np.float32)
    facts["versions"] = {"torch": torch.__version__, "timm": timm.__version__}
    path = Path(__file__).with_name("torch_outputs.npz")
    np.savez_compressed(path, facts=np.array(json.dumps(facts)), **arrays)


if __name__ == "__main__":
    main()
