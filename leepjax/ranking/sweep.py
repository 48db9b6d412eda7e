"""Several targets: every source measured on each of them, here or elsewhere, and a ranking for each target."""

import os
from collections.abc import Sequence
from pathlib import Path

from leepjax.callbacks import OnProgress
from leepjax.engines.opening import open_engine
from leepjax.opening.sources import AnySource, open_each, several, twice
from leepjax.opening.target import AnyTarget
from leepjax.ranking import Ranking
from leepjax.ranking.carry_out import carry_out, check_out
from leepjax.ranking.plan import Verify, make_plan
from leepjax.types import EngineName, InputError, SplitChoice


def sweep(
    targets: Sequence[AnyTarget] | str | os.PathLike,
    sources: Sequence[AnySource] | AnySource | None = None,
    measures: Sequence[str] | None = None,
    *,
    engine: EngineName = "serial",
    workers: int | None = None,
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

    Each source on each target is a unit of work, and every engine gives the same results. With ``engine="ray"`` a unit
    whose worker is killed is tried again. Ray is started here with a worker for each core, unless it already runs in
    this process or ``RAY_ADDRESS`` names a cluster. Sources, arrays and ``.npz`` files are sent to the workers; a
    folder's images aren't: on a cluster they must be at the same path everywhere. With ``engine="processes"`` a worker
    that is killed ends all units that aren't done; a script must call `sweep` under ``if __name__ == "__main__":``, as
    `multiprocessing` asks of every program that starts processes.

    Args:
        targets: a list of what `rank` takes as its target.
        sources: as in `rank`.
        measures: as in `rank`.
        engine: ``serial``, one source on one target after the other in this process; ``processes`` of this machine,
            each with its share of the cores; or ``ray``.
        workers: how many ``processes``; one per core by default.
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
    run_units = open_engine("sweep", engine, workers)
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
    rankings = carry_out("sweep", plans, opened, run_units, out=out, cache=cache, on_progress=on_progress)
    return dict(zip(names, rankings, strict=True))
