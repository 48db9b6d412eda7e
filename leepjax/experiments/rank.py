"""The main job: score every source on a target, rank them, and verify the ranking by training."""

import functools
import os
import platform
import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from functools import partial
from importlib.metadata import version
from pathlib import Path
from typing import Any, Literal, get_args

import msgspec
import numpy as np
import scipy.stats

from leepjax.bootstrap import bootstrap_weights, interval, score_with_draws
from leepjax.data.readers import read_target
from leepjax.data.split import stratified_limit, train_test_split
from leepjax.data.target import Target, from_arrays
from leepjax.extract import Table, extract, table_key
from leepjax.files import digest
from leepjax.measures import MEASURES
from leepjax.models.source import Source, load_source, shipped_sources
from leepjax.ranking import Ranking
from leepjax.records import Record, read_records, write_records
from leepjax.transfer.finetune import fine_tune
from leepjax.transfer.head import retrain_head
from leepjax.types import InputError, unknown_name

Verify = Literal["head", "finetune", "none"]

REVISION = "1"
"""Raise this when a measure or a verification changes its values: records from before are then measured again."""

OnProgress = Callable[[str, int, int], None]
"""Told what is under way, and how many examples or steps of how many are done."""


@dataclass(frozen=True)
class Study:
    """What `rank` measures, apart from the sources: the examples, their split, and how."""

    target: Target
    train: np.ndarray
    test: np.ndarray
    measures: tuple[str, ...]
    verify: Verify
    seed: int
    resamples: int
    confidence: float


def rank(
    target: str | os.PathLike | Target | tuple[np.ndarray, np.ndarray],
    sources: Sequence[str | os.PathLike | Source] | None = None,
    measures: Sequence[str] | None = None,
    *,
    verify: Verify = "head",
    limit: int | None = None,
    seed: int = 0,
    resamples: int = 200,
    confidence: float = 0.95,
    test_fraction: float = 0.2,
    out: str | os.PathLike | None = None,
    cache: str | os.PathLike | None = None,
    on_progress: OnProgress = lambda what, done, total: None,
) -> Ranking:
    """Rank source models for a target by transferability, and check the ranking against real accuracies.

    Each source sees each image once; every measure reads what it says of them. With verification the examples are
    split: measures see the training part only, and the accuracy on the test part of a head (or of the whole network)
    trained on the training part is what their rankings are compared with.

    Args:
        target: ``digits``, a folder ``class/image.png``, an ``.npz`` with `images` and `labels`, the two arrays
            themselves (uint8 [n h w 3] or [n h w], integers [n]), or a `Target`.
        sources: names of shipped sources, paths of ``.safetensors`` files, or `Source`s; all that are shipped by
            default.
        measures: names from `leepjax.MEASURES`, the leading one first; all of them by default.
        verify: ``head`` re-trains a linear head, ``finetune`` everything, ``none`` verifies nothing.
        limit: use at most this many examples, stratified by class.
        seed: of the limit, the split, the bootstrap and the training.
        resamples: bootstrap resamples for the scores' intervals; 0 for no intervals.
        confidence: of the intervals, in (0, 1).
        test_fraction: share of the examples kept for verification, in (0, 1).
        out: folder for ``results.jsonl``; what it already holds isn't measured again.
        cache: folder for extracted features; nothing is cached when left out.
        on_progress: called with what is under way, the number done and the total.

    Returns:
        A `Ranking`: prints as a table, ``.best``, ``.agreement()``, ``.to_records()``.

    Raises:
        ValueError: for a target or a name that isn't there, one class only, or arguments out of range.
    """
    opened = _open_sources(sources)
    target = _open_target(target, limit, seed)
    names = _check_measures(measures)
    study = _plan(target, names, verify, seed, resamples, confidence, test_fraction)

    path = Path(out) / "results.jsonl" if out is not None else None
    known = {record.key: record for record in read_records(path)} if path else {}
    records: list[Record] = []
    for source in opened:
        table = functools.cache(partial(_extract, source, target, Path(cache) if cache else None, on_progress))
        for record in _measure_source(study, source, table, known, on_progress):
            records.append(record)
            if path and record.key not in known:
                known[record.key] = record
                write_records(path, known.values())
    return Ranking(tuple(records), names, None if verify == "none" else verify)


def _measure_source(
    study: Study, source: Source, table: Callable[[], Table], known: dict[str, Record], on_progress: OnProgress
) -> Iterator[Record]:
    """The records of one source: those already known, and the others measured now, for which images are looked at."""
    work = [("score", name) for name in study.measures]
    if study.verify != "none":
        work.append(("verify", study.verify))
    for done, (kind, name) in enumerate(work):
        on_progress(f"{source.name}: {name}", done, len(work))
        key = _key(study, source, kind, name)
        if key in known:
            # What was measured is known by its content; the names are today's.
            yield msgspec.structs.replace(known[key], source=source.name, target=study.target.name)
            continue
        yield _measure(study, source, table(), kind, name, key, on_progress)
    on_progress(f"{source.name}: done", len(work), len(work))


