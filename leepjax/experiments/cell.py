"""The unit of work: everything that is measured of one source on one target."""

import functools
import platform
import time
from collections.abc import Callable, Generator, Iterator, Mapping, Sequence
from dataclasses import dataclass
from importlib.metadata import version
from pathlib import Path
from typing import Any, Literal

import msgspec
import numpy as np
import scipy.stats
from threadpoolctl import threadpool_limits

from leepjax.bootstrap import bootstrap_weights, ends_of_range, interval, score_with_draws
from leepjax.callbacks import OnProgress, counted
from leepjax.data.target import Target
from leepjax.extraction.extract import extract, table_key
from leepjax.extraction.table import Table
from leepjax.measures import num_parameters, source_accuracy
from leepjax.models.card import Card
from leepjax.models.source import Source
from leepjax.printable import valid_unicode
from leepjax.storage.files import digest
from leepjax.storage.records import SCHEMA, Record
from leepjax.transfer.finetune import fine_tune
from leepjax.transfer.head import retrain_head
from leepjax.transfer.recipe import FineTuning
from leepjax.transfer.ridge import fit_ridge

Verify = Literal["head", "ridge", "finetune", "none"]

CARD_MEASURES: Mapping[str, Callable[[Card], float]] = {
    "source_accuracy": source_accuracy,
    "num_parameters": num_parameters,
}
"""What rivals the measures and is known without looking at the target; NaN where the card doesn't say it."""

REVISION = "5"
"""Raise this when values of a measure or verification, or the digest of a target, change: records from before are then
measured again."""


@dataclass(frozen=True)
class Study:
    """What is measured on a target, whatever the source: the examples, their split, and how."""

    target: Target
    train: np.ndarray
    test: np.ndarray
    measures: tuple[str, ...]
    verify: Verify
    seed: int
    resamples: int
    confidence: float

    @functools.cached_property
    def split(self) -> str:
        """Digest of the split into examples to score and to verify on."""
        return digest(self.train.astype(np.int64).tobytes(), self.test.astype(np.int64).tobytes())


@dataclass(frozen=True, eq=False)
class Cell:
    """One source on one target."""

    study: Study
    source: Source

    @property
    def name(self) -> str:
        """What progress calls it."""
        return f"{self.source.name} on {self.study.target.name}"

    def work(self) -> dict[str, tuple[str, str]]:
        """What there is to measure, in the order of the records: content key → kind and name."""
        kinds = [("score", name) for name in self.study.measures]
        if self.study.verify != "none":
            kinds.append(("verify", self.study.verify))
        return {_key(self.study, self.source, kind, name): (kind, name) for kind, name in kinds}

    def measure(self, known: Mapping[str, Record], cache: Path | None, on_progress: OnProgress) -> Iterator[Record]:
        """The cell's records: those already known, and the others measured now, for which images are looked at."""
        study, source = self.study, self.source
        table = functools.cache(lambda: _extract(source, study.target, cache, on_progress))
        work = self.work()
        for done, (key, (kind, name)) in enumerate(work.items()):
            on_progress(f"{source.name}: {name}", done, len(work))
            if key in known:
                # Values are known by their content; names, card and schema are today's.
                yield msgspec.structs.replace(known[key], **_described(study, source))
                continue
            with threadpool_limits(1, "blas"):  # LAPACK rounds by its threads, and Ray's workers have fewer of them
                record = _measure(study, source, table, kind, name, key, on_progress)
            yield record
        on_progress(f"{source.name}: done", len(work), len(work))


Measured = Generator[tuple[Cell, list[Record] | Exception]]
"""Cells with records of theirs, or the error that ended them, as they come; a cell may come more than once."""
Run = Callable[[Sequence[Cell], Mapping[str, Record], Path | None, OnProgress], Measured]
"""An engine: it measures what isn't known of the cells, and the caller writes what comes."""


def _measure(study, source, table, kind, name, key, on_progress) -> Record:
    started = time.monotonic()
    draws: Sequence[float] = ()
    if name in CARD_MEASURES:
        value, low, high = CARD_MEASURES[name](source.card), float("nan"), float("nan")
    elif kind == "score":
        value, low, high, draws = _score(study, table(), name)
    else:
        value, low, high = _verify(study, source, table(), on_progress)
    return Record(
        key=key,
        kind=kind,
        num_examples=len(study.train if kind == "score" else study.test),
        measure=name,
        value=_or_none(value),
        low=_or_none(low),
        high=_or_none(high),
        draws=tuple(map(_or_none, draws)),
        seconds=round(time.monotonic() - started, 4),
        versions={package: version(package) for package in ("leepjax", "jax", "numpy")}
        | {"python": platform.python_version()},
        **_described(study, source),
    )


def _described(study: Study, source: Source) -> dict[str, Any]:
    """The fields of a record that are known before anything is measured."""
    return {
        "schema": SCHEMA,
        "target": valid_unicode(study.target.name),
        "target_hash": study.target.fingerprint,
        "num_classes": len(study.target.classes),
        "split": study.split,
        "seed": study.seed,
        "resamples": study.resamples,
        "confidence": study.confidence,
        "revision": REVISION,
        "source": valid_unicode(source.name),
        "source_hash": digest(source.identity.encode()),
        "weights_hash": source.card.weights_hash,
        "num_parameters": source.card.num_parameters,
        "licence": valid_unicode(source.card.licence),
    }


def _score(study: Study, table: Table, measure: str) -> tuple[float, float, float, list[float]]:
    features, probs, labels = (array[study.train] for array in (table.features, table.probs, table.labels))
    weights = bootstrap_weights(len(labels), study.resamples, study.seed)
    value, draws = score_with_draws(measure, features, probs, labels, len(study.target.classes), weights)
    ends = ends_of_range(measure, features, labels)
    return value, *interval(value, draws, study.confidence, ends), draws.tolist()


def _verify(study: Study, source: Source, table: Table, on_progress: OnProgress) -> tuple[float, float, float]:
    """Test accuracy after training on the training part, with its Wilson interval."""
    labels = table.labels[study.test]
    if study.verify == "finetune":
        train_set, test_set = study.target.subset(study.train), study.target.subset(study.test)

        def on_step(progress):
            on_progress(f"{source.name}: fine-tuning", progress.step + 1, progress.num_steps)

        recipe = FineTuning(seed=study.seed)
        logits = fine_tune(source, train_set, test_set, recipe=recipe, per_epoch=False, on_step=on_step).logits
    else:
        fit = fit_ridge if study.verify == "ridge" else functools.partial(retrain_head, seed=study.seed)
        fitted = fit(table.features[study.train], table.labels[study.train], len(study.target.classes))
        logits = np.asarray(fitted.head.logits(table.features[study.test]))
    predicted = logits.argmax(axis=1)
    correct = scipy.stats.binomtest(int((predicted == labels).sum()), len(labels))
    low, high = correct.proportion_ci(study.confidence, method="wilson")
    return correct.statistic, float(low), float(high)


def _key(study: Study, source: Source, kind: str, name: str) -> str:
    settings = (
        REVISION,
        table_key(source, study.target),
        study.split,
        kind,
        name,
        study.seed,
        study.resamples,
        study.confidence,
        CARD_MEASURES[name](source.card) if name in CARD_MEASURES else None,
    )
    return digest(repr(settings).encode())


def _extract(source: Source, target: Target, cache: Path | None, on_progress: OnProgress) -> Table:
    return extract(source, target, cache=cache, on_batch=counted(f"{source.name}: images", len(target), on_progress))


def _or_none(value: float) -> float | None:
    return float(value) if np.isfinite(value) else None
