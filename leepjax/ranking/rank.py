"""Score every source on a target, rank the sources, and verify the ranking by training."""

import os
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from leepjax.callbacks import OnProgress
from leepjax.engines.serial import serial
from leepjax.models.tapped import read_layers
from leepjax.opening.inputs import inputs_of
from leepjax.opening.matching import match_tables, report_copied_rows
from leepjax.opening.sources import AnySource, open_each
from leepjax.opening.target import AnyTarget
from leepjax.ranking import Ranking
from leepjax.ranking.bootstrap import warn_of_few_resamples
from leepjax.ranking.carry_out import OnRecord, carry_out, check_out
from leepjax.ranking.plan import make_plan
from leepjax.types import DType, Metric, Pooling, SplitChoice, Task, Verify


def rank(
    target: AnyTarget | None = None,
    sources: Sequence[AnySource] | AnySource | None = None,
    measures: Sequence[str] | None = None,
    *,
    tables: Sequence[str | os.PathLike] | str | os.PathLike = (),
    labels: Any = None,
    features: str | Sequence[str] | None = None,
    pooling: Pooling | Sequence[Pooling] | None = None,
    verify: Verify = "head",
    metric: Metric | None = None,
    test: AnyTarget | None = None,
    test_fraction: float = 0.2,
    groups: str | None = None,
    limit: int | None = None,
    seed: int = 0,
    resamples: int = 200,
    confidence: float = 0.95,
    batch_size: int = 256,
    dtype: DType | None = None,
    strict: bool = False,
    split: SplitChoice | None = None,
    image_column: str | None = None,
    label_column: str | None = None,
    text_column: str | None = None,
    text_pair_column: str | None = None,
    task: Task | None = None,
    out: str | os.PathLike | None = None,
    cache: str | os.PathLike | None = None,
    on_progress: OnProgress = lambda what, done, total: None,
    on_record: OnRecord = lambda record: None,
) -> Ranking:
    """Rank source models for a target by transferability: by the accuracy of heads trained on them, and by measures.

    Each source sees each image once; measures and heads read its outputs. With verification a head (or the whole
    network) is trained for each source and judged on examples that it wasn't trained on. On a small target without a
    test part the examples are held out in turn (repeated stratified cross-fitting), so that each is a test example;
    otherwise one part is held out. Measures see the examples that heads are trained on.

    Args:
        target: ``digits``; a folder ``class/image.png``; an ``.npz`` with `images` and `labels`; a ``.parquet``;
            ``tfds:NAME[:SPLIT]``; ``hf:NAME_OR_PATH[:SPLIT]``; a tuple of arrays (uint8 [n h w 3] or [n h w], integers
            [n]); an iterable of images (arrays, Pillow's, or encoded) with their labels; or a `Target`. None with
            `tables`, whose labels are those in the files or `labels`.
        sources: what `leepjax.load_source` takes, names of sets (``paper9``, ``shipped``), or `Source`s; all that are
            shipped by default.
        measures: names from `leepjax.MEASURES`, the leading one first, or ``all``; those in `leepjax.DEFAULT_MEASURES`
            by default. For numbers and several labels, those of `leepjax.FURTHER` that fit the task, by default all.
            ``source_accuracy`` and ``num_parameters`` are baselines that don't read the target: the accuracy of the
            source on its own test set, and its size.
        tables: paths of files of embeddings, each of them a source, or of folders of tables that ``leepjax extract``
            wrote (see `leepjax.as_table`). No shipped sources are added to them.
        labels: of the examples of tables, in place of a target: the path of a ``.csv``, ``.tsv``, ``.jsonl``,
            ``.parquet``, ``.npz`` or ``.npy``, or labels [n] themselves.
        features: layers of each source as candidates: names of blocks (``leepjax ls blocks SOURCE``), globs such as
            ``blocks.*``, ``all-blocks``, or ``last``, the source as it is. The layers of a source share one pass.
        pooling: how a layer's output becomes a vector: ``mean``, ``max``, ``gem`` (p = 3), ``cls``, ``layers`` (the
            mean over this and all earlier layers) or ``head`` (as the network's own head pools the last layer); one or
            several. By default ``mean``, and ``head`` for ``last``.
        verify: ``head`` re-trains a linear head, ``ridge`` fits one by least squares in closed form, which is cheapest,
            ``finetune`` trains everything (only for classes), ``none`` verifies nothing. Heads of numbers are ridge
            probes, those of several labels a logistic regression of each label.
        metric: of verification: ``accuracy``; ``balanced_accuracy``, the mean recall of the classes; ``macro_f1``;
            ``log_loss`` in nats, where lower is better (not with ``ridge``, which gives no probabilities); or
            ``auroc``, of each class against the rest, the mean over the classes. Of numbers ``r2``, ``mae`` (where
            lower is better) or ``spearman``; of several labels ``map``, ``macro_f1`` or ``auroc``, means over the
            labels. By default the first one of the task.
        test: a second target to verify on, its test split if it comes in splits; its classes are found by name among
            the target's. By default the target's own test split, or else parts of the target.
        test_fraction: of a target without a test part, the share that is held out at a time, in (0, 1). Heads are
            cross-fitted in 1 / test_fraction folds, twice, where this share is fewer than 1,000 examples.
        groups: of images that belong together, such as those of one patient: all of a group are held out together, and
            the bootstrap resamples groups. A column of a ``.parquet``, ``hf:`` or ``tfds:`` set, a key of an ``.npz``,
            or ``folder``: the folder directly below the class folder (``class/patient/image.png``).
        limit: use at most this many examples, stratified by class.
        seed: of the limit, the split, the bootstrap and the training.
        resamples: bootstrap resamples for the intervals, at least 10, and 2 / (1 − confidence) for their ends; 0 for no
            intervals, which helps where measures are slow. Each resample is scored again. That is little work for LEEP
            and the measures that share its joint, while ``knn`` and ``tmi`` search all pairs of examples, and
            ``n_leep``, ``pactran_gaussian`` and ``calibrated_leep`` iterate.
        confidence: confidence of the intervals, in (0, 1).
        batch_size: largest number of images that pass through a source at once; on a CPU they are at most 64.
        dtype: of the sources' computation, ``float32`` or ``bfloat16``; by default that of each source.
        strict: whether an image that can't be decoded, or a file of a folder that isn't used, is an error; they are
            left out and counted in a warning otherwise.
        split: of a target that comes in splits, the part to use (``train``, ``val`` or ``test``), or ``all`` as one
            set. By default measures see the training part, and accuracy is verified on the test part, else on the
            validation part.
        image_column: of a ``.parquet``, ``hf:`` or ``tfds:`` target, the column of images; by default the only one, or
            the one called ``image``.
        label_column: likewise of labels; by default the one declared as such, or called ``label`` or the like. Several
            columns, joined by commas, are numbers, or labels of 0 and 1.
        text_column: likewise of texts, or of lists of labelled words; by default the only one, or the one called
            ``text`` or the like.
        text_pair_column: of second texts, where labels are of pairs of texts.
        task: what the labels are: ``classes``, ``regression`` (numbers) or ``multilabel`` (several labels or none for
            each example). By default guessed by the rule of `leepjax.data.guessed_task`, and logged unless classes.
        out: folder for ``results.jsonl``; what it already holds isn't measured again. It needn't be writable if it
            holds all that is asked for.
        cache: folder for extracted features; nothing is cached when left out.
        on_progress: called with the current work, the number done and the total.
        on_record: called in this process with each `leepjax.storage.records.Record`, after it is written, such as to
            log it to an experiment tracker.

    Returns:
        A `Ranking`, best source first: prints as an answer and tables, ``.best``, ``.leaders``, ``.agreement()``,
        ``.to_records()``; ``.failures`` holds the sources that couldn't be opened or measured, with the reason. Sources
        of one name are distinguished by path, or by hash.

    Raises:
        ValueError: for a target or a measure that doesn't exist, a single class, arguments out of range, or when every
            source fails; for a single source, its own error.
        OSError: when something is to be measured and `out` can't be written to, before anything is measured.
        Interrupt: at Ctrl-C, with the ranking of what is known so far.
    """
    folder = None if out is None else check_out(Path(out))
    layers = read_layers("rank", features, pooling)
    inputs = inputs_of("rank", target, sources, tables, labels, test, (label_column, groups))
    plan = make_plan(
        "rank",
        inputs.target,
        measures,
        verify=verify,
        metric=metric,
        test=inputs.test,
        test_fraction=test_fraction,
        groups=groups,
        limit=limit,
        seed=seed,
        resamples=resamples,
        confidence=confidence,
        batch_size=batch_size,
        dtype=dtype,
        strict=strict,
        split=split,
        image_column=image_column,
        label_column=label_column,
        text_column=text_column,
        text_pair_column=text_pair_column,
        task=task,
    )
    warn_of_few_resamples(resamples, confidence)
    opened = match_tables(open_each("rank", inputs.sources, dtype, layers), plan.target)
    if plan.verify != "none":
        report_copied_rows(opened, plan.parted)
    (ranking,) = carry_out(
        "rank", [plan], opened, serial, out=folder, cache=cache, on_progress=on_progress, on_record=on_record
    )
    return ranking