def _measure(study, source, table, kind, name, key, on_progress) -> Record:
    started = time.monotonic()
    if kind == "score":
        value, low, high, draws = _score(study, table, name)
    else:
        value, low, high = _verify(study, source, table, on_progress)
        draws = ()
    return Record(
        key=key,
        kind=kind,
        target=study.target.name,
        target_hash=study.target.fingerprint,
        num_examples=len(study.train if kind == "score" else study.test),
        num_classes=len(study.target.classes),
        source=source.name,
        weights_hash=source.card.weights_hash,
        measure=name,
        value=_or_none(value),
        low=_or_none(low),
        high=_or_none(high),
        confidence=study.confidence,
        draws=tuple(map(_or_none, draws)),
        seed=study.seed,
        seconds=round(time.monotonic() - started, 4),
        versions={package: version(package) for package in ("leepjax", "jax", "numpy")}
        | {"python": platform.python_version()},
    )


def _score(study: Study, table: Table, measure: str) -> tuple[float, float, float, list[float]]:
    features, probs, labels = (array[study.train] for array in (table.features, table.probs, table.labels))
    weights = bootstrap_weights(len(labels), study.resamples, study.seed)
    value, draws = score_with_draws(measure, features, probs, labels, len(study.target.classes), weights)
    return value, *interval(value, draws, study.confidence), draws.tolist()


def _verify(study: Study, source: Source, table: Table, on_progress: OnProgress) -> tuple[float, float, float]:
    """Test accuracy after training on the training part, with its Wilson interval."""
    labels = table.labels[study.test]
    if study.verify == "finetune":
        train_set, test_set = study.target.subset(study.train), study.target.subset(study.test)

        def on_step(progress):
            on_progress(f"{source.name}: fine-tuning", progress.step + 1, progress.num_steps)

        predicted = fine_tune(source, train_set, test_set, seed=study.seed, on_step=on_step)
    else:
        retrained = retrain_head(
            table.features[study.train], table.labels[study.train], len(study.target.classes), seed=study.seed
        )
        predicted = np.asarray(retrained.head.logits(table.features[study.test])).argmax(axis=1)
    correct = scipy.stats.binomtest(int((predicted == labels).sum()), len(labels))
    low, high = correct.proportion_ci(study.confidence, method="wilson")
    return correct.statistic, float(low), float(high)


def _key(study: Study, source: Source, kind: str, name: str) -> str:
    split = digest(study.train.astype(np.int64).tobytes(), study.test.astype(np.int64).tobytes())
    settings = (
        REVISION,
        table_key(source, study.target),
        split,
        kind,
        name,
        study.seed,
        study.resamples,
        study.confidence,
    )
    return digest(repr(settings).encode())


def _open_sources(sources) -> list[Source]:
    chosen = shipped_sources() if sources is None else _several(sources)
    opened = [source if isinstance(source, Source) else load_source(source) for source in chosen]
    if not opened:
        raise InputError("rank: expected at least one source, got none; name one or leave the choice out.")
    names = [source.name for source in opened]
    for name in names:
        if names.count(name) > 1:
            raise InputError(f"rank: expected each source once, got {name!r} twice; drop one or rename its card.")
    return opened


def _open_target(target, limit, seed) -> Target:
    if isinstance(target, tuple):
        target = from_arrays(*target)
    elif not isinstance(target, Target):
        target = read_target(os.fspath(target))
    if limit is not None and limit < 2:
        raise InputError(f"rank: limit must be at least 2, got {limit}; raise it.")
    target = target.subset(stratified_limit(target.labels, limit, seed))
    present = np.unique(target.labels)
    if len(present) < 2:
        raise InputError(
            f"rank: expected at least two classes in {target.name}, got only {target.classes[present[0]]!r}; "
            "add images of another class."
        )
    return target


def _check_measures(measures) -> tuple[str, ...]:
    names = tuple(MEASURES) if measures is None else tuple(_several(measures))
    for name in names:
        if name not in MEASURES:
            raise unknown_name("measures", name, MEASURES)
    if not names or len(set(names)) < len(names):
        raise InputError(f"rank: expected distinct measures, got {list(names)}; name each once.")
    return names


def _plan(target, measures, verify, seed, resamples, confidence, test_fraction) -> Study:
    if verify not in get_args(Verify):
        raise unknown_name("verify", verify, get_args(Verify))
    if resamples < 0:
        raise InputError(f"rank: resamples must be >= 0, got {resamples}; 0 leaves intervals out.")
    for name, value in (("confidence", confidence), ("test_fraction", test_fraction)):
        if not 0 < value < 1:
            raise InputError(f"rank: {name} must lie between 0 and 1, got {value}; pass a fraction.")
    if verify == "none":
        train, test = np.arange(len(target)), np.arange(0)
    else:
        train, test = train_test_split(target.labels, test_fraction, seed)
        if not len(train) or not len(test):
            raise InputError(
                f"rank: expected examples in both parts of the split, got {len(train)} and {len(test)}; "
                "add images or verify none."
            )
    return Study(target, train, test, measures, verify, seed, resamples, confidence)


def _extract(source: Source, target: Target, cache: Path | None, on_progress: OnProgress) -> Table:
    done = 0

    def on_batch(examples: int) -> None:
        nonlocal done
        done += examples
        on_progress(f"{source.name}: images", done, len(target))

    return extract(source, target, cache=cache, on_batch=on_batch)


def _several(names: Any) -> Sequence[Any]:
    """A single name where several are asked for is a list of one, not of its letters."""
    return [names] if isinstance(names, (str, os.PathLike, Source)) else names


def _or_none(value: float) -> float | None:
    return float(value) if np.isfinite(value) else None
