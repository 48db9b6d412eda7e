"""``leepjax retrain``: a new head for a source."""

from pathlib import Path
from typing import Annotated

from cyclopts import Parameter

from leepjax.cli.options import ExampleOptions, cache_compilations, command_line
from leepjax.cli.output import print_adapted, printed_if_unwritten
from leepjax.storage.files import cache_folder
from leepjax.tables import Format


def retrain(
    target: str,
    /,
    *,
    source: str,
    examples: Annotated[ExampleOptions, Parameter(name="*", negative=())] = ExampleOptions(),
    seed: int = 0,
    out: Path | None = None,
    name: str | None = None,
    cache: Annotated[bool, Parameter(negative="--no-cache")] = True,
    format: Format = "table",
) -> None:
    """Re-train the head of a source: logistic regression on its frozen features, L2 chosen on the training part.

    Parameters
    ----------
    target
        A target, as for rank (leepjax ls targets).
    source
        A name (leepjax ls sources), timm/<id>, local-dir:PATH, or the path of a .safetensors.
    seed
        Seed for drawing the examples of --limit, the split and the folds.
    out
        Folder for the network with its new head: a source, NAME.safetensors and NAME.json.
    name
        Name of the network; by default made of the source's and the target's names.
    cache
        Keep extracted features in the user's cache folder ($LEEPJAX_CACHE if set).
    format
        Output format.
    """
    from leepjax.adapting.parts import parts
    from leepjax.adapting.retrain import retrain as run_retrain
    from leepjax.cli.progress import progress

    folder = cache_folder() if cache else None
    cache_compilations(folder)
    split = parts("retrain", target, **vars(examples), seed=seed)
    with printed_if_unwritten(format), progress() as on_progress:
        adapted = run_retrain(
            source,
            split,
            seed=seed,
            out=out,
            name=name,
            command=command_line(),
            cache=folder,
            on_progress=on_progress,
        )
    print_adapted(adapted, format)
