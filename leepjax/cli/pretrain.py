"""``leepjax pretrain``: train a source."""

from pathlib import Path
from typing import Annotated, Literal

from cyclopts import Parameter

from leepjax.cli.options import Read, command_line, names_of
from leepjax.cli.output import training_status
from leepjax.transfer.recipe import Recipe
from leepjax.types import Reading


def pretrain(
    target: str,
    /,
    *,
    name: str,
    test: str | None = None,
    out: Path = Path(),
    classes: str | None = None,
    model: Literal["resnet20", "resnet32", "resnet44", "resnet56"] = "resnet20",
    recipe: Annotated[Recipe, Parameter(name="*")] = Recipe(),
    data: str = "",
    licence: str = "",
    reading: Read = Reading(),
) -> None:
    """Train a source model and write its weights and model card.

    Parameters
    ----------
    target
        The training images: a folder, an .npz, or digits.
    test
        The test images, in the same formats; can be left out if the training images come in splits.
    name
        The source's name: NAME.safetensors and NAME.json are written.
    out
        Folder for these files.
    classes
        Train on these classes only, separated by commas.
    model
        The architecture.
    data
        Description of the images, for the model card.
    licence
        Licence of the images, for the model card.
    """
    from leepjax.adapting.pretrain import open_sets
    from leepjax.adapting.pretrain import pretrain as run_pretrain
    from leepjax.cli.progress import progress
    from leepjax.tables import render

    train_set, test_set = open_sets(target, test, names_of(classes), **vars(reading))
    with progress(each_stage=True) as on_progress:
        source = run_pretrain(
            train_set,
            test_set,
            name,
            out,
            model=model,
            recipe=recipe,
            data=data,
            licence=licence,
            command=command_line(),
            on_step=lambda at: on_progress(f"{name}: {training_status(at)}", at.step + 1, at.num_steps),
        )
    row = {"source": name, "weights": str(out / f"{name}.safetensors"), "test accuracy": source.card.accuracy}
    print(render([row], "table"))  # noqa: T201
