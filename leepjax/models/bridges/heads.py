"""Find the linear head of another library's network in the record of a probe, and check that it gives the output."""

import logging
from collections.abc import Sequence
from typing import NamedTuple

import numpy as np
import scipy.special

from leepjax.models.layers.tokens import pair
from leepjax.types import InputError, unknown_name

AUTO = "auto"
"""Find the head: the last linear layer that gives the output."""

IN_FILE = "in file"
"""Find the head as for `AUTO`, in a file, for which the user can't name the head."""

_EXPORT = "save the network with its logits, or its features, as the only output"

PROBE = 2
"""Number of images in a probe."""


class HeadCall(NamedTuple):
    """A linear layer that the probe passed through."""

    path: str
    features: np.ndarray
    logits: np.ndarray


def probe_images(image_size: int | tuple[int, int]) -> np.ndarray:
    """Random normalised images [2 s s 3] float32."""
    return np.random.default_rng(0).standard_normal((PROBE, *pair(image_size), 3)).astype(np.float32)


def find_head(model: str, calls: Sequence[HeadCall], output: np.ndarray, head: str | None) -> tuple[str, ...]:
    """The paths of the layers that are a network's head; none for a network without a head, whose output is features.

    A distilled network has two heads, and its output is their mean; a single layer that reads their concatenated
    features would give the same output. If no layer can be the head, the output is taken as features, with a warning.

    Args:
        model: the network's name in messages.
        calls: the network's linear layers, in the order in which they are computed.
        output: [2 z] the network's output.
        head: the path of the head, `AUTO` or `IN_FILE` to find it, None for a network without one.

    Raises:
        InputError: when the head's output isn't the network's, nor the softmax of the head's output.
    """
    check_output(model, output, head)
    if head is None:
        return ()
    if head not in (AUTO, IN_FILE):
        call = _named(model, calls, head)
        check_head(model, call, output, head)
        return (call.path,)
    if giving := [call.path for call in calls if is_head(call, output)]:
        return (giving[-1],)
    last_two = calls[-2:]
    if len({call.logits.shape for call in last_two}) < len(last_two):
        mean = HeadCall("", calls[-1].features, np.mean([call.logits for call in last_two], axis=0))
        if is_head(mean, output):
            return tuple(call.path for call in last_two)
    if calls and calls[-1].features.ndim == 2:
        check_head(model, calls[-1], output, head)
    logging.getLogger("leepjax").warning(
        "%s: no linear layer gives its output; its output of %d numbers is taken as features, not as logits.",
        model,
        output.shape[1],
    )
    return ()


def find_head_of_pair(
    model: str, calls: Sequence[HeadCall], pair: Sequence[np.ndarray], head: str | None
) -> HeadCall | None:
    """Find the layer whose input and output are a network's features and logits, for a network with two outputs.

    The two outputs may be those of two heads, or logits before features, and aren't taken as features and logits
    without this check. None means that the outputs themselves are read as features and logits.

    Args:
        model: the network's name in messages.
        calls: the network's linear layers.
        pair: [2 d] and [2 z] the network's outputs.
        head: as in `find_head`; None to take the outputs as features and logits without a check.

    Raises:
        InputError: when a layer gives one of the outputs and the other isn't its input, or, in a file, when no layer
            gives one.
    """
    if head not in (AUTO, IN_FILE, None):
        call = _named(model, calls, head)
        check_head(model, call, next((each for each in pair if is_head(call, each)), pair[1]), head)
        return call
    for each in pair:
        check_output(model, each, head)
    if head is None:
        return None
    for features, logits in (pair, pair[::-1]):
        for call in calls:
            if same(features, call.features) and is_head(call, logits):
                return None if logits is pair[1] and same(logits, call.logits) else call
    given = next((call.path for call in calls if is_head(call, pair[1])), None)
    if head == IN_FILE or given:
        raise InputError(
            f"as_source: expected the input and the output of a linear layer as the two outputs of {model}, got "
            f"{f'the output of {given!r} and one that is not its input' if given else 'two other outputs'}; "
            + (f"{_EXPORT}." if head == IN_FILE else "return these, or name the head to read (head='fc').")
        )
    if calls:
        logging.getLogger("leepjax").warning(
            "%s: no linear layer gives its second output; the first is taken as features and the second as logits.",
            model,
        )
    return None


def _named(model: str, calls: Sequence[HeadCall], head: str) -> HeadCall:
    paths = {call.path: call for call in calls}
    if not paths:
        raise InputError(f"as_source: expected a linear layer {head!r} in {model}, got none; pass head=None.")
    if head not in paths:
        raise unknown_name(f"as_source: head of {model}", head, paths)
    return paths[head]


def check_head(model: str, call: HeadCall, output: np.ndarray, head: str | None = AUTO) -> None:
    """Check that a head's output, or its softmax, is the network's output [2 z].

    Raises:
        InputError: when it doesn't.
    """
    if not is_head(call, output):
        of_module = "pass its head by name (head='fc'), head=None where it has none, or a module that returns features"
        raise InputError(
            f"as_source: expected the output of {model} to be that of its linear layer {call.path!r}, got another; "
            + (f"{_EXPORT}." if head == IN_FILE else f"{of_module} and logits.")
        )


def is_head(call: HeadCall, output: np.ndarray) -> bool:
    """Whether a layer's output [2 z], its softmax or its log-softmax is the network's output."""
    if call.features.ndim != 2 or call.logits.shape != output.shape:
        return False
    logits = call.logits.astype(np.float64)
    forms = (logits, scipy.special.log_softmax(logits, axis=-1), scipy.special.softmax(logits, axis=-1))
    return any(same(output, form) for form in forms)


def same(one: np.ndarray, other: np.ndarray) -> bool:
    """Whether two arrays of a probe are equal, apart from rounding."""
    return one.shape == other.shape and np.allclose(one, other, rtol=1e-3, atol=1e-4 * max(np.abs(other).max(), 1e-30))


def check_repeated(model: str, first: np.ndarray, again: np.ndarray) -> None:
    """Check that a network computes the same for the same images.

    Raises:
        InputError: when it doesn't.
    """
    if not same(np.nan_to_num(first), np.nan_to_num(again)):
        raise InputError(
            f"{model}: expected the same features in each call, got others, as if images were masked or features "
            "dropped at random; choose another model, or one that does so only in training."
        )


def check_output(model: str, output: np.ndarray, head: str | None = AUTO) -> None:
    """Check that a network returns one row for each image.

    Raises:
        InputError: when it doesn't.
    """
    if output.ndim != 2 or len(output) != PROBE:
        raise InputError(
            f"as_source: expected logits or features [n d] from {model}, got shape {tuple(output.shape)} for {PROBE} "
            f"images; {_EXPORT if head == IN_FILE else 'wrap it in a module that pools them'}."
        )
