"""``leepjax study``: the experiments of the LEEP paper, also with your own sources and targets."""

import sys
from pathlib import Path
from typing import Annotated, Literal

from cyclopts import Parameter

from leepjax.cli.options import cache_compilations, command_line, names_of, sources_of
from leepjax.printable import printable
from leepjax.storage.files import cache_folder
from leepjax.types import EngineName, InputError


def study(
    name: Literal["large", "small-balanced", "small-imbalanced", "convergence", "source-selection"],
    /,
    *,
    scale: Literal["paper", "desk", "smoke"] = "desk",
    out: Path = Path("studies"),
    sources: str | None = None,
    train: str | None = None,
    test: str | None = None,
    tasks: int | None = None,
    trained: int | None = None,
    methods: str | None = None,
    measures: str | None = None,
    learners: str | None = None,
    epochs: int | None = None,
    image_size: int | None = None,
    seed: int | None = None,
    engine: EngineName = "serial",
    workers: int | None = None,
    cache: Annotated[bool, Parameter(negative="--no-cache")] = True,
    dry_run: Annotated[bool, Parameter(negative=())] = False,
) -> None:
    """Repeat an experiment of the LEEP paper: sample tasks, score sources on them, transfer, and record the results.

    leepjax report draws the results. Running again doesn't repeat recorded work.

    Parameters
    ----------
    name
        large: tasks of many images, heads and fine-tuning. small-balanced, small-imbalanced: a few dozen images
        per class. convergence: fine-tuning against training from scratch. source-selection: many sources for one task.
    scale
        paper: the paper's size, for GPUs and TPUs. desk: a few hours on two cores. smoke: a check on digits that takes
        a minute.
    out
        Folder for NAME/tasks.jsonl.gz, outcomes.jsonl and study.json.
    sources
        Sources instead of the study's: names (leepjax ls sources), local-dir:PATH or .safetensors paths, separated by
        commas.
    train
        Training sets of the targets instead of the study's, separated by commas (leepjax ls targets).
    test
        Their test sets, in the same order.
    tasks
        Number of tasks of each kind.
    trained
        Number of tasks (the first ones) that are also fine-tuned or learned from scratch.
    methods
        head, finetune, meta, scratch, separated by commas.
    measures
        Names separated by commas, or all (leepjax ls measures); by default the measures of the LEEP paper and related
        ones. The trivial baselines are scored, too. Scores that are recorded already are kept.
    learners
        Meta-learners for the method meta, one per source, separated by commas: .safetensors of leepjax metatrain.
    epochs
        Epochs of fine-tuning and training from scratch.
    image_size
        Side in pixels at which to fine-tune sources that expect larger images.
    seed
        Seed of the sampled tasks.
    engine
        Where trainings run: in this process, in several processes, or in Ray's workers (on the cluster at
        $RAY_ADDRESS, if set).
    workers
        How many processes, for that engine alone; one per core by default.
    cache
        Keep extracted features in the user's cache folder ($LEEPJAX_CACHE if set).
    dry_run
        Print what is still to be computed, in FLOPs and in hours on this machine, and end.
    """
    from dataclasses import replace

    from leepjax.cli.progress import progress
    from leepjax.studies.cost import cost_of_study
    from leepjax.studies.paper.catalogue import STUDIES
    from leepjax.studies.run import run_study

    config = STUDIES[name][scale]
    if (train is None) != (test is None) or len(names_of(train) or ()) != len(names_of(test) or ()):
        raise InputError(
            f"study: expected as many test sets as training sets, got --train {train} and --test {test}; "
            "pass one test set per training set."
        )
    chosen = {
        "sources": sources_of(sources),
        "targets": train and list(zip(names_of(train) or (), names_of(test) or (), strict=True)),
        "num_tasks": tasks,
        "num_trained": trained,
        "methods": names_of(methods),
        "measures": names_of(measures),
        "learners": names_of(learners),
        "recipe": None if epochs is None else replace(config.recipe, epochs=epochs),
        "image_size": image_size,
        "seed": seed,
    }
    given = {
        key: tuple(value) if isinstance(value, list) else value for key, value in chosen.items() if value is not None
    }
    config = replace(config, **given)
    folder = cache_folder() if cache else None
    cache_compilations(folder)
    if dry_run:
        print(f"To compute: {cost_of_study(config, out, folder)}.")  # noqa: T201
        return
    with progress() as on_progress:
        outcomes = run_study(
            config,
            scale=scale,
            out=out,
            engine=engine,
            workers=workers,
            cache=folder,
            command=command_line(),
            on_progress=on_progress,
            on_cost=lambda cost: print(f"To compute: {cost}.", file=sys.stderr),  # noqa: T201
        )
    print(f"{len(outcomes)} outcomes in {printable(str(out / name))}")  # noqa: T201
