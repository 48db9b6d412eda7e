"""``leepjax finetune``: train all of a source on a target."""

from pathlib import Path
from typing import Annotated, Literal

from cyclopts import Parameter

from leepjax.cli.options import ExampleOptions, cache_compilations, command_line
from leepjax.cli.output import print_adapted, printed_if_unwritten, training_status
from leepjax.storage.files import cache_folder
from leepjax.tables import Format
from leepjax.transfer.recipe import FineTuning


def finetune(
    target: str,
    /,
    *,
    source: str,
    scratch: Annotated[bool, Parameter(negative=())] = False,
    examples: Annotated[ExampleOptions, Parameter(name="*", negative=())] = ExampleOptions(),
    recipe: Annotated[FineTuning, Parameter(name="*")] = FineTuning(),
    dtype: Literal["float32", "bfloat16"] = "float32",
    out: Path | None = None,
    name: str | None = None,
    format: Format = "table",
) -> None:
    """Train all of a source on a target; with --out, the same command resumes after Ctrl-C without loss.

    Parameters
    ----------
    target
        A target, as for rank (leepjax ls targets).
    source
        A name (leepjax ls sources), timm/<id>, local-dir:PATH, or the path of a .safetensors.
    scratch
        Start from fresh weights instead of the source's, for comparison.
    dtype
        Dtype of the computation; weights stay float32.
    out
        Folder for the network (a source, NAME.safetensors and NAME.json), its curve (NAME.curve.jsonl), and
        checkpoints during training (NAME.checkpoints).
    name
        Name of the network; by default made of the source's and the target's names.
    format
        Output format.
    """
    from leepjax.adapting.finetune import finetune as run_finetune
    from leepjax.adapting.parts import parts
    from leepjax.cli.progress import progress

    cache_compilations(cache_folder())
    split = parts("finetune", target, **vars(examples), seed=recipe.seed)
    with printed_if_unwritten(format), progress(each_stage=True) as on_progress:
        adapted = run_finetune(
            source,
            split,
            scratch=scratch,
            dtype=dtype,
            recipe=recipe,
            out=out,
            name=name,
            command=command_line(),
            on_step=lambda at: on_progress(f"{source}: {training_status(at)}", at.step + 1, at.num_steps),
        )
    print_adapted(adapted, format)
