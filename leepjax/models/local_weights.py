"""Find the weights in a folder, such as a clone of a repository of the Hugging Face Hub."""

from pathlib import Path

from leepjax.models.files.formats import INDEX, SUFFIXES
from leepjax.models.hub_weights import NAMES
from leepjax.types import InputError

_OF_TRAINING = ("optimizer", "scheduler", "scaler", "rng_state", "training_args")
"""First parts of the names under which transformers' Trainer keeps what isn't weights."""


def local_weights(folder: Path) -> Path:
    """The weights beside ``config.json``: the file that the hub's names prefer, or else an index, or the only file.

    Raises:
        InputError: without ``config.json``, or when the files of weights are none or several.
    """
    listed = sorted(folder.glob("*")) if folder.is_dir() else []
    files = [file for file in listed if file.suffix.lower() in SUFFIXES and not file.name.startswith(_OF_TRAINING)]
    indices = [file for file in listed if file.name.endswith(INDEX)]
    named = [folder / name for name in NAMES if folder / name in (*files, *indices)]
    found = named[:1] or indices or files
    if not (folder / "config.json").is_file() or not found:
        raise InputError(
            f"source: expected config.json and one file of weights in {folder}, got {_listing(folder)}; check the path."
        )
    if len(found) > 1:
        raise InputError(
            f"source: expected one file of weights in {folder}, got {', '.join(file.name for file in found[:5])}; move "
            "the others away."
        )
    return found[0]


def _listing(path: Path) -> str:
    if not path.is_dir():
        return "no such folder"
    return ", ".join(sorted(entry.name for entry in path.iterdir())[:5]) or "an empty folder"
