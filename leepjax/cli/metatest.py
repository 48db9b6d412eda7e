"""``leepjax metatest``: the accuracy of a meta-learner on many small tasks."""

from pathlib import Path
from typing import Annotated

from cyclopts import Parameter

from leepjax.cli.options import cache_compilations, names_of
from leepjax.meta.sizes import TaskSizes
from leepjax.storage.files import cache_folder
from leepjax.tables import Format
from leepjax.types import SplitChoice


def metatest(
    learner: Path,
    data: str,
    /,
    *,
    classes: str | None = None,
    split: SplitChoice | None = None,
    sizes: Annotated[TaskSizes, Parameter(name="*")] = TaskSizes(),
    episodes: int = 600,
    seed: int = 0,
    source: str | None = None,
    format: Format = "table",
) -> None:
    """Test a meta-learner on random tasks of a set, beside the same source without adaptation.

    Parameters
    ----------
    learner
        The .safetensors that leepjax metatrain wrote.
    data
        Labelled images whose classes the tasks are made of, as for rank (leepjax ls targets).
    classes
        Classes of the tasks, separated by commas. By default all, if the data have none of the training and validation
        classes, or else those that training held out. Needed where classes called by numbers may be the trained ones.
    split
        The split of the data to use; by default train.
    episodes
        Number of tasks.
    seed
        Seed of the tasks.
    source
        The source that it was trained for; by default the one named on its card.
    format
        Output format.
    """
    from leepjax.cli.progress import progress
    from leepjax.meta.metatest import metatest as run_metatest
    from leepjax.tables import render

    cache_compilations(cache_folder())
    with progress() as on_progress:
        rows = run_metatest(
            learner,
            data,
            classes=names_of(classes),
            split=split,
            sizes=sizes,
            episodes=episodes,
            seed=seed,
            source=source,
            on_progress=on_progress,
        )
    print(render(rows, format))  # noqa: T201
