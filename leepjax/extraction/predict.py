"""Predict the classes, numbers or labels of images, texts or embeddings with a trained source."""

import os
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import scipy.special

from leepjax.callbacks import OnProgress, counted
from leepjax.data.embeddings.unlabelled import open_rows
from leepjax.data.target import Target
from leepjax.data.text.columns import Asked
from leepjax.data.text.unlabelled import AnyTexts, open_texts
from leepjax.data.unlabelled import AnyImages, open_images
from leepjax.extraction.forward import forward_all
from leepjax.models.opening import load_source
from leepjax.models.ready import ready
from leepjax.models.source import Source
from leepjax.tables import Row
from leepjax.types import NOUNS, InputError, Kind, Task

_CHOSEN = "chosen.safetensors"
"""The network in a folder that `choose` wrote."""


@dataclass(frozen=True)
class Predictions:
    """The classes, numbers or labels of n examples."""

    ids: tuple[str, ...]
    """[n] paths below the folder, ids of a table, or numbers of rows"""
    classes: tuple[str, ...]
    """[c] names of the classes, numbers or labels"""
    probabilities: np.ndarray
    """[n c] softmax of the logits; for several labels, the probability of each; empty [n 0] for numbers"""
    numbers: np.ndarray | None = None
    """[n c] predictions of a source that was trained on numbers"""
    task: Task = "classes"
    kind: Kind = "images"
    """The kind of the examples."""

    def rows(self, top: int = 1) -> list[Row]:
        """A row for each example: its `top` most probable classes, each with its probability; or all of its numbers; or
        its labels, those of a probability above one half joined by ``;``, and the probability of each.

        Raises:
            InputError: for a `top` below 1.
        """
        if top < 1:
            raise InputError(
                f"predict: expected top >= 1, got {top}; pass how many classes to show for each {NOUNS[self.kind].one}."
            )
        if self.numbers is not None:
            return [
                {self._noun: name} | dict(zip(self.classes, map(_seven_digits, row), strict=True))
                for name, row in zip(self.ids, self.numbers.tolist(), strict=True)
            ]
        if self.task == "multilabel":
            return [self._labels_row(i) for i in range(len(self.ids))]
        top = min(top, len(self.classes))
        best = np.argsort(-self.probabilities, axis=1, kind="stable")[:, :top]
        return [self._row(i, best[i]) for i in range(len(self.ids))]

    @property
    def _noun(self) -> str:
        return NOUNS[self.kind].one

    def _labels_row(self, i: int) -> Row:
        probabilities = dict(zip(self.classes, self.probabilities[i].round(6).tolist(), strict=True))
        held = [name for name, probability in probabilities.items() if probability > 0.5]
        return {self._noun: self.ids[i], "labels": ";".join(held)} | probabilities

    def _row(self, i: int, best: np.ndarray) -> Row:
        row: Row = {self._noun: self.ids[i]}
        for place, number in enumerate(best.tolist(), start=1):
            suffix = "" if place == 1 else f" {place}"
            row[f"class{suffix}"] = self.classes[number]
            row[f"probability{suffix}"] = round(float(self.probabilities[i, number]), 6)
        return row


def predict(
    images: AnyImages | AnyTexts,
    model: str | os.PathLike | Source,
    *,
    batch_size: int = 256,
    strict: bool = False,
    text_column: str | None = None,
    text_pair_column: str | None = None,
    on_progress: OnProgress = lambda what, done, total: None,
) -> Predictions:
    """Predict the classes of examples with a trained source, such as one that `choose` or `retrain` wrote.

    Args:
        images: what the source reads. Images: a folder, at any depth; a file; a list of these; pixels [n h w],
            [n h w 3] or [n h w 4]; or an image in memory, or a list of them, each of Pillow, an array, or the bytes of
            a file. Texts: a ``.csv``, ``.tsv``, ``.jsonl`` or ``.parquet``, a ``.txt`` of one text, a folder of these,
            or a list of strings or of pairs of strings. Embeddings: a file of a table, or an array [n d].
        model: a folder that `choose` wrote, the path of a ``.safetensors`` file with its card, another source as in
            `leepjax.load_source`, or a `Source`.
        batch_size: largest number of examples per batch.
        strict: whether an image or a text that can't be read, an empty text, or another file in a folder is an error;
            otherwise a warning counts them.
        text_column: column of texts; by default the only one, or the one called ``text`` or similar.
        text_pair_column: column of second texts, of a source that was trained on pairs.
        on_progress: called with the number of examples done.

    Returns:
        `Predictions`: ``.rows(top)``, ``.classes``, ``.probabilities`` [n c], or ``.numbers`` [n c].

    Raises:
        InputError: for examples or a model that don't exist, or that don't fit each other.
        FloatingPointError: when logits aren't finite.
    """
    if batch_size < 1:
        raise InputError(f"predict: expected batch_size >= 1, got {batch_size}; pass 1 or more.")
    source = model if isinstance(model, Source) else load_source(find_model(model))
    target = _opened(images, source, Asked(text_column, text_pair_column), strict)
    on_batch = counted(f"{source.name}: {NOUNS[target.kind].many}", len(target), on_progress)
    outputs = forward_all(source, target, source.preparation, batch_size=batch_size, on_batch=on_batch)
    if not np.isfinite(outputs.logits.max(axis=1)).all():
        raise FloatingPointError(
            f"predict: expected finite logits from {source.name}, got NaN or infinity; check its weights."
        )
    classes = source.card.classes or tuple(map(str, range(outputs.logits.shape[1])))
    logits = np.asarray(outputs.logits, np.float64)
    task = source.card.task
    if task == "regression":
        empty = np.empty((len(logits), 0))
        return Predictions(target.ids, classes, empty, numbers=logits, task=task, kind=target.kind)
    probabilities = scipy.special.expit(logits) if task == "multilabel" else scipy.special.softmax(logits, axis=1)
    return Predictions(target.ids, classes, probabilities, task=task, kind=target.kind)


def _opened(examples: Any, source: Source, asked: Asked, strict: bool) -> Target:
    """Open the examples as a target of the kind that the source reads."""
    if asked.is_text and source.reads != "text":
        raise InputError(
            f"predict: expected no column of texts for {source.name}, which reads {NOUNS[source.reads].many}, got "
            f"{asked.text or asked.pair!r}; leave it out."
        )
    if ready(source):
        raise InputError(
            f"predict: expected a source that computes, got the embeddings {source.name}; train a head on them by "
            "leepjax choose --out, and name that."
        )
    if source.reads == "embeddings":
        return open_rows("predict", examples)
    if source.reads == "text":
        return open_texts("predict", examples, asked, strict=strict)
    return open_images("predict", examples, strict=strict)


def _seven_digits(value: float) -> float:
    """Round to the digits that float32 has."""
    return float(f"{value:.7g}")


def find_model(model: str | os.PathLike) -> str | os.PathLike:
    """The name or path of a source; for a folder, the path of the network in it.

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
