"""Measure one source on one target, or all chosen layers of one network together."""

import functools
import math
import platform
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import closing
from dataclasses import dataclass
from functools import partial
from importlib.metadata import version
from pathlib import Path
from typing import Any

import msgspec
import numpy as np
from threadpoolctl import threadpool_limits

from leepjax.callbacks import OnProgress, counted
from leepjax.engines.units import Unit, portable
from leepjax.extraction.cost import cost_of_text
from leepjax.extraction.extract import table_files, table_key
from leepjax.extraction.shared_pass import OfOneNetwork, SharedPass
from leepjax.extraction.table import Table
from leepjax.measures.by_task import evidence_of, measure_of
from leepjax.models.source import Source
from leepjax.opening.sources import NOT_OF_A_SOURCE, Failed
from leepjax.printable import valid_unicode
from leepjax.ranking.ahead import Wait, compiled_ahead, wait_for_all
from leepjax.ranking.bootstrap import ends_of_range, interval, score_with_draws
from leepjax.ranking.plan import CARD_MEASURES, Plan
from leepjax.ranking.verify_source import verify_source
from leepjax.storage.files import digest
from leepjax.storage.records import SCHEMA, Record
from leepjax.types import NOUNS

REVISION = "8"
"""Raise this when values of a measure or verification, or the digest of a target, change: records from before are then
measured again."""


@dataclass(frozen=True, eq=False)
class NetworkOnTarget(Unit):
    """The unit of work of a ranking: all candidates of one network on one target, because the images pass only once."""

    plan: Plan
    sources: OfOneNetwork
    known: Mapping[str, Record]
    """Content key → record that needn't be measured; other units may add records."""
    label: str
    """Name in the progress of its stages"""
    cache: Path | None = None
    """Folder of the tables."""

    @property
    def name(self) -> str:
        """The unit's name in progress and errors."""
        return f"{self.sources.name} on {self.plan.name}"

    @property
    def shared(self) -> tuple[Plan, OfOneNetwork]:
        """The objects that units share: sources share a plan, and targets share a source."""
        return self.plan, self.sources

    def arguments(self) -> tuple[dict[str, Record], str]:
        """The records that are known by now, and the label."""
        return {key: self.known[key] for key in self._keys if key in self.known}, self.label

    @property
    def is_known(self) -> bool:
        """Whether nothing is left to be measured."""
        return self._keys <= self.known.keys()

    @property
    def files(self) -> tuple[Path, ...]:
        """The tables of its candidates."""
        return table_files(self.cache, self.sources, self.plan.target)

    @property
    def _keys(self) -> set[str]:
        return {key for source in self.sources for key in keys(self.plan, source)}


def keys(plan: Plan, source: Source) -> dict[str, tuple[str, str]]:
    """The measurements that a plan requires of a source, in the order of the records: content key → kind and name."""
    kinds = [("score", name) for name in plan.measures]
    if plan.verify != "none":
        kinds.append(("verify", plan.verify))
    return {_key(plan, source, kind, name): (kind, name) for kind, name in kinds}


def measure_network(
    cache: Path | None,
    plan: Plan,
    sources: OfOneNetwork,
    known: Mapping[str, Record],
    label: str,
    on_progress: OnProgress,
) -> Iterator[Record | Failed]:
    """Yield the records of the candidates of one network on a target: those already known, and those measured now.

    Images are read only if a record is unknown. Features are stored in the folder `cache`, if there is one. If one
    candidate fails, the others are still measured.
    """
    unknown = [source for source in sources if not keys(plan, source).keys() <= known.keys()]
    names = {name for key, (_, name) in keys(plan, sources[0]).items() if key not in known}
    on_batch = counted(f"{label}: {NOUNS[plan.target.kind].many}", len(plan.target), on_progress)
    options = {"batch_size": plan.settings.batch_size, "cache": cache, "on_batch": on_batch}
    with (
        closing(sources),
        compiled_ahead(plan, sources[0], names, cache) as wait,
        # Threads that compile would slow down the batch that is timed.
        SharedPass(unknown, plan.target, before_timing=partial(wait_for_all, wait, plan), **options) as shared,
    ):
        for source in sources:
            of_source = label if len(sources) == 1 else label.removesuffix(sources.name) + source.name
            try:
                table = functools.cache(partial(shared.table, source))
                yield from _measure_source(plan, source, table, known, wait, of_source, on_progress)
            except NOT_OF_A_SOURCE:
                raise
            except Exception as error:
                if len(sources) == 1:
                    raise
                yield Failed(source.name, portable(error))


