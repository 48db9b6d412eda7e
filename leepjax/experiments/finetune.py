"""Train all of one source on a target, or a fresh network in its place, and keep it with its curve."""

import os
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

from leepjax.experiments.adaptation import Adapted, Parts, card, rows, weights_path
from leepjax.experiments.written import checkpoints_of, write_source
from leepjax.models.opening import load_source
from leepjax.models.source import DType, Source
from leepjax.transfer.curve import Epoch
from leepjax.transfer.finetune import fine_tune, from_scratch
from leepjax.transfer.loop import Progress
from leepjax.transfer.metrics import metrics
from leepjax.transfer.recipe import FineTuning, Recipe


def finetune(
    source: str | os.PathLike | Source,
    target: Parts,
    *,
    scratch: bool = False,
    dtype: DType | None = None,
    recipe: Recipe = FineTuning(),
    out: Path | None = None,
    name: str | None = None,
    command: str = "",
    on_step: Callable[[Progress], None] = lambda progress: None,
    on_epoch: Callable[[Epoch], None] = lambda epoch: None,
) -> Adapted:
    """Train all of a source on a target, from its weights or, with `scratch`, from fresh ones.

    With `out` the network is written there as a source of the target's classes, its curve beside it
    (``NAME.curve.jsonl``), and, until the training is done, checkpoints to go on from (``NAME.checkpoints``).

    Raises:
        InputError: as `fine_tune`, and for a folder that can't be written to or holds another network of that name.
        FloatingPointError: when the loss is no longer finite.
    """
    source = source if isinstance(source, Source) else load_source(source)
    source = replace(source, dtype=dtype or source.dtype)
    how = "scratch" if scratch else "finetune"
    path = weights_path("finetune", out, name, source, target, how, command) if out else None
    trained = (from_scratch if scratch else fine_tune)(
        source,
        *target,
        recipe=recipe,
        checkpoints=checkpoints_of(path) if path else None,
        on_step=on_step,
        on_epoch=on_epoch,
    )
    curve = trained.curve
    written = None
    if path:
        made = card(path.stem, source, target, curve, recipe.seed, command, scratch=scratch)
        written = write_source(trained.model, path, made, target.test, curve=curve)
    found = rows(source, target, how, recipe.seed, {"test": metrics(trained.logits, target.test.labels)})
    found[0]["images_per_second"] = curve[-1].images_per_second if curve else None
    return Adapted(found, curve, written)
