"""Predict the classes, numbers or labels of images with a trained source."""

import os
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import scipy.special

from leepjax.callbacks import OnProgress, counted
from leepjax.data.unlabelled import AnyImages, open_images
from leepjax.extraction.forward import forward_all
from leepjax.models.opening import load_source
from leepjax.models.source import Source
from leepjax.tables import Row
from leepjax.types import InputError, Task

_CHOSEN = "chosen.safetensors"
"""The network in a folder that `choose` wrote."""


@dataclass(frozen=True)
class Predictions:
    """The classes, numbers or labels of n images."""

    ids: tuple[str, ...]
    """[n] paths below the folder, or numbers"""
    classes: tuple[str, ...]
    """[c] names of the classes, numbers or labels"""
    probabilities: np.ndarray
    """[n c] softmax of the logits; of several labels, the probability of each; empty [n 0] of numbers"""
    numbers: np.ndarray | None = None
    """[n c] of a source trained on numbers"""
    task: Task = "classes"

    def rows(self, top: int = 1) -> list[Row]:
        """A row for each image: its `top` most probable classes, each with its probability; or all of its numbers; or
        its labels, those of a probability above one half joined by ``;``, and the probability of each.

        Raises:
            InputError: for a `top` below 1.
        """
        if top < 1:
            raise InputError(f"predict: expected top >= 1, got {top}; pass how many classes to show for each image.")
        if self.numbers is not None:
            return [
                {"image": name} | dict(zip(self.classes, map(_seven_digits, row), strict=True))
                for name, row in zip(self.ids, self.numbers.tolist(), strict=True)
            ]
        if self.task == "multilabel":
            return [self._labels_row(i) for i in range(len(self.ids))]
        top = min(top, len(self.classes))
        best = np.argsort(-self.probabilities, axis=1, kind="stable")[:, :top]
        return [self._row(i, best[i]) for i in range(len(self.ids))]

    def _labels_row(self, i: int) -> Row:
        probabilities = dict(zip(self.classes, self.probabilities[i].round(6).tolist(), strict=True))
        held = [name for name, probability in probabilities.items() if probability > 0.5]
        return {"image": self.ids[i], "labels": ";".join(held)} | probabilities

    def _row(self, i: int, best: np.ndarray) -> Row:
        row: Row = {"image": self.ids[i]}
        for place, number in enumerate(best.tolist(), start=1):
            suffix = "" if place == 1 else f" {place}"
            row[f"class{suffix}"] = self.classes[number]
            row[f"probability{suffix}"] = round(float(self.probabilities[i, number]), 6)
        return row


def predict(
    images: AnyImages,
    model: str | os.PathLike | Source,
    *,
    batch_size: int = 256,
    strict: bool = False,
    on_progress: OnProgress = lambda what, done, total: None,
) -> Predictions:
    """Predict the classes of images with a source that was trained on them: one that `choose` or `retrain` wrote.

    Args:
        images: a folder, at any depth; a file; a list of these; or pixels [n h w], [n h w 3] or [n h w 4].
        model: a folder that `choose` wrote, the path of a ``.safetensors`` file with its card, another source as in
            `leepjax.load_source`, or a `Source`.
        batch_size: largest number of images per batch.
        strict: whether an image that can't be decoded is an error; otherwise a warning counts them.
        on_progress: called with the number of images done.

    Returns:
        `Predictions`: ``.rows(top)``, ``.classes``, ``.probabilities`` [n c], or ``.numbers`` [n c].

    Raises:
        InputError: for images or a model that aren't there.
        FloatingPointError: when logits aren't finite.
    """
    if batch_size < 1:
        raise InputError(f"predict: expected batch_size >= 1, got {batch_size}; pass 1 or more.")
    source = model if isinstance(model, Source) else load_source(find_model(model))
    target = open_images("predict", images, strict=strict)
    on_batch = counted(f"{source.name}: images", len(target), on_progress)
    outputs = forward_all(source, target, source.preparation, batch_size=batch_size, on_batch=on_batch)
    if not np.isfinite(outputs.logits.max(axis=1)).all():
        raise FloatingPointError(
            f"predict: expected finite logits from {source.name}, got NaN or infinity; check its weights."
        )
    classes = source.card.classes or tuple(map(str, range(outputs.logits.shape[1])))
    logits = np.asarray(outputs.logits, np.float64)
    task = source.card.task
    if task == "regression":
        return Predictions(target.ids, classes, np.empty((len(logits), 0)), numbers=logits, task=task)
    probabilities = scipy.special.expit(logits) if task == "multilabel" else scipy.special.softmax(logits, axis=1)
    return Predictions(target.ids, classes, probabilities, task=task)


def _seven_digits(value: float) -> float:
    """As many as float32 has."""
    return float(f"{value:.7g}")


def find_model(model: str | os.PathLike) -> str | os.PathLike:
    """The name or path of a source; of a folder, the network in it.

    Raises:
        InputError: for a folder without a network, or with several.
    """
    folder = Path(model)
    if not folder.is_dir():
        return model
    if (folder / "config.json").is_file():
        return f"local-dir:{folder}"
    found = [path for path in sorted(folder.glob("*.safetensors")) if path.with_suffix(".json").is_file()]
    chosen = [path for path in found if path.name == _CHOSEN] or found
    if len(chosen) != 1:
        names = ", ".join(path.name for path in found) or "none"
        raise InputError(
            f"predict: expected a network with its card in {folder}, got {names}; "
            f"{'pass the path of one of them' if found else 'pass a folder that leepjax choose wrote'}."
        )
    return chosen[0]
