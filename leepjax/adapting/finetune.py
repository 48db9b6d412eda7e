"""Fine-tune a source on a target, or train a fresh network instead, and save it with its curve."""

import os
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

from leepjax.adapting.parts import Adapted, Parts, card, check_free, rows, weights_path
from leepjax.adapting.write_source import checkpoints_of, finished, identity_of, write_source
from leepjax.models.opening import load_source
from leepjax.models.source import Source
from leepjax.storage.files import WriteError
from leepjax.storage.locks import locked
from leepjax.storage.outputs import UnwrittenError
from leepjax.transfer.curve import Epoch
from leepjax.transfer.finetune import Trained, fine_tune, from_scratch, logits_of
from leepjax.transfer.loop import Progress, in_memory
from leepjax.transfer.metrics import metrics
from leepjax.transfer.recipe import FineTuning, Recipe, check_fresh
from leepjax.types import DType

Options = dict[str, Any]


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

    With `out`, the network is written there as a source of the target's classes, with its curve beside it
    (``NAME.curve.jsonl``) and, until the training run is finished, checkpoints (``NAME.checkpoints``). If another
    process is training a network of the same name, this one waits. A network already written by the same training run
    is read, not trained again.

    Raises:
        InputError: as `fine_tune` or `from_scratch`, and for a folder that isn't writable or holds another network of
            that name.
        FloatingPointError: when the loss is no longer finite.
        UnwrittenError: when the network can't be written.
    """
    if scratch:
        check_fresh("finetune", recipe)  # before a folder is made
    source = source if isinstance(source, Source) else load_source(source)
    source = replace(source, dtype=dtype or source.dtype)
    how = "scratch" if scratch else "finetune"
    options: Options = {"recipe": recipe, "on_step": on_step, "on_epoch": on_epoch}
    if out is None:
        trained = _train(scratch, source, target, options)
        return _adapted(source, target, how, recipe, trained.logits, trained.curve, None)
    path = weights_path("finetune", out, name, source, target, how)
    identity = identity_of(*target, how, source.identity, recipe)
    with locked(path, "is training it"):
        check_free("finetune", path, command)
        if found := finished(path, identity):
            written, curve = found
            logits = logits_of(written.network.model(), source, in_memory(target.test, source.preparation))
            return _adapted(source, target, how, recipe, logits, curve, written)
        trained = _train(scratch, source, target, options | {"checkpoints": checkpoints_of(path)})
        made = card(path.stem, source, target, trained.curve, recipe.seed, command, scratch=scratch, identity=identity)
        try:
            written = write_source(trained.model, path, made, target.test, curve=trained.curve)
        except WriteError as error:
            known = _adapted(source, target, how, recipe, trained.logits, trained.curve, None)
            raise UnwrittenError(known, error) from error
    return _adapted(source, target, how, recipe, trained.logits, trained.curve, written)


def _train(scratch: bool, source: Source, target: Parts, options: Options) -> Trained:
    return (from_scratch if scratch else fine_tune)(source, *target, **options)


def _adapted(source, target, how, recipe, logits, curve, written) -> Adapted:
    found = rows(source, target, how, recipe.seed, {"test": metrics(logits, target.test.labels)})
    found[0]["images_per_second"] = curve[-1].images_per_second if curve else None
    return Adapted(found, curve, written)
