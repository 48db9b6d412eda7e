"""``leepjax metatrain``: meta-train an adaptation network for a frozen source."""

from pathlib import Path
from typing import Annotated

from cyclopts import Parameter

from leepjax.cli.options import cache_compilations, command_line, names_of
from leepjax.meta.recipe import MetaTraining
from leepjax.printable import printable
from leepjax.storage.files import cache_folder
from leepjax.types import SplitChoice


def metatrain(
    source: str,
    data: str,
    /,
    *,
    out: Path,
    name: str | None = None,
    classes: str | None = None,
    validation_classes: str | None = None,
    split: SplitChoice | None = None,
    image_size: int | None = None,
    ridge: float = 1.0,
    recipe: Annotated[MetaTraining, Parameter(name="*")] = MetaTraining(),
) -> None:
    """Meta-train (Simple CNAPs) on a frozen source; the same command resumes after Ctrl-C without loss.

    Parameters
    ----------
    source
        A ResNet: a name (leepjax ls sources), timm/<id>, local-dir:PATH, or the path of a .safetensors.
    data
        Labelled images whose classes the tasks are made of, as for rank (leepjax ls targets).
    out
        Folder for the meta-learner (NAME.safetensors and NAME.json), its curve (NAME.curve.jsonl), and checkpoints
        during training (NAME.checkpoints).
    name
        Name of the meta-learner; by default made of the source's and the data's names.
    classes
        Training classes, separated by commas; by default a random three fifths.
    validation_classes
        Validation classes, separated by commas; by default a random fifth. The rest is kept for metatest.
    split
        The split of the data to use; by default train.
    image_size
        Side in pixels of the images, if the source expects larger ones.
    ridge
        Multiple of the identity that is added to every covariance.
    """
    from leepjax.cli.progress import progress
    from leepjax.meta.metatrain import metatrain as run_metatrain

    cache_compilations(cache_folder())
    with progress(each_stage=True) as on_progress:
        _, card = run_metatrain(
            source,
            data,
            out=out,
            name=name,
            classes=names_of(classes),
            validation_classes=names_of(validation_classes),
            split=split,
            image_size=image_size,
            ridge=ridge,
            recipe=recipe,
            command=command_line(),
            on_step=lambda at: on_progress(f"{source}: {_status(at)}", at.episode, at.num_episodes),
        )
    known = "" if card.validation_accuracy is None else f", validation accuracy {card.validation_accuracy:.3f}"
    print(f"{printable(str(out / card.name))}.safetensors{known}")  # noqa: T201


def _status(at) -> str:
    """Status of a run. The text changes with each validation, so that a log has one line for each."""
    return f"meta-training, validation accuracy {at.validation_accuracy:.3f}:"
