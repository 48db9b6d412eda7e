"""Sources × targets: every cell measured, by this process or by Ray's workers, and a ranking for each target."""

import logging
import os
from collections.abc import Iterator, Mapping, Sequence
from contextlib import closing
from functools import partial
from pathlib import Path
from typing import Literal, get_args

from leepjax.callbacks import OVERALL, OnProgress
from leepjax.opening.sources import (
    NOT_OF_A_SOURCE,
    AnySource,
    Failed,
    Opened,
    open_each,
    raise_for_all,
    reason_of,
    several,
    twice,
)
from leepjax.opening.target import AnyTarget
from leepjax.ranking import Failure, Ranking
from leepjax.ranking.cell import Cell, Measured, Run
from leepjax.ranking.plan import Plan, Verify, make_plan
from leepjax.storage.files import WriteError, check_writable
from leepjax.storage.records import Record, append_records, read_records
from leepjax.types import InputError, SplitChoice, unknown_name

Engine = Literal["serial", "ray"]

RESULTS = "results.jsonl"
"""The file of records in the folder that rank and sweep write."""


def sweep(
    targets: Sequence[AnyTarget] | str | os.PathLike,
    sources: Sequence[AnySource] | AnySource | None = None,
    measures: Sequence[str] | None = None,
    *,
    engine: Engine = "serial",
    verify: Verify = "head",
    limit: int | None = None,
    seed: int = 0,
    resamples: int = 200,
    confidence: float = 0.95,
    test_fraction: float = 0.2,
    strict: bool = False,
    split: SplitChoice | None = None,
    image_column: str | None = None,
    label_column: str | None = None,
    out: str | os.PathLike | None = None,
    cache: str | os.PathLike | None = None,
    on_progress: OnProgress = lambda what, done, total: None,
) -> dict[str, Ranking]:
    """Rank the sources for each of several targets; what is measured of a target is what `rank` measures of it.

    With ``engine="ray"`` each source on each target is a task of its own. A task whose worker is killed is retried,
    and the results are those of the serial engine. Ray is started here with a worker for each core, unless it already
    runs in this process or ``RAY_ADDRESS`` names a cluster. Sources, arrays and ``.npz`` files travel to the workers;
    a folder's images don't: on a cluster they must lie at the same path everywhere.

    Args:
        targets: a list of what `rank` takes as its target.
        sources: as in `rank`.
        measures: as in `rank`.
        engine: ``serial``, one cell after the other in this process, or ``ray``.
        verify: as in `rank`.
        limit: use at most this many examples of each target, stratified by class.
        seed: of the limit, the split, the bootstrap and the training.
        resamples: bootstrap resamples for the scores' intervals; 0 for no intervals.
        confidence: of the intervals, in (0, 1).
        test_fraction: share of the examples kept for verification, in (0, 1).
        strict: whether an image that can't be decoded, or a file of a folder that isn't used, is an error; they are
            left out and counted in a warning otherwise.
        split: of a target that comes in splits, the part to use (``train``, ``val`` or ``test``), or ``all`` as one
            set. By default measures see the training part, and accuracy is verified on the test part, else on the
            validation part.
        image_column: of a ``.parquet``, ``hf:`` or ``tfds:`` target, the column of images; by default the only one, or
            the one called ``image``.
        label_column: likewise of labels; by default the one declared as such, or called ``label`` or the like.
        out: folder for ``results.jsonl``, the same that `rank` writes; what it already holds isn't measured again.
        cache: folder for extracted features, one on each machine; nothing is cached when left out.
        on_progress: called with what is under way, the number done and the total.

    Returns:
        Target's name → its `Ranking`, in the order of `targets`. What fails of a source on a target is in the
        ranking's ``failures``, and the others go on.

    Raises:
        ValueError: for a target or a measure that isn't there, a name that stands there twice, one class only,
            arguments out of range, the Ray engine without Ray, or when every source fails on every target.
        OSError: when something is to be measured and `out` can't be written to, before anything is measured.
        Interrupt: at Ctrl-C, with the rankings of what is known so far.
    """
    run = _open_engine(engine)
    if out is not None:
        check_out(Path(out))
    plans = [
        make_plan(
            "sweep",
            target,
            measures,
            verify=verify,
            limit=limit,
            seed=seed,
            resamples=resamples,
            confidence=confidence,
            test_fraction=test_fraction,
            strict=strict,
            split=split,
            image_column=image_column,
            label_column=label_column,
        )
        for target in several(targets)
    ]
    names = [plan.target.name for plan in plans]
    if not names:
        raise InputError("sweep: expected at least one target, got none; name one.")
    if name := twice(names):
        raise InputError(f"sweep: expected targets of different names, got {name!r} twice; drop or rename one.")
    opened = open_each("sweep", sources)
    rankings = carry_out("sweep", plans, opened, run, out=out, cache=cache, on_progress=on_progress)
    return dict(zip(names, rankings, strict=True))


def check_out(out: Path) -> None:
    """Make sure that records can be written to a folder, or that it holds some, which may be all that is asked for.

    Raises:
        WriteError: when there is neither.
    """
    try:
        check_writable(out)
    except WriteError:
        if not (out / RESULTS).is_file():
            raise


