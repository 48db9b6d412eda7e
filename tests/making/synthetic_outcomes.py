"""Outcomes without training: scores and accuracies are drawn, so that the right result of an analysis is known."""

import math
from itertools import product

import numpy as np

from leepjax.studies.outcome import Outcome, Provenance, Study


def outcome(task="cifar100-000", accuracy=0.5, **fields):
    """An outcome in which only the given fields matter."""
    defaults = {
        "study": "small-balanced",
        "source": "resnet18",
        "target": "cifar100",
        "method": "head",
        "num_classes": 5,
        "macro_f1": accuracy,
        "scores": {"leep": accuracy - 1},
    }
    fields = defaults | fields
    made_by = (*(fields[name] for name in ("study", "source", "target", "method")), fields.get("profile", ""), task)
    return Outcome(
        key="/".join(made_by),
        task=task,
        accuracy=accuracy,
        weights_hash="0",
        image_size=32,
        num_train=250,
        num_test=500,
        balanced_accuracy=accuracy,
        log_loss=1.0,
        ece=0.1,
        seed=0,
        seconds=1.0,
        **fields,
    )


def outcomes(n, *, noise=0.0, classes=(5, 5), seed=0, **fields):
    """Tasks whose accuracy is LEEP/3 + 1 and noise; LEEP falls with the number of classes.

    H-score is LEEP with noise of its own, NCE is LEEP reversed, LogME is undefined for the first task.
    """
    rng = np.random.default_rng(seed)
    made = []
    for number in range(n):
        c = int(rng.integers(classes[0], classes[1] + 1))
        leep = -0.4 * math.log(c) - rng.uniform(0, 0.8)
        accuracy = float(np.clip(1 + leep / 3 + noise * rng.normal(), 0, 1))
        scores = {
            "leep": leep,
            "nce": -leep,
            "h_score": leep + 0.3 * rng.normal(),
            "logme": None if number == 0 else float(rng.normal()),
            "neg_log_classes": -math.log(c),
            "neg_entropy": -math.log(c),
            "source_accuracy": 0.7,
            "knn": accuracy + 0.05 * rng.normal(),
        }
        given = {"num_classes": c, "scores": scores, "macro_f1": accuracy**2, **fields}
        made.append(outcome(f"{fields.get('target', 'cifar100')}-{number:03}", accuracy, **given))
    return made


def sources(seed=0, **fields):
    """The paper's nine candidates on one task, with the accuracies on ImageNet that it gives."""
    imagenet = {
        "darknet53": 0.7856,
        "mobilenet1.0": 0.7328,
        "mobilenet0.75": 0.7025,
        "mobilenet0.5": 0.6520,
        "mobilenet0.25": 0.5291,
        "resnet18": 0.7093,
        "resnet34": 0.7437,
        "resnet50": 0.7736,
        "senet154": 0.8126,
    }
    rng, made = np.random.default_rng(seed), []
    for name, accuracy in imagenet.items():
        leep = -4 + 3 * accuracy + 0.1 * rng.normal()
        scores = {"leep": leep, "nce": leep - 0.2, "h_score": 60 * accuracy + rng.normal(), "source_accuracy": accuracy}
        given = {"source": name, "scores": scores, "study": "source-selection", "num_classes": 100, **fields}
        made.append(outcome(accuracy=float(0.9 * accuracy + 0.02 * rng.normal()), **given))
    return made


def converging(n, *, epochs=15, seed=0, noise=0.03, **fields):
    """Fine-tuning starts 0.4 ahead of training from scratch; the higher LEEP is, the sooner this lead ends."""
    rng, made = np.random.default_rng(seed), []
    for number in range(n):
        leep = -1.5 + 1.2 * rng.random()
        catches_up = 4 + 8 * (leep + 0.3) / -1.2
        scratch = 0.3 + 0.5 * np.linspace(0, 1, epochs)
        ahead = 0.4 * (1 - np.arange(1, epochs + 1) / catches_up) / (1 + np.arange(epochs) / 3)
        for method, curve in (("finetune", scratch + ahead), ("scratch", scratch)):
            curve = np.clip(curve + noise * rng.normal(size=epochs), 0, 1)
            given = {"study": "convergence", "scores": {"leep": leep}, "curve": tuple(curve.tolist()), **fields}
            made.append(outcome(f"{number:03}", float(curve[-1]), method=method, **given))
    return made


def studies(n=60):
    """One of each of the paper's studies."""
    made = {name: [] for name in ("large", "small-balanced", "small-imbalanced", "convergence", "source-selection")}
    for seed, source in enumerate(("resnet18", "cifar10_resnet20")):
        for profile, classes in (("", (2, 100)), ("twenty-classes", (20, 20))):
            of = {"study": "large", "source": source, "profile": profile, "classes": classes}
            made["large"] += outcomes(n, noise=0.03, seed=seed, **of)
    for seed, (target, source) in enumerate(product(("cifar100", "fashion-mnist"), ("resnet18", "cifar10_resnet20"))):
        of = {"source": source, "target": target, "seed": seed}
        made["small-balanced"] += outcomes(n, noise=0.06, **of)
        made["small-imbalanced"] += outcomes(n, noise=0.1, study="small-imbalanced", profile="long-tail", **of)
        made["convergence"] += converging(n, **of)
    for method in ("head", "finetune"):
        made["source-selection"] += sources(method=method)
    return [Study(provenance=provenance(name), outcomes=made_) for name, made_ in made.items()]


def provenance(study):
    return Provenance(
        study=study,
        scale="synthetic",
        config={},
        command="none",
        commit="",
        versions={},
        hardware="none",
        date="2026-01-01",
        seconds=0.0,
    )
