"""Sources × targets: every cell measured, by this process or by Ray's workers, and a ranking for each target."""

import os
from collections.abc import Mapping, Sequence
from contextlib import closing
from pathlib import Path
from typing import Literal, get_args

from leepjax.experiments.cell import Cell, Measured, OnProgress, Run, Study, Verify
from leepjax.experiments.plan import AnySource, AnyTarget, open_sources, plan, several, twice
from leepjax.models.source import Source
from leepjax.ranking import Ranking
from leepjax.records import Record, append_records, read_records
from leepjax.types import InputError, SplitChoice, unknown_name

Engine = Literal["serial", "ray"]


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
        split: of a folder that comes in splits, the part to use (``train``, ``val`` or ``test``), or ``all`` as one
            set. By default measures see the
            training part, and accuracy is verified on the test part, else on the validation part.
        out: folder for ``results.jsonl``, the same that `rank` writes; what it already holds isn't measured again.
        cache: folder for extracted features, one on each machine; nothing is cached when left out.
        on_progress: called with what is under way, the number done and the total.

    Returns:
        Target's name → its `Ranking`, in the order of `targets`.

    Raises:
        ValueError: for a target or a name that isn't there or stands there twice, one class only, arguments out of
            range, or the Ray engine without Ray.
        ChildProcessError: when a cell's workers keep dying; what other cells gave is in `out`.
    """
    run = _open_engine(engine)
    studies = [
        plan(
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
        )
        for target in several(targets)
    ]
    names = [study.target.name for study in studies]
    if not names:
        raise InputError("sweep: expected at least one target, got none; name one.")
    if name := twice(names):
        raise InputError(f"sweep: expected targets of different names, got {name!r} twice; drop or rename one.")
    opened = open_sources("sweep", sources)
    rankings = carry_out(studies, opened, run, out=out, cache=cache, on_progress=on_progress)
    return dict(zip(names, rankings, strict=True))


def carry_out(
    studies: Sequence[Study],
    sources: Sequence[Source],
    run: Run,
    *,
    out: str | os.PathLike | None,
    cache: str | os.PathLike | None,
    on_progress: OnProgress,
) -> list[Ranking]:
    """Measure every source on every target; what comes is written at once, so that an interrupt loses nothing of it."""
    path = Path(out) / "results.jsonl" if out is not None else None
    known = {record.key: record for record in (read_records(path, mend=True) if path else ())}
    cells = [Cell(study, source) for study in studies for source in sources]
    measured: dict[Cell, list[Record]] = {cell: [] for cell in cells}
    with closing(run(cells, known, Path(cache).absolute() if cache else None, on_progress)) as results:
        for cell, records in results:
            measured[cell] += records
            # Sources of the same weights share their records: the first of each key is written.
            news = {record.key: record for record in reversed(records) if record.key not in known}
            known |= news
            if path:
                append_records(path, reversed(news.values()))
    return [
        Ranking(
            tuple(record for cell in cells if cell.study is study for record in measured[cell]),
            study.measures,
            None if study.verify == "none" else study.verify,
        )
        for study in studies
    ]


def serial(cells: Sequence[Cell], known: Mapping[str, Record], cache: Path | None, on_progress: OnProgress) -> Measured:
    """Measure one cell after the other in this process; each record comes as soon as it is there."""
    several_targets = len({cell.study.target.name for cell in cells}) > 1
    for cell in cells:
        prefix = f"{cell.study.target.name}: " if several_targets else ""
        for record in cell.measure(known, cache, lambda what, *at, prefix=prefix: on_progress(prefix + what, *at)):
            yield cell, [record]


def _open_engine(engine: Engine) -> Run:
    if engine not in get_args(Engine):
        raise unknown_name("engine", engine, get_args(Engine))
    if engine == "serial":
        return serial
    from leepjax.experiments.ray_engine import ray_engine  # Ray is an extra

    return ray_engine()
