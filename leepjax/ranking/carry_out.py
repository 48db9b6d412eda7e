"""Carry out plans: measure every source on every target, and make a ranking for each target."""

import logging
import os
from collections.abc import Callable, Iterator, Sequence
from contextlib import closing
from functools import partial
from pathlib import Path

import numpy as np

from leepjax.callbacks import OnProgress
from leepjax.engines.units import Engine, Outcome
from leepjax.extraction.shared_pass import by_network
from leepjax.opening.sources import NOT_OF_A_SOURCE, Failed, Opened, raise_for_all, reason_of
from leepjax.ranking import Failure, Ranking
from leepjax.ranking.examples import keep_examples, right_of
from leepjax.ranking.measure_source import NetworkOnTarget, measure_network
from leepjax.ranking.plan import Plan
from leepjax.storage.files import WriteError, check_writable
from leepjax.storage.outputs import UnwrittenError, check_folder
from leepjax.storage.records import Record, append_records, read_records

RESULTS = "results.jsonl"
"""The file of records in the folder that `rank` and `sweep` write."""


OnRecord = Callable[[Record], None]
"""Called with each record, after it is written."""


class Interrupt(KeyboardInterrupt):
    """Ctrl-C or another signal ended a command that ranks.

    Attributes:
        rankings: the rankings based on what was known; they may lack sources, measures and accuracies.
    """

    def __init__(self, rankings: Sequence[Ranking], cause: KeyboardInterrupt):
        super().__init__(*cause.args)
        self.rankings = tuple(rankings)


def check_out(out: Path) -> Path:
    """Check that records can be written to a folder, or that it holds records, which may be all that is requested.

    Returns:
        The folder's absolute path, which stays the same if the working folder changes.

    Raises:
        WriteError: when neither holds.
        InputError: when something other than a regular file is where a file is to be.
    """
    try:
        check_writable(out)
    except WriteError:
        if not (out / RESULTS).is_file():
            raise
    check_folder(out)
    return out.absolute()


def carry_out(
    caller: str,
    plans: Sequence[Plan],
    opened: Opened,
    engine: Engine,
    *,
    out: Path | None,
    cache: str | os.PathLike | None,
    on_progress: OnProgress,
    on_record: OnRecord = lambda record: None,
) -> list[Ranking]:
    """Measure every source on every target. Results are written as they arrive, so an interrupt loses none of them.

    Raises:
        InputError: when nothing could be measured; for a single source, its own error.
        UnwrittenError: when records can't be written.
        Interrupt: at Ctrl-C.
    """
    folder = Path(cache).absolute() if cache else None
    results = _Results(out and out / RESULTS, plans, opened, folder)
    measure = partial(measure_network, folder)
    try:
        with closing(engine(measure, results.units, on_progress)) as outcomes:
            for outcome in outcomes:
                for record in results.add(outcome):
                    on_record(record)
    except KeyboardInterrupt as interrupt:
        raise Interrupt(results.rankings(), interrupt) from interrupt
    except WriteError as error:
        raise UnwrittenError(results.rankings(), error) from error
    if not any(results.measured.values()):
        raise_for_all(caller, results.failed())
    rankings = results.rankings()
    if results.folder:
        for plan, ranking in zip(plans, rankings, strict=True):
            _keep_examples(results.folder, plan, ranking)
    return rankings


def _keep_examples(folder: Path, plan: Plan, ranking: Ranking) -> None:
    """Store thumbnails for the page: of the classes, and of the test examples that the sources disagree on."""
    verified = ranking.records_of(ranking.verified_by)
    masks = ((name, right_of(verified[name].right, len(plan.test))) for name in ranking.sources if name in verified)
    right = {name: mask for name, mask in masks if mask is not None}
    judged = plan.target.subset(plan.test if right else np.arange(0))
    keep_examples(folder, ranking.key, plan.target, judged, right, ranking.leaders)


class _Results:
    """The records of every unit, in the order of the units. New records are appended to the file at once."""

    def __init__(self, path: Path | None, plans: Sequence[Plan], opened: Opened, cache: Path | None):
        self._path, self._plans, self._opened = path, plans, opened
        before = read_records(path, mend=True) if path else []
        self._known = {record.key: record for record in before}
        self._written = {(record.key, record.source): record for record in before}
        several, networks = len(plans) > 1, by_network(opened.sources)
        self.units = [
            NetworkOnTarget(
                plan, sources, self._known, f"{plan.name}: {sources.name}" if several else sources.name, cache
            )
            for plan in plans
            for sources in networks
        ]
        if path and not self._is_writable(path.parent):
            self._path = None
        self.measured: dict[NetworkOnTarget, list[Record]] = {unit: [] for unit in self.units}
        self._errors: list[tuple[Plan, Failed]] = []
        for failed in opened.failed:
            _warn(failed)

    @property
    def folder(self) -> Path | None:
        """Where records are written; None if they aren't."""
        return self._path and self._path.parent

    def _is_writable(self, folder: Path) -> bool:
        """Whether `folder` can be written to; an error is raised if not, unless all records are known."""
        try:
            check_writable(folder)
        except WriteError:
            if not all(unit.is_known for unit in self.units):
                raise
            return False
        return True

    def add(self, outcome: Outcome) -> list[Record]:
        """Store the records and failures of a unit, and return the records; raise errors that all sources would get."""
        if isinstance(outcome.error, NOT_OF_A_SOURCE):
            raise outcome.error
        failed = [each for each in outcome.results if isinstance(each, Failed)]
        if outcome.error:
            failed += [Failed(source.name, outcome.error) for source in outcome.unit.sources]
        for each in failed:
            self._errors.append((outcome.unit.plan, each))
            _warn(each)
        records = [each for each in outcome.results if isinstance(each, Record)]
        self.measured[outcome.unit] += records
        # Sources with the same weights share keys, but each has its own name and card.
        news = {(record.key, record.source): record for record in records}
        news = {place: record for place, record in news.items() if self._written.get(place) != record}
        self._known.update({record.key: record for record in news.values()})
        self._written |= news
        if self._path and news:
            append_records(self._path, news.values())
        return records

    def failed(self) -> list[Failed]:
        """Every source that failed, once."""
        errors = [each for _, each in self._errors]
        return list({each.source: each for each in (*self._opened.failed, *errors)}.values())

    def rankings(self) -> list[Ranking]:
        """A ranking for each plan, from the records and failures so far."""
        return [
            Ranking(
                tuple(record for unit in self.units if unit.plan is plan for record in self.measured[unit]),
                plan.measures,
                None if plan.verify == "none" else plan.verify,
                tuple(self._failures(plan)),
            )
            for plan in self._plans
        ]

    def _failures(self, plan: Plan) -> Iterator[Failure]:
        errors = [each for of, each in self._errors if of is plan]
        for source, error in (*self._opened.failed, *errors):
            yield Failure(source, plan.target.name, reason_of(error))


def _warn(failed: Failed) -> None:
    logging.getLogger("leepjax").warning("%s is left out: %s", failed.source, reason_of(failed.error))
