"""``leepjax pretrain``: train a source."""

import shlex
import sys
from pathlib import Path
from typing import Literal

from leepjax.cli.options import names_of


def pretrain(
    target: str,
    /,
    *,
    test: str,
    name: str,
    out: Path = Path(),
    classes: str | None = None,
    model: Literal["resnet20", "resnet32", "resnet44", "resnet56"] = "resnet20",
    epochs: int = 20,
    batch_size: int = 128,
    learning_rate: float = 0.1,
    seed: int = 0,
    data: str = "",
    licence: str = "",
) -> None:
    """Train a source model and write its weights and model card.

    Parameters
    ----------
    target
        The training images: a folder, an .npz, or digits.
    test
        The images that its accuracy is measured on, likewise.
    name
        The source's name: NAME.safetensors and NAME.json are written.
    out
        The folder they are written to.
    classes
        Train on these classes only, separated by commas.
    model
        The architecture.
    epochs
        Passes over the images; 0 leaves the random initialisation.
    batch_size
        Images in a step.
    learning_rate
        At its highest; it warms up for an epoch and falls along a cosine.
    seed
        Of the initialisation, the order and the augmentation.
    data
        What the images are, for the model card.
    licence
        Of the images, for the model card.
    """
    from leepjax.data.readers import read_target
    from leepjax.experiments.pretrain import pretrain as run_pretrain
    from leepjax.progress import progress
    from leepjax.tables import render
    from leepjax.transfer.train import Recipe

    train_set, test_set = read_target(target), read_target(test)
    if classes:
        train_set, test_set = (each.of_classes(names_of(classes) or []) for each in (train_set, test_set))
    recipe = Recipe(epochs=epochs, batch_size=batch_size, learning_rate=learning_rate, seed=seed)
    with progress() as on_progress:
        source = run_pretrain(
            train_set,
            test_set,
            name,
            out,
            model=model,
            recipe=recipe,
            data=data,
            licence=licence,
            command=shlex.join(["leepjax", *sys.argv[1:]]),
            on_step=lambda at: on_progress(f"{name}: loss {at.loss:.3f}, step", at.step + 1, at.num_steps),
        )
    row = {"source": name, "weights": str(out / f"{name}.safetensors"), "test accuracy": source.card.accuracy}
    print(render([row], "table"))  # noqa: T201
