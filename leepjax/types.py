"""Types shared by all modules."""

import difflib
from collections.abc import Iterable
from dataclasses import dataclass
from typing import TYPE_CHECKING, Literal, NamedTuple

if TYPE_CHECKING:  # the command line reads this module, and --help needs no JAX
    import jax
    import numpy as np

SplitChoice = Literal["train", "val", "test", "all"]
"""A split of a data set, or all splits as one set."""

EngineName = Literal["serial", "processes", "ray"]
"""Where units of work run: in this process, in several of this machine, or in Ray's workers."""


@dataclass(frozen=True)
class Reading:
    """How to read a target from files: options of every command that opens one."""

    strict: bool = False
    """Stop at an image that can't be decoded or a file that isn't used; by default they are left out and counted."""
    split: SplitChoice | None = None
    """The split of the target to use; by default train is scored, and test (or else val) verifies."""
    image_column: str | None = None
    """Image column of a Parquet file, hf: or tfds: set; by default the only one, or the one called image."""
    label_column: str | None = None
    """Label column; by default the one declared as label, or called label, class, target or similar."""


class InputError(ValueError):
    """Invalid input from the caller; the message is one sentence: ``function: expected X, got Y; do Z.``

    The command line prints the sentence and exits with 2. Any other exception is a bug and keeps its traceback.
    """


class Outputs(NamedTuple):
    """Outputs of a source for a batch of images."""

    features: "jax.Array | np.ndarray"
    """[n d] the input of the source's linear head."""
    logits: "jax.Array | np.ndarray"
    """[n z] scores of the source's own classes; softmax of a row is θ(x) in the LEEP paper."""


def unknown_name(kind: str, name: str, names: Iterable[str]) -> InputError:
    """The error for a name that isn't in a list, with the nearest name in the list."""
    names = list(names)
    close = difflib.get_close_matches(name, names, n=1)
    advice = f"did you mean {close[0]}?" if close else f"choose among {', '.join(names)}."
    return InputError(f"{kind}: expected one of {len(names)} known names, got {name!r}; {advice}")
