"""Everything that is measured of one source on one target."""

import functools
import math
import platform
import time
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from importlib.metadata import version
from pathlib import Path
from typing import Any

import msgspec
import numpy as np
from threadpoolctl import threadpool_limits

from leepjax.callbacks import OnProgress, counted
from leepjax.engines.units import Unit
from leepjax.extraction.cost import cost_of_text
from leepjax.extraction.extract import extract, table_key
from leepjax.extraction.table import Table
from leepjax.measures import MEASURES
from leepjax.models.source import Source
from leepjax.printable import valid_unicode
from leepjax.ranking.bootstrap import ends_of_range, interval, score_with_draws
from leepjax.ranking.plan import CARD_MEASURES, Plan
from leepjax.ranking.verify_source import verify_source
from leepjax.storage.files import digest
from leepjax.storage.records import SCHEMA, Record

REVISION = "6"
"""Raise this when values of a measure or verification, or the digest of a target, change: records from before are then
measured again."""


@dataclass(frozen=True, eq=False)
class SourceOnTarget(Unit):
    """One source on one target: the unit of work of a ranking."""

    plan: Plan
    source: Source
    known: Mapping[str, Record]
    """Content key → record that needn't be measured; it may grow while other units are measured."""
    label: str
    """What the progress of its stages calls it."""

    @property
    def name(self) -> str:
        """What progress and errors call it."""
        return f"{self.source.name} on {self.plan.name}"

    @property
    def shared(self) -> tuple[Plan, Source]:
        """What units share: a plan is that of all sources, a source is measured on all targets."""
        return self.plan, self.source

    def arguments(self) -> tuple[dict[str, Record], str]:
        """The records that are known by now, and the label."""
        return {key: self.known[key] for key in keys(self.plan, self.source) if key in self.known}, self.label

    @property
    def is_known(self) -> bool:
        """Whether nothing is left to be measured."""
        return keys(self.plan, self.source).keys() <= self.known.keys()


def keys(plan: Plan, source: Source) -> dict[str, tuple[str, str]]:
    """What a plan measures of a source, in the order of the records: content key → kind and name."""
    kinds = [("score", name) for name in plan.measures]
    if plan.verify != "none":
        kinds.append(("verify", plan.verify))
    return {_key(plan, source, kind, name): (kind, name) for kind, name in kinds}


def measure_source(
    cache: Path | None,
    plan: Plan,
    source: Source,
    known: Mapping[str, Record],
    label: str,
    on_progress: OnProgress,
) -> Iterator[Record]:
    """Yield the records of a source on a target: those already known, and those measured now.

    Images are read only if a record is unknown. Features are kept in the folder `cache`, if there is one.
    """
    table = functools.cache(lambda: _extract(source, plan, cache, label, on_progress))
    to_do = keys(plan, source)
    for done, (key, (kind, name)) in enumerate(to_do.items()):
        on_progress(f"{label}: {name}", done, len(to_do))
        if key in known:
            # The key stands for the value; names, card and schema are today's.
            yield msgspec.structs.replace(known[key], **_described(plan, source))
            continue
        with threadpool_limits(1, "blas"):  # LAPACK rounds by its threads, and workers have fewer of them
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
        metric=plan.settings.metric if kind == "verify" else "",
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
        "num_classes": len(plan.target.classes),
        "split": plan.split,
        "seed": plan.settings.seed,
        "resamples": plan.settings.resamples,
        "confidence": plan.settings.confidence,
        "revision": REVISION,
        "source": valid_unicode(source.name),
        "source_hash": digest(source.identity.encode()),
        "weights_hash": source.card.weights_hash,
        "num_parameters": source.card.num_parameters,
        "licence": valid_unicode(source.card.licence),
    }


def _score(plan: Plan, table: Table, measure: str) -> tuple[float, float, float, list[float]]:
    labels = table.labels[plan.train]
    if MEASURES[measure].reads != "features" and not table.logits.shape[1]:  # a source without a head
        return math.nan, math.nan, math.nan, [math.nan] * plan.settings.resamples
    features = table.features[plan.train]
    probs = None if MEASURES[measure].reads == "features" else table.probs[plan.train]
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
        plan.settings.metric if kind == "verify" else None,
        CARD_MEASURES[name](source.card) if name in CARD_MEASURES else None,
    )
    return digest(repr(settings).encode())


def _extract(source: Source, plan: Plan, cache: Path | None, label: str, on_progress: OnProgress) -> Table:
    on_batch = counted(f"{label}: images", len(plan.target), on_progress)
    return extract(source, plan.target, batch_size=plan.settings.batch_size, cache=cache, on_batch=on_batch)


def _or_none(value: float) -> float | None:
    return float(value) if np.isfinite(value) else None
