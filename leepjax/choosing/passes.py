"""Pass images through sources, part by part: the evidence of a race on real sources."""

import logging
import time
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import closing
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import NamedTuple

import numpy as np
from threadpoolctl import threadpool_limits

from leepjax.callbacks import OVERALL, OnProgress, counted
from leepjax.choosing.evidence import Outcomes
from leepjax.choosing.looks import Look
from leepjax.choosing.outcomes import outcomes_of
from leepjax.choosing.steps import Passed
from leepjax.data.target import Target
from leepjax.engines.units import Engine, Unit
from leepjax.extraction.extract import is_kept, table_files, table_key
from leepjax.extraction.shared_pass import OfOneNetwork, SharedPass, by_network
from leepjax.models.ready import ready
from leepjax.models.source import Source
from leepjax.opening.sources import NOT_OF_A_SOURCE, Failed, reason_of
from leepjax.storage.files import digest
from leepjax.types import NOUNS, Metric

_UNKNOWN = 1e-9
"""Seconds per image assumed for a source that hasn't been timed: any constant, so that all sources get a first look."""


class PassedPart(NamedTuple):
    """The features of a part of the images, and the cost of the pass that computed them."""

    source: str
    """Name of the source or layer"""
    features: np.ndarray | None
    """[m d]; None for embeddings, which are read from their table when they are needed"""
    seconds: float
    """Seconds of the pass, with decoding and compilation; the layers of a network share it."""
    per_image: float
    """Seconds per image, without compilation where it could be timed separately."""


@dataclass(frozen=True, eq=False)
class PartOfNetwork(Unit):
    """The unit of work of a race: pass one part of the images through one network, for all of its candidates."""

    part: Target
    sources: OfOneNetwork
    in_cache: bool
    """Whether the tables only need to be read."""
    cache: Path | None = None
    """Their folder."""

    @property
    def name(self) -> str:
        return self.sources.name

    @property
    def is_known(self) -> bool:
        return self.in_cache

    @property
    def shared(self) -> tuple[Target, OfOneNetwork]:
        return self.part, self.sources

    @property
    def files(self) -> tuple[Path, ...]:
        return table_files(self.cache, self.sources, self.part)

    def arguments(self) -> tuple[()]:
        return ()


def pass_part(
    cache: Path | None, batch_size: int, part: Target, sources: OfOneNetwork, on_progress: OnProgress
) -> Iterator[PassedPart | Failed]:
    """Pass a part through a network, or read the tables from the cache; yield each candidate's features."""
    report = counted(f"{sources.name}: {NOUNS[part.kind].many}", len(part), on_progress)
    if table := ready(sources[0]):
        table.rows(part)  # an error in these rows ends only this source
        report(len(part))
        yield PassedPart(sources[0].name, None, 0.0, 0.0)
        return
    started = time.perf_counter()
    done: list[tuple[float, int]] = []

    def on_batch(examples: int) -> None:
        done.append((time.perf_counter(), examples))
        report(examples)

    found: list[tuple[Source, np.ndarray]] = []
    with SharedPass(sources, part, batch_size=batch_size, cache=cache, on_batch=on_batch) as shared:
        for source in sources:
            try:
                found.append((source, shared.table(source).features))
            except FloatingPointError as error:  # this layer isn't finite; others may be
                if len(sources) == 1:
                    raise
                yield Failed(source.name, error)
    seconds = time.perf_counter() - started
    later = sum(examples for _, examples in done[1:])
    # The first batch waits for the program to be compiled.
    per_image = (done[-1][0] - done[0][0]) / later if later else seconds / len(part)
    for source, features in found:
        yield PassedPart(source.name, features, seconds, per_image)


