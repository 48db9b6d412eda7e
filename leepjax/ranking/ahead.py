"""Compile programs of a ranking in threads while the images of its first source pass; only shapes are needed."""

from collections.abc import Callable, Collection, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import contextmanager
from functools import partial
from pathlib import Path

import jax

from leepjax.extraction.extract import is_kept
from leepjax.extraction.forward import first_batch_size
from leepjax.measures.by_task import evidence_of, measure_of
from leepjax.models.source import Source, WeightsFile, forward
from leepjax.ranking.bootstrap import compile_scores
from leepjax.ranking.plan import CARD_MEASURES, Plan
from leepjax.ranking.verify_source import is_by_core
from leepjax.transfer.cross_fitting import compile_heads

THREADS = 2
"""XLA compiles most of a program on one core."""

Wait = Callable[[str], None]
"""Wait until the program of a measure or verification is compiled, if a thread is going to compile it."""


@contextmanager
def compiled_ahead(plan: Plan, source: Source, names: Collection[str], cache: Path | None) -> Iterator[Wait]:
    """Compile the measures and verifications of a source with these names, if its images are about to pass.

    At the end, programs that no thread has begun with are dropped.
    """
    pool = ThreadPoolExecutor(THREADS, thread_name_prefix="leepjax-compile")
    coming: dict[str, Future[None]] = {}
    try:
        if names and _is_passed(plan, source, cache):
            coming = _submit(pool, plan, source, names)
        yield lambda name: coming[name].result() if name in coming else None
    finally:
        pool.shutdown(wait=False, cancel_futures=True)


def wait_for_all(wait: Wait, plan: Plan) -> None:
    """Wait until no thread compiles a program of a plan."""
    for name in (*plan.measures, plan.verify):
        wait(name)


def _is_passed(plan: Plan, source: Source, cache: Path | None) -> bool:
    """Whether images pass through one of leepjax's own networks, whose outputs have shapes that are known."""
    if not isinstance(source.network, WeightsFile) or {plan.target.kind, source.reads} != {"images"}:
        return False
    return cache is None or not is_kept(cache, source, plan.target)


def _submit(pool: ThreadPoolExecutor, plan: Plan, source: Source, names: Collection[str]) -> dict[str, Future[None]]:
    blank = source.preparation.blank(first_batch_size(plan.target, plan.settings.batch_size))
    passing = partial(forward, *source.opened, preparation=source.preparation, dtype=source.dtype)
    features, logits = jax.eval_shape(passing, inputs=jax.ShapeDtypeStruct(blank.shape, blank.dtype))
    num_classes, labels, n = len(plan.target.classes), plan.target.labels, len(plan.train)
    scored = jax.ShapeDtypeStruct((n, *labels.shape[1:]), labels.dtype)
    coming = {}
    for name in plan.measures:
        if name in names and name not in CARD_MEASURES:
            width = (features if evidence_of(measure_of(name)) == "features" else logits).shape[1]
            arguments = (n, width), scored, num_classes, plan.settings.resamples
            coming[name] = pool.submit(compile_scores, name, *arguments)
    if plan.verify in names and is_by_core(plan):
        coming[plan.verify] = pool.submit(compile_heads, features.shape[1], num_classes, plan.folds)
    return coming
