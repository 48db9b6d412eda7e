"""Make the tables of all layers of one network that are candidates, by a single pass of the images through it."""

import time
from collections.abc import Callable, Iterable, Sequence
from contextlib import ExitStack
from itertools import accumulate
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import TypedDict

from leepjax.data.target import Target
from leepjax.extraction.cost import cost_at, measure_cost, measure_together
from leepjax.extraction.extract import extract, kept_table, table_key, table_path
from leepjax.extraction.forward import forward_batches
from leepjax.extraction.shards import SECONDS, Shards
from leepjax.extraction.table import Evidence, Storage, Table, cached_table
from leepjax.models.source import Source
from leepjax.models.tapped import Together, base_of, named_together
from leepjax.opening.kinds import check_reads
from leepjax.storage.files import WriteError, check_writable
from leepjax.storage.locks import locked
from leepjax.storage.records import Cost
from leepjax.types import Outputs

MOST_WAITING = 1 << 28
"""Bytes of features that wait in memory to be written."""


class _Kept(TypedDict):
    evidence: Evidence
    storage: Storage


class OfOneNetwork(tuple[Source, ...]):
    """Candidates that share a pass: layers of a network, or a source alone."""

    @property
    def name(self) -> str:
        """The name of the source whose layers they are."""
        return self[0].name if len(self) == 1 else base_of(self[0]).name

    def close(self) -> None:
        """Free the network's parameters: a ranking of many sources holds those of one network at a time."""
        for source in self:
            source.close()
            base_of(source).close()


def by_network(sources: Iterable[Source]) -> list[OfOneNetwork]:
    """Group the candidates that are layers of the same network, in the order of the first candidate of each group."""
    found: dict[tuple[str, ...], list[Source]] = {}
    for source in sources:
        base = base_of(source)
        # Equal weights under two names, or in two files, are separate sources.
        key = base.identity, base.name, str(getattr(base.network, "path", "")), source.dtype
        found.setdefault(key, []).append(source)
    return [OfOneNetwork(each) for each in found.values()]


class SharedPass:
    """The tables of candidates of one network; the first that is read makes the pass for all that aren't in the cache.

    While images pass, features are kept in memory only until they are written, by batches, to the cache or to a
    temporary folder. A killed pass resumes from the cache. A single candidate is passed like any source.
    """

    def __init__(
        self,
        sources: Sequence[Source],
        target: Target,
        *,
        batch_size: int = 256,
        cache: Path | None = None,
        evidence: Evidence = "logits",
        storage: Storage = "float32",
        required: bool = False,
        on_batch: Callable[[int], None] = lambda examples: None,
        before_timing: Callable[[], None] = lambda: None,
    ):
        """As `extract`, for several sources. `before_timing` is called after the pass, before one batch is timed."""
        self._sources, self._target, self._batch_size = sources, target, batch_size
        self._kept: _Kept = {"evidence": evidence, "storage": storage}
        self._cache, self._required, self._on_batch = cache, required, on_batch
        self._before_timing = before_timing
        self._together: Together | None = None
        self._whole: Cost | None = None
        self._is_alone = len(sources) == 1 and len(named_together(sources[0])) < 2
        self._is_done = self._is_alone
        self._exit = ExitStack()

    def __enter__(self) -> "SharedPass":
        return self

    def __exit__(self, *error: object) -> None:
        self._exit.close()

    def table(self, source: Source) -> Table:
        """The table of one of the candidates; raises as `extract` does."""
        check_reads(source, self._target)
        if not self._is_done:
            self._pass()
            self._is_done = True
        return extract(
            source,
            self._target,
            batch_size=self._batch_size,
            cache=self._cache,
            required=self._required,
            on_batch=self._on_batch if self._is_alone else lambda examples: None,
            cost=self._cost,
            **self._kept,
        )

    def _pass(self) -> None:
        """Write the parts of the tables that aren't there yet; `extract` puts each table together from its parts."""
        self._cache = self._cache if _is_writable(self._cache, self._required) else self._temporary()
        with ExitStack() as locks:
            missing = self._missing(self._sources)
            if missing:
                for path in sorted(map(self._path, missing)):  # in a fixed order, to avoid deadlocks
                    locks.enter_context(locked(path, "is extracting it"))
                missing = self._missing(missing)  # another process may have written them while this one waited
            if missing:
                self._together = Together(tuple(missing))
                self._write_parts(self._together)
            else:
                self._on_batch(len(self._target))

    def _write_parts(self, together: Together) -> None:
        folders = [self._path(each).with_suffix(".parts") for each in together.sources]
        shards = [Shards(folder, optional=not self._required) for folder in folders]
        row = _common_rows(shards)
        if row:
            self._on_batch(row)
        waiting: list[tuple[Outputs, ...]] = []
        written = time.monotonic()

        def write() -> int:
            of_each = zip(*waiting, strict=True)
            return max(each.write(outputs, row) for each, outputs in zip(shards, of_each, strict=True))

        sizes = []
        options = {"batch_size": self._batch_size, "start": row}
        for batch in forward_batches(together, self._target, together.preparation, **options):
            waiting.append(batch)
            sizes.append(len(batch[0].features))
            self._on_batch(sizes[-1])
            if time.monotonic() - written >= SECONDS or _bytes(waiting) >= MOST_WAITING:
                row, waiting, written = write(), [], time.monotonic()
        if waiting:
            write()
        self._batch_size = max(sizes[-2:], default=self._batch_size)  # it may have been halved

    def _cost(self, source: Source, batch_size: int) -> Cost:
        self._before_timing()
        if self._together is None or source not in self._together.sources:
            return measure_cost(source, batch_size)
        self._whole = self._whole or measure_together(self._together, batch_size)
        return cost_at(source, self._together, self._whole)

    def _missing(self, sources: Sequence[Source]) -> list[Source]:
        return [source for source in sources if self._kept_table(source) is None]

    def _kept_table(self, source: Source) -> Table | None:
        if self._required:
            return cached_table(self._path(source))
        assert self._cache is not None
        return kept_table(self._cache, source, self._target, **self._kept)

    def _path(self, source: Source) -> Path:
        assert self._cache is not None
        return table_path(self._cache, table_key(source, self._target), **self._kept)

    def _temporary(self) -> Path:
        return Path(self._exit.enter_context(TemporaryDirectory(prefix="leepjax-")))


def _is_writable(folder: Path | None, required: bool) -> bool:
    """Whether tables can be stored in a folder; raises an error if they are required and can't be."""
    if folder is None:
        return False
    try:
        check_writable(folder)
    except WriteError:
        if required:
            raise
        return False
    return True


def _common_rows(shards: Sequence[Shards]) -> int:
    """The row up to which all tables have the same parts; later parts are removed."""
    ends = [set(accumulate(len(outputs.features) for outputs in each.read())) for each in shards]
    row = max(set.intersection(*ends), default=0)
    for each in shards:
        each.cut(row)
    return row


def _bytes(batches: Sequence[tuple[Outputs, ...]]) -> int:
    return sum(array.nbytes for batch in batches for outputs in batch for array in outputs)