class Interrupt(KeyboardInterrupt):
    """Ctrl-C or another signal ended a command that ranks.

    Attributes:
        rankings: of what was known then; a ranking may lack sources, measures and accuracies.
    """

    def __init__(self, rankings: Sequence[Ranking], cause: KeyboardInterrupt):
        super().__init__(*cause.args)
        self.rankings = tuple(rankings)


def carry_out(
    caller: str,
    plans: Sequence[Plan],
    opened: Opened,
    run: Run,
    *,
    out: str | os.PathLike | None,
    cache: str | os.PathLike | None,
    on_progress: OnProgress,
) -> list[Ranking]:
    """Measure every source on every target; what comes is written at once, so that an interrupt loses nothing of it.

    Raises:
        InputError: when nothing could be measured; of a single source, its own error.
        Interrupt: at Ctrl-C.
    """
    results = _Results(Path(out) / RESULTS if out is not None else None, plans, opened)
    try:
        with closing(run(results.cells, results.known, Path(cache).absolute() if cache else None, on_progress)) as each:
            for cell, measured in each:
                results.add(cell, measured)
    except KeyboardInterrupt as interrupt:
        raise Interrupt(results.rankings(), interrupt) from interrupt
    if not any(results.measured.values()):
        raise_for_all(caller, results.failed())
    return results.rankings()


class _Results:
    """What is known of every cell, in the order of the cells; it is written as it comes."""

    def __init__(self, path: Path | None, plans: Sequence[Plan], opened: Opened):
        self._path, self._plans, self._opened = path, plans, opened
        before = read_records(path, mend=True) if path else []
        self.known = {record.key: record for record in before}
        self._written = {(record.key, record.source): record for record in before}
        self.cells = [Cell(plan, source) for plan in plans for source in opened.sources]
        if path and not self._is_writable(path.parent):
            self._path = None
        self.measured: dict[Cell, list[Record]] = {cell: [] for cell in self.cells}
        self._errors: dict[Cell, Exception] = {}
        for failed in opened.failed:
            _warn(failed)

    def _is_writable(self, folder: Path) -> bool:
        """Whether `folder` can be written to; if not, that is an error unless all that is asked for is known."""
        try:
            check_writable(folder)
        except WriteError:
            if any(cell.work().keys() - self.known.keys() for cell in self.cells):
                raise
            return False
        return True

    def add(self, cell: Cell, measured: list[Record] | Exception) -> None:
        if isinstance(measured, Exception):
            self._errors[cell] = measured
            _warn(Failed(cell.source.name, measured))
            return
        self.measured[cell] += measured
        # Sources of the same weights share keys, and each has its own name and card.
        news = {(each.key, each.source): each for each in measured}
        news = {place: record for place, record in news.items() if self._written.get(place) != record}
        self.known.update({record.key: record for record in news.values()})
        self._written |= news
        if self._path:
            append_records(self._path, news.values())

    def failed(self) -> list[Failed]:
        """Every source that failed, once."""
        errors = [Failed(cell.source.name, error) for cell, error in self._errors.items()]
        return list({each.source: each for each in (*self._opened.failed, *errors)}.values())

    def rankings(self) -> list[Ranking]:
        return [
            Ranking(
                tuple(record for cell in self.cells if cell.plan is plan for record in self.measured[cell]),
                plan.measures,
                None if plan.verify == "none" else plan.verify,
                tuple(self._failures(plan)),
            )
            for plan in self._plans
        ]

    def _failures(self, plan: Plan) -> Iterator[Failure]:
        errors = [Failed(cell.source.name, error) for cell, error in self._errors.items() if cell.plan is plan]
        for source, error in (*self._opened.failed, *errors):
            yield Failure(source, plan.target.name, reason_of(error))


def _warn(failed: Failed) -> None:
    logging.getLogger("leepjax").warning("%s is left out: %s", failed.source, reason_of(failed.error))


def serial(cells: Sequence[Cell], known: Mapping[str, Record], cache: Path | None, on_progress: OnProgress) -> Measured:
    """Measure one cell after the other in this process; each record comes as soon as it is there."""
    several_targets = len({cell.plan.target.name for cell in cells}) > 1
    for number, cell in enumerate(cells, start=1):
        prefix = f"{cell.plan.target.name}: " if several_targets else ""
        report = partial(_with_prefix, on_progress, prefix)
        try:
            for record in cell.measure(known, cache, report):
                yield cell, [record]
        except NOT_OF_A_SOURCE:
            raise
        except Exception as error:
            yield cell, error
        on_progress(f"{OVERALL}: {cell.name}", number, len(cells))


def _with_prefix(on_progress: OnProgress, prefix: str, what: str, done: int, total: int) -> None:
    on_progress(prefix + what, done, total)


def _open_engine(engine: Engine) -> Run:
    if engine not in get_args(Engine):
        raise unknown_name("engine", engine, get_args(Engine))
    if engine == "serial":
        return serial
    from leepjax.ranking.ray_engine import ray_engine  # Ray is an extra

    return ray_engine()
