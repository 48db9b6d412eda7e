"""``leepjax retrain`` and ``leepjax finetune``: adapt a source to a target."""

import sys
from pathlib import Path
from typing import Annotated, Literal

from cyclopts import Parameter

from leepjax.cli.options import Examples, cache_compilations, command_line, told
from leepjax.files import cache_folder
from leepjax.printable import printable
from leepjax.tables import Format
from leepjax.transfer.recipe import FineTuning


def retrain(
    target: str,
    /,
    *,
    source: str,
    examples: Annotated[Examples, Parameter(name="*", negative=())] = Examples(),
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
        What rank takes (leepjax ls targets).
    source
        A name (leepjax ls sources), timm/<id>, local-dir:PATH, or the path of a .safetensors.
    seed
        Of the limit, the split and the folds.
    out
        Folder for the network with its new head: a source, NAME.safetensors and NAME.json.
    name
        What it is called; made of the source's and the target's names by default.
    cache
        Keep extracted features in the user's cache folder ($LEEPJAX_CACHE if set).
    format
        What stdout gets.
    """
    from leepjax.experiments.adaptation import parts
    from leepjax.experiments.retrain import retrain as run_retrain
    from leepjax.progress import progress

    folder = cache_folder() if cache else None
    cache_compilations(folder)
    split = parts("retrain", target, **vars(examples), seed=seed)
    with progress() as on_progress:
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
    _print(adapted, format)


def finetune(
    target: str,
    /,
    *,
    source: str,
    scratch: Annotated[bool, Parameter(negative=())] = False,
    examples: Annotated[Examples, Parameter(name="*", negative=())] = Examples(),
    recipe: Annotated[FineTuning, Parameter(name="*")] = FineTuning(),
    dtype: Literal["float32", "bfloat16"] = "float32",
    out: Path | None = None,
    name: str | None = None,
    format: Format = "table",
) -> None:
    """Train all of a source on a target; with --out, Ctrl-C loses nothing, and the same command goes on.

    Parameters
    ----------
    target
        What rank takes (leepjax ls targets).
    source
        A name (leepjax ls sources), timm/<id>, local-dir:PATH, or the path of a .safetensors.
    scratch
        Begin with fresh weights instead of the source's: what is reached without it.
    dtype
        What the network computes in; weights stay float32.
    out
        Folder for the network (a source, NAME.safetensors and NAME.json), its curve (NAME.curve.jsonl), and
        checkpoints while it is trained (NAME.checkpoints).
    name
        What it is called; made of the source's and the target's names by default.
    format
        What stdout gets.
    """
    from leepjax.experiments.adaptation import parts
    from leepjax.experiments.finetune import finetune as run_finetune
    from leepjax.progress import progress

    cache_compilations(cache_folder())
    split = parts("finetune", target, **vars(examples), seed=recipe.seed)
    with progress() as on_progress:
        adapted = run_finetune(
            source,
            split,
            scratch=scratch,
            dtype=dtype,
            recipe=recipe,
            out=out,
            name=name,
            command=command_line(),
            on_step=lambda at: on_progress(f"{source}: {told(at)}", at.step + 1, at.num_steps),
        )
    _print(adapted, format)


def _print(adapted, format: Format) -> None:
    from leepjax.tables import render

    print(render(adapted.rows, format))  # noqa: T201
    if adapted.source:
        path = printable(str(adapted.source.network.path))
        print(f"leepjax: wrote the source {path}", file=sys.stderr)  # noqa: T201
