"""The rival of `fine_tuning.py`, which starts it: a network in a plain loop, for an interpreter that has PyTorch.

python benchmarks/timing/torch_training.py resnet20 problem.npz

Other networks than ResNet-20 are timm's. The problem holds images, labels, the batches' indices and learning rates, and
the weights by our names. It prints the losses of those batches without augmentation, to compare; then, for each number
on standard input, it takes that many augmented steps and prints the seconds of processor time that they took.
"""

import json
import sys
import time

import numpy as np
import torch
from torch.nn import functional as F  # noqa: N812
from torch_networks import CifarResNet


def augmented(images):
    """Each image mirrored or not, and shifted by up to an eighth of its side."""
    n, _, side, _ = images.shape
    most = side // 8
    images = torch.where(torch.rand(n, 1, 1, 1) < 0.5, images.flip(3), images)
    padded = F.pad(images, (most,) * 4)
    shifts = torch.randint(0, 2 * most + 1, (n, 2)).tolist()
    return torch.stack([padded[i, :, a : a + side, b : b + side] for i, (a, b) in enumerate(shifts)])


def named(problem):
    """The weights under PyTorch's names and in its layout."""
    leaf = {"kernel": "weight", "scale": "weight", "mean": "running_mean", "var": "running_var", "bias": "bias"}
    for name, value in problem.items():
        if name.startswith("weights."):
            path, _, last = name.removeprefix("weights.").rpartition(".")
            value = value.transpose(3, 2, 0, 1) if value.ndim == 4 else value.T
            yield f"{path}.{leaf[last]}", torch.from_numpy(np.ascontiguousarray(value))


def built(architecture, num_classes):
    if architecture == "resnet20":
        return CifarResNet(3, num_classes)
    import timm

    return timm.create_model(architecture, num_classes=num_classes)


def main():
    architecture, path = sys.argv[1:]
    problem = dict(np.load(path))
    images = torch.from_numpy(problem["images"]).permute(0, 3, 1, 2).contiguous()
    labels = torch.from_numpy(problem["labels"]).long()
    model = built(architecture, int(problem["num_classes"]))
    model.load_state_dict(dict(named(problem)), strict=False)
    model.train()
    kernels = [p for p in model.parameters() if p.ndim > 1]
    others = [p for p in model.parameters() if p.ndim == 1]
    groups = [{"params": kernels, "weight_decay": float(problem["weight_decay"])}, {"params": others}]
    optimizer = torch.optim.SGD(groups, lr=0.1, momentum=float(problem["momentum"]), nesterov=True)

    def step(chosen, rate, augment):
        batch = augmented(images[chosen]) if augment else images[chosen]
        for group in optimizer.param_groups:
            group["lr"] = rate
        optimizer.zero_grad()
        loss = F.cross_entropy(model((batch / 255 - 0.5) / 0.25), labels[chosen])
        loss.backward()
        optimizer.step()
        return loss.item()

    batches = list(zip(torch.from_numpy(problem["batches"]), problem["rates"].tolist(), strict=True))
    print(json.dumps([step(*batch, augment=False) for batch in batches]), flush=True)
    for line in sys.stdin:
        started = time.process_time()
        for i in range(int(line)):
            step(batches[i % len(batches)][0], 0.01, augment=True)
        print(time.process_time() - started, flush=True)


main()
