"""Write families/<family>.npz: what timm's networks compute in float64 from `random_state`, for test_family_outputs.py.

    pip install torch timm
    python tests/recorded/make_family_outputs.py vit

Tests need neither: they make the same state with NumPy and compare its hash with the recorded one.
"""

import argparse
import importlib
import json
import sys
from pathlib import Path

import numpy as np
import timm
import torch

sys.path.insert(0, str(Path(__file__).parents[1]))
from recorded.families import NUM_CLASSES, TRAINING, Case, training_images
from recorded.random_state import digest, random_state, uniform


def timm_network(case: Case) -> torch.nn.Module:
    """The network of a case; a family may define another function of this name.

    Some of timm's functions refuse arguments that they set themselves; these are passed to the class.
    """
    try:
        return timm.create_model(case.architecture, num_classes=NUM_CLASSES, **case.model_args)
    except TypeError:
        module = sys.modules[timm.model_entrypoint(case.architecture).__module__]
        original = module.build_model_with_cfg
        module.build_model_with_cfg = lambda *args, **options: original(*args, **(options | case.model_args))
        try:
            return timm.create_model(case.architecture, num_classes=NUM_CLASSES)
        finally:
            module.build_model_with_cfg = original


def outputs(model: torch.nn.Module, case: Case) -> tuple[np.ndarray, np.ndarray, str]:
    """Features and logits in float64, and the digest of the state."""
    tensors = {name: value for name, value in model.state_dict().items() if value.is_floating_point()}
    shapes = {name: tuple(value.shape) for name, value in tensors.items() if is_learned(model, name)}
    for name in shapes:  # a head that is a 1 × 1 convolution in timm is a linear layer here
        if model.get_submodule(name.rpartition(".")[0]) is model.get_classifier() and name.endswith("weight"):
            shapes[name] = shapes[name][:2]
    ours = random_state(shapes)
    weights = {name: torch.from_numpy(value).reshape(tensors[name].shape) for name, value in ours.items()}
    if case.saved:  # loaded as timm loads the weights of its own checkpoints
        given = {"state_dict": weights, "num_classes": NUM_CLASSES, "custom_load": False}
        model = timm.create_model(
            case.architecture, True, pretrained_cfg_overlay=given, num_classes=NUM_CLASSES, **case.model_args
        )
    else:
        model.load_state_dict(weights, strict=False)
    model.double().eval()
    with torch.inference_mode():
        images = torch.from_numpy(uniform("images", (2, *case.size, 3))).permute(0, 3, 1, 2).double()
        maps = model.forward_features(images)
        features = model.forward_head(maps, pre_logits=True)
        if last := getattr(model.get_classifier(), "fc2", None):  # a perceptron: its hidden units are the features
            hidden = []
            last.register_forward_pre_hook(lambda _, inputs: hidden.append(inputs[0]))
            model.forward_head(maps)
            features = hidden[0]
        logits = model.forward_head(maps)
    return features.numpy(), logits.numpy(), digest(ours)


def losses(model: torch.nn.Module, case: Case) -> np.ndarray:
    """Losses of a few steps of SGD in float64, on the same images, from the state that `outputs` has loaded.

    Only kernels of linear layers and convolutions decay, the head has a rate of its own, and nothing is dropped.
    """
    heads = model.get_classifier()
    head = {id(value) for part in (heads if isinstance(heads, tuple) else (heads,)) for value in part.parameters()}
    layers = [layer for layer in model.modules() if isinstance(layer, torch.nn.Linear | torch.nn.Conv2d)]
    kernels = {id(layer.weight) for layer in layers}
    groups = [
        {
            "params": [value],
            "lr": TRAINING["learning_rates"][id(value) in head],
            "weight_decay": TRAINING["weight_decay"] * (id(value) in kernels),
        }
        for value in model.parameters()
    ]
    optimizer = torch.optim.SGD(groups, momentum=TRAINING["momentum"], nesterov=True)
    images = torch.from_numpy(training_images(case.size)).permute(0, 3, 1, 2).double() / 127.5 - 1
    model.train()
    for part in model.modules():
        if isinstance(part, torch.nn.Dropout | timm.layers.DropPath):
            part.eval()
        if getattr(part, "drop_rate", 0):
            part.drop_rate = 0.0
    found = []
    for _ in range(TRAINING["steps"]):
        loss = torch.nn.functional.cross_entropy(model(images), torch.arange(len(images)))
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
        found.append(loss.item())
    return np.array(found)


def is_learned(model: torch.nn.Module, name: str) -> bool:
    """Whether a tensor is a parameter or a running statistic, rather than a constant that follows from sizes."""
    return name in dict(model.named_parameters()) or name.endswith(("running_mean", "running_var"))


def main(family: str) -> None:
    """Record all cases of one family."""
    arrays, digests = {}, {}
    module = importlib.import_module(f"recorded.families.{family}")
    for name, case in module.CASES.items():
        saved = case._replace(model_args=case.model_args | (case.saved or {}))
        network = getattr(module, "timm_network", timm_network)(saved)
        arrays[f"{name}.features"], arrays[f"{name}.logits"], digests[name] = outputs(network, case)
        if name in getattr(module, "TRAINED", ()):
            arrays[f"{name}.losses"] = losses(network, case)
    facts = {"digests": digests, "versions": {"torch": torch.__version__, "timm": timm.__version__}}
    path = Path(__file__).parent / "families" / f"{family}.npz"
    np.savez_compressed(path, facts=np.array(json.dumps(facts)), **arrays)


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("family")
    main(parser.parse_args().family)
