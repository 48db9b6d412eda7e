"""Re-train the head of a source on a target, and save the resulting network."""

import os
from pathlib import Path
from typing import Any

import numpy as np

from leepjax.adapting.parts import Adapted, Parts, card, check_free, rows, weights_path
from leepjax.adapting.write_source import write_source
from leepjax.callbacks import OnProgress, counted
from leepjax.extraction.extract import extract
from leepjax.models.network import heads_of
from leepjax.models.opening import load_source
from leepjax.models.source import Source
from leepjax.storage.files import WriteError
from leepjax.storage.locks import locked
from leepjax.storage.outputs import UnwrittenError
from leepjax.transfer.head import Head, retrain_head
from leepjax.transfer.metrics import metrics
from leepjax.types import NOUNS


def retrain(
    source: str | os.PathLike | Source,
    target: Parts,
    *,
    seed: int = 0,
    out: Path | None = None,
    name: str | None = None,
    command: str = "",
    cache: Path | None = None,
    on_progress: OnProgress = lambda what, done, total: None,
) -> Adapted:
    """Re-train the head of a source on frozen features, and measure it on both parts of a target.

    With `out`, the network with its new head is written there as a source of the target's classes.

    Raises:
        InputError: for a folder that isn't writable or holds another network of that name, or, with a folder, for a
            source that is a user's function.
        UnwrittenError: when the network can't be written.
    """
    source = source if isinstance(source, Source) else load_source(source)
    cache = cache and cache.absolute()
    path = weights_path("retrain", out, name, source, target, "head") if out else None
    if path:
        check_free("retrain", path, command)
    network = source.network.model() if path else None
    tables = []
    for part, examples in zip(Parts._fields, target, strict=True):
        on_batch = counted(f"{source.name}: {NOUNS[examples.kind].many} of the {part} set", len(examples), on_progress)
        tables.append(extract(source, examples, cache=cache, on_batch=on_batch))
    num_classes = len(target.train.classes)
    fitted = retrain_head(tables[0].features, target.train.labels, num_classes, seed=seed)
    worth = [
        metrics(fitted.head.logits(table.features), examples.labels)
        for table, examples in zip(tables, target, strict=True)
    ]
    found = rows(source, target, "head", seed, dict(zip(Parts._fields, worth, strict=True)))
    written = None
    if path and network is not None:
        network.replace_head(num_classes, seed)
        set_head(network, fitted.head)
        with locked(path):
            check_free("retrain", path, command)  # another process may have written it meanwhile
            made = card(path.stem, source, target, [], seed, command)
            try:
                written = write_source(network, path, made, target.test)
            except WriteError as error:
                raise UnwrittenError(Adapted(found, [], None), error) from error
    return Adapted(found, [], written)


def set_head(network: Any, head: Head) -> None:
    """Put a head into the network's linear layer, including the head's standardisation of features."""
    kernel, bias = linear_of(head)
    for linear in heads_of(network):  # the logits are the mean over all heads, so equal heads act as one
        linear.kernel[...] = kernel
        linear.bias[...] = bias


def linear_of(head: Head) -> tuple[np.ndarray, np.ndarray]:
    """The kernel [d c] and bias [c] of a head for features that aren't standardised."""
    kernel = np.asarray(head.kernel) / np.asarray(head.std)[:, None]
    return kernel, np.asarray(head.bias) - np.asarray(head.mean) @ kernel
