"""Types shared by all modules."""

import difflib
import operator
import os
import re
from collections.abc import Iterable
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Literal, NamedTuple, TypedDict

if TYPE_CHECKING:  # the command line reads this module, and --help needs no JAX
    import jax
    import numpy as np

SplitChoice = Literal["train", "val", "test", "all"]
"""A split of a data set, or all splits as one set."""

EngineName = Literal["serial", "processes", "ray"]
"""Where units of work run: in this process, in several of this machine, or in Ray's workers."""


Kind = Literal["images", "text", "embeddings"]
"""What the examples of a target are, and what a source reads."""


class Noun(NamedTuple):
    """What messages call an example."""

    one: str
    many: str


NOUNS: dict[Kind, Noun] = {
    "images": Noun("image", "images"),
    "text": Noun("text", "texts"),
    "embeddings": Noun("example", "examples"),
}
"""Kind → what messages call its examples."""

Task = Literal["classes", "regression", "multilabel"]
"""What examples are labelled with: one class, numbers, or any of several labels."""

DType = Literal["float32", "bfloat16"]
"""Dtype of a source's computation."""

Pooling = Literal["cls", "mean", "max", "gem", "layers", "head"]
"""How the output of a layer becomes one vector: its class token; the mean, maximum or generalised mean over positions;
the mean over this and all earlier layers of their means; or the pooling of the network's own head."""

Verify = Literal["head", "ridge", "finetune", "none"]
"""How the sources of a ranking are verified: what is trained."""

Metric = Literal["accuracy", "balanced_accuracy", "macro_f1", "log_loss", "auroc", "r2", "mae", "spearman", "map"]
"""What verification measures on test examples; `leepjax.tasks` has those of each task."""

LOWER_IS_BETTER: frozenset[str] = frozenset({"log_loss", "mae"})
"""The metrics of which lower is better; of all others, higher is."""

METRICS: dict[str, str] = {
    "accuracy": "accuracy",
    "balanced_accuracy": "balanced accuracy",
    "macro_f1": "macro F1",
    "log_loss": "log-loss",
    "auroc": "AUROC",
    "r2": "R²",
    "mae": "MAE",
    "spearman": "Spearman's ρ",
    "map": "mAP",
}
"""Metric → its name in sentences and headings."""


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
    text_column: str | None = None
    """Column of texts (or of lists of labelled words); by default the only one, or the one called text or similar."""
    text_pair_column: str | None = None
    """Column of second texts, where labels are of pairs; by default there is none."""


@dataclass(frozen=True)
class TaskReading(Reading):
    """How to read a target whose labels may be of any task."""

    task: Task | None = None
    """What the labels are: classes, regression (numbers) or multilabel; default: guessed, and logged if not classes."""


@dataclass(frozen=True)
class JudgingSettings:
    """How sources are judged on held-out images; `rank` and `choose` describe each field."""

    metric: Metric | None = None
    """What to measure on test images (lower log_loss and mae are better); default: accuracy, r2 or map, by --task."""
    test: Any = None
    """A test set with the target's classes; by default the target's test split, or else parts of the target itself."""
    test_fraction: float = 0.2
    """The fraction of a target without a test split that is held out at a time, in (0, 1)."""
    groups: str | None = None
    """Images that belong together, never held out apart: a column, a key of an .npz, or folder (class/group/image)."""
    limit: int | None = None
    """Use at most this many images of a target, stratified by class."""
    seed: int = 0
    """Seed for drawing the examples (limit), their order, the split, the bootstrap and the training."""
    confidence: float = 0.95
    """Confidence of the intervals and of the leaders, in (0, 1)."""
    batch_size: int = 256
    """Largest number of images that pass through a source at once."""
    dtype: DType | None = None
    """Dtype of the sources' computation; by default float32."""


@dataclass(frozen=True)
class RankingSettings(JudgingSettings):
    """How sources are ranked and verified; `rank` describes each field."""

    verify: Verify = "head"
    """What to train to check the scores: a new head, a ridge probe (the cheapest), the whole network, or nothing."""
    resamples: int = 200
    """Bootstrap resamples for the intervals, at least 10; 0 for none."""


class RankingKeywords(TypedDict, total=False):
    """The fields of `RankingSettings` and `Reading` as keyword arguments."""

    verify: Verify
    metric: Metric | None
    test: Any
    test_fraction: float
    groups: str | None
    limit: int | None
    seed: int
    resamples: int
    confidence: float
    batch_size: int
    dtype: DType | None
    strict: bool
    split: SplitChoice | None
    image_column: str | None
    label_column: str | None
    text_column: str | None
    text_pair_column: str | None
    task: Task | None


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


def unknown_name(kind: str, name: Any, names: Iterable[str]) -> InputError:
    """The error for a name that isn't in a list, with the nearest name in the list."""
    names = list(names)
    close = difflib.get_close_matches(name, names, n=1) if isinstance(name, str) else ()
    advice = f"did you mean {close[0]}?" if close else f"choose among {', '.join(names)}."
    return InputError(f"{kind}: expected one of {len(names)} known names, got {name!r}; {advice}")


_ADDRESS = re.compile(r"(?:[a-z]+[-a-z]*:)?(?:https?|ftp|s3|gs):/+", re.IGNORECASE)
"""The beginning of an address, perhaps after a prefix of sources or targets; a `Path` has one of its slashes."""


def check_no_url(caller: str, path: str | os.PathLike) -> None:
    """Refuse the address of a file, which would be taken for the path of one that isn't there.

    Raises:
        InputError: for an address.
    """
    if _ADDRESS.match(os.fspath(path)) and not os.path.exists(path):
        raise InputError(
            f"{caller}: expected a file, a folder or a name on the hub, got a URL; download it first and pass the file."
        )


def check_whole(caller: str, name: str, value: Any, least: int) -> None:
    """Check that an argument is a whole number, and not too small.

    Raises:
        InputError: for anything else.
    """
    try:
        whole = operator.index(value)
    except TypeError:
        raise InputError(f"{caller}: {name} must be a whole number, got {value!r}; pass an int.") from None
    if whole < least:
        raise InputError(f"{caller}: {name} must be at least {least}, got {whole}; pass {least} or more.")
