"""The command line: ``leepjax rank | sweep | score | ls | pretrain | launch``. Results to stdout, all else to stderr.

Heavy imports stand inside the commands, so that ``leepjax --help`` answers at once.
"""

import io
import os
import shlex
import sys
from pathlib import Path
from typing import Annotated, Literal

import cyclopts
from cyclopts import Parameter

from leepjax import __version__
from leepjax.tables import Format
from leepjax.types import InputError

app = cyclopts.App(
    name="leepjax",
    version=__version__,
    help="Which pretrained model will transfer to your data? Scores sources on a labelled target before any training.",
    help_format="plaintext",
    suppress_keyboard_interrupt=False,  # `main` tells it in a sentence
)


@app.command
def rank(
    target: str,
    /,
    *,
    sources: str | None = None,
    measures: str | None = None,
    verify: Literal["head", "finetune", "none"] = "head",
    limit: int | None = None,
    seed: int = 0,
    resamples: int = 200,
    out: Path | None = None,
    cache: Annotated[bool, Parameter(negative="--no-cache")] = True,
    format: Format = "table",
) -> None:
    """Rank source models for a target, and verify the ranking by training on it.

    Parameters
    ----------
    target
        digits, a folder class/image.png|jpg|webp, or an .npz with images and labels.
    sources
        Names or .safetensors paths, separated by commas; all shipped sources by default (leepjax ls sources).
    measures
        Names separated by commas, the leading one first; all by default (leepjax ls measures).
    verify
        How accuracy is reached: a re-trained head, everything fine-tuned, or not at all.
    limit
        Use at most this many examples, stratified by class.
    seed
        Of the limit, the split, the bootstrap and the training.
    resamples
        Bootstrap resamples for the intervals; 0 for none.
    out
        Folder for results.jsonl; run again, and what it holds isn't measured again.
    cache
        Keep extracted features in the user's cache folder ($LEEPJAX_CACHE if set).
    format
        What stdout gets.
    """
    from leepjax.experiments.rank import rank as run_rank
    from leepjax.progress import progress

    folder = _cache_folder() if cache else None
    _cache_compilations(folder)
    with progress() as on_progress:
        ranking = run_rank(
            target,
            _split(sources),
            _split(measures),
            verify=verify,
            limit=limit,
            seed=seed,
            resamples=resamples,
            out=out,
            cache=folder,
            on_progress=on_progress,
        )
    print(ranking.render(format))  # noqa: T201


@app.command
def sweep(
    targets: str,
    /,
    *,
    sources: str | None = None,
    measures: str | None = None,
    engine: Literal["serial", "ray"] = "serial",
    verify: Literal["head", "finetune", "none"] = "head",
    limit: int | None = None,
    seed: int = 0,
    resamples: int = 200,
    out: Path | None = None,
    cache: Annotated[bool, Parameter(negative="--no-cache")] = True,
    format: Format = "table",
) -> None:
    """Rank source models for each of several targets, in this process or by Ray.

    Parameters
    ----------
    targets
        Separated by commas: digits, folders class/image.png|jpg|webp, .npz files with images and labels.
    sources
        Names or .safetensors paths, separated by commas; all shipped sources by default (leepjax ls sources).
    measures
        Names separated by commas, the leading one first; all by default (leepjax ls measures).
    engine
        serial: one source on one target after the other. ray: all at once, by Ray's workers on this machine or on the
        cluster at $RAY_ADDRESS; killed workers are retried, results are the same. Needs pip install 'leepjax[ray]'.
    verify
        How accuracy is reached: a re-trained head, everything fine-tuned, or not at all.
    limit
        Use at most this many examples of each target, stratified by class.
    seed
        Of the limit, the split, the bootstrap and the training.
    resamples
        Bootstrap resamples for the intervals; 0 for none.
    out
        Folder for results.jsonl; run again, and what it holds isn't measured again, whichever engine or rank it was.
    cache
        Keep extracted features in the user's cache folder ($LEEPJAX_CACHE if set).
    format
        What stdout gets: rankings one after the other, or the records of all in one JSON or CSV document.
    """
    from leepjax.experiments.sweep import sweep as run_sweep
    from leepjax.progress import progress
    from leepjax.tables import render

    folder = _cache_folder() if cache else None
    _cache_compilations(folder)
    with progress() as on_progress:
        rankings = run_sweep(
            _split(targets) or [],
            _split(sources),
            _split(measures),
            engine=engine,
            verify=verify,
            limit=limit,
            seed=seed,
            resamples=resamples,
            out=out,
            cache=folder,
            on_progress=on_progress,
        ).values()
    if format in ("json", "csv"):
        print(render([row for ranking in rankings for row in ranking.to_records()], format))  # noqa: T201
    else:
        print("\n\n".join(ranking.render(format) for ranking in rankings))  # noqa: T201