class Passes:
    """The evidence of a race: passes of a target's images through sources, and the ridge probe's losses.

    Args:
        target: the images, in the order of the race.
        sources: sources with distinct names.
        metric: the metric, which determines how examples are weighted.
        engine: where the passes run.
        cache: folder for the tables; None for none.
        batch_size: size of all batches, so that each network is compiled once.
        known: passes of an earlier run, which count with their cost then, so that a resumed race decides the same.
        known_looks: looks of an earlier run, which count in the same way.
        on_passed: called after each pass.
        overheads: whether compilation and probes count in the cost of a look.
        stop_after: seconds after which the first look doesn't begin with another source.
        on_progress: called with the progress of the passes.
    """

    def __init__(
        self,
        target: Target,
        sources: Sequence[Source],
        metric: Metric,
        *,
        engine: Engine,
        cache: Path | None,
        batch_size: int,
        known: Iterable[Passed] = (),
        known_looks: Iterable[Look] = (),
        on_passed: Callable[[Passed], None] = lambda passed: None,
        overheads: bool = True,
        stop_after: float = np.inf,
        on_progress: OnProgress,
    ):
        self.target, self.sources = target, sources
        self.metric: Metric = metric
        self.names = [source.name for source in sources]
        self.num_examples, self.num_classes = len(target), num_groups(target)
        self.failures: dict[int, str] = {}
        self.passed = 0.0
        """Seconds of all passes so far, without compilation."""
        self.spent = 0.0
        """Seconds of all passes and probes so far, with compilation."""
        self.batch_size = batch_size
        self._engine, self._cache = engine, cache
        self._known = {passed.key: passed for passed in known}
        self._known_looks = {
            (each.source, look.num_examples): each.seconds for look in known_looks for each in look.standings
        }
        self._on_passed, self._stop_after, self._on_progress = on_passed, stop_after, on_progress
        self._features: list[list[np.ndarray]] = [[] for _ in sources]
        self._seen = [0] * len(sources)
        self._overheads = overheads
        numbers = {source.name: number for number, of in enumerate(by_network(sources)) for source in of}
        self._networks = [numbers[name] for name in self.names]
        """[s] the number of each candidate's network; the layers of a network share its passes."""
        self._parts: dict[int, dict[tuple[int, int], float]] = {number: {} for number in self._networks}
        """For each network, the first and last image of each part that has passed through it → seconds per image."""

    def costs(self, sources: Sequence[int], start: int, stop: int) -> list[float]:
        """The expected seconds of passing the images from `start` to `stop`, without compilation."""
        firsts = {self._networks[source]: source for source in reversed(sources)}
        of_pass = {source: (stop - start) * self._per_image(number) for number, source in firsts.items()}
        return [of_pass.get(source, 0.0) for source in sources]

    def look(self, sources: Sequence[int], num_examples: int) -> Iterator[tuple[int, Outcomes]]:
        """Pass the images that are missing through each of the sources, and fit the probe to all of them."""
        # The smallest sources come first, so that a short budget pays for as many as possible.
        first = not any(map(self.seen, sources))
        order = sorted(sources, key=self._size) if first else sources
        for source, seconds in self.passes(order, num_examples, self._stop_after if first else np.inf):
            started = time.perf_counter()
            labels = self.target.labels[:num_examples]
            groups = None if self.target.groups is None else self.target.groups[:num_examples]
            with threadpool_limits(1, "blas"):  # LAPACK rounds by its threads
                outcomes = outcomes_of(self.metric, self.features(source), labels, len(self.target.classes), groups)
            total = seconds + time.perf_counter() - started
            known = self._known_looks.get((self.names[source], num_examples))
            if self._overheads and known is not None:
                total = known
            self.spent += total - seconds
            cost = total if self._overheads else seconds
            yield source, Outcomes(*outcomes, cost if known is None else known)

    def passes(
        self, sources: Sequence[int], num_examples: int, stop_after: float = np.inf
    ) -> Iterator[tuple[int, float]]:
        """Pass the images up to `num_examples` that each source hasn't seen yet; yield the source and the seconds."""
        numbers = {self.names[source]: source for source in sources}
        done = {source for source in sources if self.seen(source) >= num_examples}
        yield from ((source, 0.0) for source in done)
        units = self._units([source for source in sources if source not in done], num_examples)
        spent = 0.0
        function = partial(pass_part, self._cache, self.batch_size)
        with closing(self._engine(function, units, self._report)) as outcomes:
            for unit, results, error in outcomes:
                if isinstance(error, NOT_OF_A_SOURCE):
                    raise error
                failed = [each for each in results if isinstance(each, Failed)]
                failed += [Failed(each.name, error) for each in unit.sources if error is not None]
                for name, reason in failed:
                    self.failures[numbers[name]] = reason_of(reason)
                    logging.getLogger("leepjax").warning("%s is left out: %s", name, reason_of(reason))
                for result in (each for each in results if isinstance(each, PassedPart)):
                    source = numbers[result.source]
                    seconds = self._add(source, unit, result, num_examples)
                    spent += seconds
                    yield source, seconds
                if spent > stop_after:
                    return

    def features(self, source: int) -> np.ndarray:
        """[m d] of the images seen so far."""
        if table := ready(self.sources[source]):
            return np.asarray(table.rows(self.target.subset(np.arange(self._seen[source]))).features)
        self._features[source] = [np.concatenate(self._features[source])]
        return self._features[source][0]

    def seen(self, source: int) -> int:
        """How many images have passed through a source."""
        return self._seen[source]

    def _units(self, sources: Sequence[int], num_examples: int) -> list[PartOfNetwork]:
        """A unit for each set of candidates of a network that have seen the same images, ordered by first candidate."""
        together: dict[tuple[int, int], list[Source]] = {}
        for source in sources:
            together.setdefault((self._networks[source], self.seen(source)), []).append(self.sources[source])
        return [self._unit(OfOneNetwork(each), seen, num_examples) for (_, seen), each in together.items()]

    def _unit(self, sources: OfOneNetwork, seen: int, num_examples: int) -> PartOfNetwork:
        part = self._part(seen, num_examples)
        in_cache = self._cache is not None and all(is_kept(self._cache, source, part) for source in sources)
        return PartOfNetwork(part, sources, in_cache, self._cache)

    def _part(self, start: int, stop: int) -> Target:
        """The object for a part of the images, which all units of this part share."""
        if getattr(self, "_shared", None) is None or self._shared[0] != (start, stop):
            self._shared = (start, stop), self.target.subset(np.arange(start, stop))
        return self._shared[1]

    def _add(self, source: int, unit: PartOfNetwork, result: PassedPart, num_examples: int) -> float:
        """Store a candidate's features; return its share of the cost, which all candidates of a network share."""
        start, key = self.seen(source), table_key(self.sources[source], unit.part)
        if (passed := self._known.get(key)) is None:
            passed = Passed(
                key=key,
                source=result.source,
                start=start,
                stop=num_examples,
                seconds=round(result.seconds, 6),
                per_image=round(result.per_image, 9),
            )
            self._on_passed(passed)
        passing = max(passed.per_image, _UNKNOWN) * (num_examples - start)
        if result.features is not None:
            self._features[source].append(result.features)
        self._seen[source] = num_examples
        self._parts[self._networks[source]][start, num_examples] = max(passed.per_image, _UNKNOWN)
        share = 1 / len(unit.sources)
        self.passed += share * passing
        self.spent += share * passed.seconds
        return share * (passed.seconds if self._overheads else passing)

    def _per_image(self, network: int) -> float:
        parts = self._parts[network]
        images = sum(stop - start for start, stop in parts)
        return sum((stop - start) * each for (start, stop), each in parts.items()) / images if images else _UNKNOWN

    def _report(self, what: str, done: int, total: int) -> None:
        """Pass on the progress of an engine, except its line per source, which would be repeated at each look."""
        self._on_progress(what.replace(f"{OVERALL}:", "race:", 1), done, total)

    def _size(self, source: int) -> tuple[int, str]:
        """Size of a source: parameters times the numbers in an example's input; 0 for embeddings."""
        each = self.sources[source]
        return 0 if ready(each) else each.card.num_parameters * each.preparation.blank(1).size, each.name


def num_groups(target: Target) -> int:
    """How many strata a first look must cover: the classes or labels, or the tenths of a number."""
    return max(len(target.classes), 10 if target.task == "regression" else 1)


def identity_of(train: Target, test: Target | None, sources: Sequence[Source], *settings: object) -> str:
    """Digest of everything that a race depends on, except the speed of the machine."""
    parts = [(part.fingerprint, part.classes) for part in (train, test) if part is not None]
    groups = [part.groups.tobytes() for part in (train, test) if part is not None and part.groups is not None]
    identities = [(source.name, source.identity) for source in sources]
    return digest(repr((parts, groups, identities, settings)).encode())
