"""Successive halving: fine-tune the last sources for a few epochs, the better half for twice as many, and so on."""

import logging
import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import replace
from pathlib import Path

import numpy as np

from leepjax.adapting.write_source import identity_of
from leepjax.callbacks import OnProgress
from leepjax.choosing.best import best_first
from leepjax.choosing.steps import Tuned, none_if_undefined
from leepjax.data.target import Target
from leepjax.models.source import Source
from leepjax.opening.sources import NOT_OF_A_SOURCE, reason_of
from leepjax.storage.files import remove_folder
from leepjax.transfer.finetune import Trained, fine_tune
from leepjax.transfer.metric_draws import metric_value
from leepjax.transfer.recipe import Recipe
from leepjax.types import Metric


def epochs_of_rounds(epochs: int, sources: int) -> list[int]:
    """The epochs of each round: the last round has all of them, and each earlier one half as many, but at least one.

    Half of the sources are kept after each round. The last round has two sources, or one if there is no other.
    """
    rounds = max(1, int(np.ceil(np.log2(max(sources, 1)))))
    return [max(1, epochs // 2 ** (rounds - number)) for number in range(1, rounds + 1)]


def halve(
    sources: Sequence[Source],
    heads: dict[str, np.ndarray],
    train_set: Target,
    test_set: Target,
    recipe: Recipe,
    metric: Metric,
    *,
    remaining: Callable[[], float],
    known: Sequence[Tuned] = (),
    folder: Path | None = None,
    on_progress: OnProgress,
) -> Iterator[Tuned]:
    """Fine-tune sources, the best first, and yield each result; stop before a run that the budget doesn't pay for.

    Args:
        sources: the sources; that with the best head is first.
        heads: name → logits [n c] of the source's heads for the test set.
        train_set: the training set.
        test_set: the test set.
        recipe: how to train, with the epochs of the last round.
        metric: the metric.
        remaining: returns the seconds that remain of the budget.
        known: results of an earlier run, which aren't trained again.
        folder: where the trained networks of the last round are stored as checkpoints and, until it is over, those of
            the round before. With None, nothing is stored.
        on_progress: called with the steps of a training run.
    """
    left, before = list(sources), {(each.source, each.epochs): each for each in known}
    seconds_per_epoch: dict[str, float] = {}
    for epochs in epochs_of_rounds(recipe.epochs, len(sources)):
        results: list[Tuned] = []
        for source in left:
            tuned = before.get((source.name, epochs))
            if tuned is None:
                # A source that hasn't been trained yet is expected to take as long as the slowest so far.
                expected = seconds_per_epoch.get(source.name, max(seconds_per_epoch.values(), default=0.0)) * epochs
                if expected > remaining():
                    return
                try:
                    started = time.perf_counter()
                    of_round = replace(recipe, epochs=epochs)
                    trained = trained_network(source, train_set, test_set, of_round, folder, on_progress)
                    tuned = Tuned(
                        source=source.name,
                        epochs=epochs,
                        metric=metric,
                        value=none_if_undefined(metric_value(metric, trained.logits, test_set.labels)),
                        head=none_if_undefined(metric_value(metric, heads[source.name], test_set.labels)),
                        num_examples=len(test_set),
                        # A run that resumes from a checkpoint also counts the seconds that it had spent before.
                        seconds=round(max(time.perf_counter() - started, _seconds_of(trained)), 6),
                    )
                except NOT_OF_A_SOURCE:
                    raise
                except Exception as error:
                    logging.getLogger("leepjax").warning("%s isn't fine-tuned: %s", source.name, reason_of(error))
                    continue
            seconds_per_epoch[source.name] = tuned.seconds / epochs
            results.append(tuned)
            yield tuned
        if folder:
            _forget(folder, keep=epochs)
        best = best_first(results)
        kept = [each.source for each in best[: max(1, len(best) // 2)]]
        left = [source for source in left if source.name in kept]


def trained_network(
    source: Source, train_set: Target, test_set: Target, recipe: Recipe, folder: Path | None, on_progress: OnProgress
) -> Trained:
    """Fine-tune a source, resuming from its checkpoints in the folder; for a finished run, only read the network."""

    def on_step(at):
        on_progress(f"{source.name}: fine-tuning for {recipe.epochs} epochs", at.step + 1, at.num_steps)

    run = identity_of(train_set, test_set, source.identity, recipe)
    checkpoints = folder and folder / f"{run[:16]}-{recipe.epochs}"
    options = {"per_epoch": False, "checkpoints": checkpoints, "on_step": on_step}
    return fine_tune(source, train_set, test_set, recipe=recipe, **options)


def _seconds_of(trained: Trained) -> float:
    return sum(epoch.seconds for epoch in trained.curve)


def _forget(folder: Path, keep: int) -> None:
    """Remove the checkpoints of all rounds except that with `keep` epochs."""
    for checkpoints in folder.glob("*-*"):
        if not checkpoints.name.endswith(f"-{keep}"):
            remove_folder(checkpoints)