@app.command
def score(
    evidence: Path,
    labels: Path,
    /,
    *,
    kind: Literal["probs", "logits", "features"] = "probs",
    measures: str | None = None,
    num_classes: int | None = None,
    resamples: int = 200,
    seed: int = 0,
    format: Format = "table",
) -> None:
    """Score arrays that you already have: evidence.npy [n z] or [n d], and labels.npy [n].

    Parameters
    ----------
    evidence
        .npy of source probabilities, logits or features, one row an example.
    labels
        .npy of integer target classes.
    kind
        What the evidence is.
    measures
        Names separated by commas; by default all that read this kind.
    num_classes
        Read from the labels by default.
    resamples
        Bootstrap resamples for the intervals; 0 for none.
    seed
        Of the bootstrap.
    format
        What stdout gets.
    """
    from leepjax.experiments.score import score_arrays
    from leepjax.tables import render

    rows = score_arrays(
        evidence, labels, kind, _split(measures), num_classes=num_classes, resamples=resamples, seed=seed
    )
    print(render(rows, format))  # noqa: T201


@app.command(name="ls")
def list_(what: Literal["sources", "measures", "targets"], /, *, format: Format = "table") -> None:
    """List what there is to choose from.

    Parameters
    ----------
    what
        Sources with their model cards, measures, or kinds of targets.
    format
        What stdout gets.
    """
    from leepjax import catalogue
    from leepjax.tables import render

    print(render(getattr(catalogue, what)(), format))  # noqa: T201


@app.command
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
        train_set, test_set = (each.of_classes(_split(classes) or []) for each in (train_set, test_set))
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
    row = {"source": source.name, "weights": str(source.path), "test accuracy": source.card.test_accuracy}
    print(render([row], "table"))  # noqa: T201


@app.command
def launch(
    script: Path,
    /,
    *arguments: Annotated[str, Parameter(allow_leading_hyphen=True)],
    processes: int | None = None,
    devices_per_process: int | None = None,
    coordinator: str | None = None,
    process_id: int | None = None,
    timeout: int = 20,
) -> None:
    """Run a script in many processes that each hold a part of the data; it calls leepjax.distributed.initialize().

    On one machine, pass --processes. Under srun and on TPU pods every task calls this command, without --processes, and
    JAX detects the others. Elsewhere call it on each machine with --processes, --coordinator and --process-id.

    Parameters
    ----------
    script
        The Python program.
    arguments
        Its arguments; put -- before SCRIPT if it has options of the names below.
    processes
        How many there are in all; without --coordinator they all start here.
    devices_per_process
        CPU devices of each, or its GPUs; 1 by default where all processes share this machine.
    coordinator
        HOST:PORT at which process 0 can be reached.
    process_id
        Which of the processes to start here, from 0.
    timeout
        Seconds to wait for missing processes.
    """
    from leepjax.launch import launch as run_launch

    if not script.is_file():
        raise InputError(f"launch: expected a Python file, got {str(script)!r}, which is none; check the path.")
    try:
        run_launch(
            [sys.executable, str(script), *arguments],
            processes=processes,
            devices_per_process=devices_per_process,
            coordinator=coordinator,
            process_id=process_id,
            timeout=timeout,
        )
    except KeyboardInterrupt:
        sys.exit(_fail("launch: interrupted, and all processes started here stopped; run the same command again.", 130))


def main() -> None:
    """Run the command line: bad input ends in one sentence and exit code 2, Ctrl-C in 130."""
    for stream in (sys.stdout, sys.stderr):
        if isinstance(stream, io.TextIOWrapper):
            stream.reconfigure(errors="replace")  # a terminal without τ and – gets ? for them
    try:
        app()
    except (InputError, FloatingPointError, OSError) as error:
        if isinstance(error, BrokenPipeError):
            os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())  # the reader has seen enough
            sys.exit(0)
        sys.exit(_fail(str(error), 2 if isinstance(error, InputError) else 1))
    except KeyboardInterrupt:
        sys.exit(_fail("interrupted; with --out, the same command goes on from what is already measured.", 130))


def _fail(message: str, code: int) -> int:
    print(f"leepjax: {message}", file=sys.stderr)  # noqa: T201
    return code


def _split(names: str | None) -> list[str] | None:
    return None if names is None else [name.strip() for name in names.split(",") if name.strip()]


def _cache_folder() -> Path:
    import platformdirs

    return Path(os.environ.get("LEEPJAX_CACHE") or platformdirs.user_cache_dir("leepjax"))


def _cache_compilations(folder: Path | None) -> None:
    """Let XLA keep what it compiles: a second run of the same shapes starts at once."""
    import jax

    if folder:
        jax.config.update("jax_compilation_cache_dir", str(folder / "xla"))
        jax.config.update("jax_persistent_cache_min_compile_time_secs", 0.2)