def _measure_source(
    plan: Plan,
    source: Source,
    table: Callable[[], Table],
    known: Mapping[str, Record],
    wait: Wait,
    label: str,
    on_progress: OnProgress,
) -> Iterator[Record]:
    to_do = keys(plan, source)
    for done, (key, (kind, name)) in enumerate(to_do.items()):
        on_progress(f"{label}: {name}", done, len(to_do))
        if key in known:
            # The key determines the value; names, card and schema are replaced by the current ones.
            yield msgspec.structs.replace(known[key], **_described(plan, source))
            continue
        with threadpool_limits(1, "blas"):  # LAPACK rounds by its threads, and workers have fewer of them
            if name not in CARD_MEASURES:
                table()
                wait(name)
            record = _measure(plan, source, table, kind, name, key, label, on_progress)
        yield record
    on_progress(f"{label}: done", len(to_do), len(to_do))


def _measure(plan, source, table, kind, name, key, label, on_progress) -> Record:
    started = time.monotonic()
    draws: Sequence[float] = ()
    cost, right = None, ""
    if name in CARD_MEASURES:
        value, low, high = CARD_MEASURES[name](source.card), float("nan"), float("nan")
    elif kind == "score":
        value, low, high, draws = _score(plan, table(), name)
        cost = cost_of_text(table().provenance.get("cost"))
    else:
        value, low, high, draws, right = verify_source(plan, source, table(), label, on_progress)
        cost = cost_of_text(table().provenance.get("cost"))
    return Record(
        key=key,
        kind=kind,
        num_examples=len(plan.train if kind == "score" else plan.test),
        measure=name,
        metric=plan.metric if kind == "verify" else "",
        value=_or_none(value),
        low=_or_none(low),
        high=_or_none(high),
        draws=tuple(map(_or_none, draws)),
        right=right,
        cost=cost,
        seconds=round(time.monotonic() - started, 4),
        versions={package: version(package) for package in ("leepjax", "jax", "numpy")}
        | {"python": platform.python_version()},
        **_described(plan, source),
    )


def _described(plan: Plan, source: Source) -> dict[str, Any]:
    """The fields of a record that are known before anything is measured."""
    return {
        "schema": SCHEMA,
        "target": valid_unicode(plan.target.name),
        "target_hash": plan.target.fingerprint,
        "examples": plan.target.kind,
        "task": plan.target.task,
        "num_classes": len(plan.target.classes),
        "split": plan.split,
        "seed": plan.settings.seed,
        "resamples": plan.settings.resamples,
        "confidence": plan.settings.confidence,
        "revision": REVISION,
        "source": valid_unicode(source.name),
        "source_hash": digest(source.identity.encode()),
        "weights_hash": source.card.weights_hash,
        "num_parameters": source.card.num_parameters or None,
        "licence": valid_unicode(source.card.licence),
    }


def _score(plan: Plan, table: Table, measure: str) -> tuple[float, float, float, list[float]]:
    labels = scaled(table.labels[plan.train])
    evidence = evidence_of(measure_of(measure))
    if evidence != "features" and not table.logits.shape[1]:  # a source without a head
        return math.nan, math.nan, math.nan, [math.nan] * plan.settings.resamples
    seen = slice(None) if len(plan.train) == len(table.labels) else plan.train  # a slice doesn't copy
    features = table.features[seen]
    outputs = None if evidence == "features" else table.logits if evidence == "outputs" else table.probs
    probs = None if outputs is None else outputs[seen]
    weights = plan.weights(plan.train)
    value, draws = score_with_draws(measure, features, probs, labels, len(plan.target.classes), weights)
    ends = ends_of_range(measure, features, labels)
    return value, *interval(value, draws, plan.settings.confidence, ends), draws.tolist()


def _key(plan: Plan, source: Source, kind: str, name: str) -> str:
    settings = (
        REVISION,
        table_key(source, plan.target),
        plan.split,
        kind,
        name,
        plan.settings.seed,
        plan.settings.resamples,
        plan.settings.confidence,
        plan.metric if kind == "verify" else None,
        CARD_MEASURES[name](source.card) if name in CARD_MEASURES else None,
    )
    other_task = () if plan.target.task == "classes" else (plan.target.task,)
    return digest(repr((*settings, *other_task)).encode())


def scaled(labels: np.ndarray) -> np.ndarray:
    """Numbers [n k] with mean 0 and deviation 1, so that no score depends on their units; other labels unchanged."""
    if labels.dtype.kind != "f":
        return labels
    values = labels.astype(np.float64)
    std = values.std(axis=0)
    return ((values - values.mean(axis=0)) / np.where(std > 0, std, 1)).astype(np.float32)


def _or_none(value: float) -> float | None:
    return float(value) if np.isfinite(value) else None
