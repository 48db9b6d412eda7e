"""Fine-tune the sources of 32 × 32 images on the drawn tasks, in PyTorch.

The runs were made when leepjax took four times as long for them. In float32 a step of a ResNet-20 now takes leepjax 1.2
to 1.3 times PyTorch's processor time (`fine_tuning.py`); in bfloat16, as here, it isn't measured.

PYTHONPATH=benchmarks TORCH_PYTHON benchmarks/decisions/prepare/torch_finetuned.py FOLDER

reads what `finetuning.py` wrote to FOLDER/finetuned: networks/SOURCE.npz, tasks/NUMBER.npz and recipe.json, and adds
to NUMBER.json one run after the other, task by task. A run that is there isn't made again; stop it at any time.

The recipe is followed as `leepjax.transfer` does: Nesterov's momentum, weight decay of kernels only, a linear warm-up
and a cosine, the same order of the examples, shifts by up to an eighth. Networks compute in bfloat16.
"""

import json
import math
import os
import sys
import time
from pathlib import Path

import numpy as np
import torch
from PIL import Image
from torch import nn
from torch_networks import CifarResNet

FOLDER = Path(sys.argv[1])
PIXELS, BATCH = 32, 250


def network(name, num_classes, seed):
    """A source with a fresh head, and its normalisation."""
    arrays = dict(np.load(FOLDER / "finetuned" / "networks" / f"{name}.npz"))
    depth, mean, std = int(arrays.pop("depth")), arrays.pop("mean"), arrays.pop("std")
    model = CifarResNet(depth, num_classes)
    model.load_state_dict({key: torch.from_numpy(value) for key, value in arrays.items()}, strict=False)
    generator = torch.Generator().manual_seed(seed)
    with torch.no_grad():
        model.linear.weight.normal_(0, model.linear.in_features**-0.5, generator=generator)
        model.linear.bias.zero_()
    return model, torch.from_numpy(mean), torch.from_numpy(std)


def resized(images):
    if images.shape[1] != PIXELS:
        images = [Image.fromarray(each).resize((PIXELS, PIXELS), Image.Resampling.BICUBIC) for each in images]
    return torch.from_numpy(np.stack([np.asarray(image) for image in images])).permute(0, 3, 1, 2)


def shifted(images, generator):
    """Each image shifted by up to an eighth of its width, zeros filled in."""
    most = PIXELS // 8
    padded = nn.functional.pad(images, (most, most, most, most))
    corners = torch.randint(2 * most + 1, (len(images), 2), generator=generator).tolist()
    return torch.stack(
        [image[:, y : y + PIXELS, x : x + PIXELS] for image, (y, x) in zip(padded, corners, strict=True)]
    )


def rate(recipe, step, per_epoch):
    total = recipe["epochs"] * per_epoch
    warm_up = min(int(recipe["warmup_epochs"] * per_epoch), total // 2)
    if step < warm_up:
        return recipe["learning_rate"] * step / warm_up
    return recipe["learning_rate"] * (1 + math.cos(math.pi * (step - warm_up) / (total - warm_up))) / 2


def train(model, normalise, images, labels, recipe):
    kernels = [each for each in model.parameters() if each.ndim > 1]
    others = [each for each in model.parameters() if each.ndim == 1]
    groups = [{"params": kernels, "weight_decay": recipe["weight_decay"]}, {"params": others, "weight_decay": 0}]
    optimizer = torch.optim.SGD(groups, lr=0, momentum=recipe["momentum"], nesterov=True)
    generator = torch.Generator().manual_seed(recipe["seed"])
    size = min(recipe["batch_size"], len(images))
    per_epoch = -(-len(images) // size)
    model.train()
    for epoch in range(recipe["epochs"]):
        order = np.random.default_rng((recipe["seed"], epoch)).permutation(len(images))
        for i, rows in enumerate(np.resize(order, per_epoch * size).reshape(per_epoch, size)):
            for group in optimizer.param_groups:
                group["lr"] = rate(recipe, epoch * per_epoch + i, per_epoch)
            rows = torch.from_numpy(rows)
            with torch.autocast("cpu", torch.bfloat16):
                logits = model(normalise(shifted(images[rows], generator)))
            loss = nn.functional.cross_entropy(logits.float(), labels[rows])
            optimizer.zero_grad()
            loss.backward()
            optimizer.step()


def accuracy(model, normalise, images, labels):
    model.eval()
    with torch.inference_mode(), torch.autocast("cpu", torch.bfloat16):
        found = [model(normalise(batch)).argmax(1) for batch in images.split(BATCH)]
    return float((torch.cat(found) == labels).float().mean())


def run(name, task, recipe):
    """One source's accuracy on a task, and the seconds that it took."""
    started = time.perf_counter()
    labels, measured_labels = (torch.from_numpy(task[key].astype(np.int64)) for key in ("labels", "measured_labels"))
    model, mean, std = network(name, int(labels.max()) + 1, recipe["seed"])
    model.to(memory_format=torch.channels_last)

    def normalise(images):
        x = (images.float() / 255 - mean[:, None, None]) / std[:, None, None]
        return x.contiguous(memory_format=torch.channels_last)

    train(model, normalise, task["images"], labels, recipe)
    found = accuracy(model, normalise, task["measured_images"], measured_labels)
    return {"accuracy": round(found, 5), "seconds": round(time.perf_counter() - started, 2)}


def opened(file, images):
    task = dict(np.load(file))
    of = str(task["of"])
    if of not in images:
        images[of] = np.load(FOLDER / "images" / f"{of}.npz")["images"]
    task["images"], task["measured_images"] = (resized(images[of][task[key]]) for key in ("rows", "measured"))
    return task


def main():
    torch.set_num_threads(1)
    recipe = json.loads((FOLDER / "finetuned" / "recipe.json").read_text())
    names = sorted(path.stem for path in (FOLDER / "finetuned" / "networks").glob("*.npz"))
    images = {}
    for file in sorted((FOLDER / "finetuned" / "tasks").glob("*.npz"), key=lambda path: int(path.stem)):
        place = FOLDER / "finetuned" / f"{file.stem}.json"
        runs = json.loads(place.read_text())["runs"] if place.exists() else {}
        if set(names) <= set(runs):
            continue
        task = opened(file, images)
        for name in names:
            if name in runs:
                continue
            runs[name] = run(name, task, recipe)
            temporary = place.with_suffix(".part")
            temporary.write_text(json.dumps({"recipe": recipe, "runs": runs}, indent=1) + "\n")
            os.replace(temporary, place)
            print(time.strftime("%H:%M:%S"), file.stem, task["of"], len(task["rows"]), name, runs[name], flush=True)


if __name__ == "__main__":
    main()
