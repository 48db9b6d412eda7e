"""Find the linear head of another library's network in what a probe recorded, and check that it gives the output."""

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np
import scipy.special

from leepjax.models.layers.tokens import pair
from leepjax.types import InputError, unknown_name

AUTO = "auto"
"""Find the head: the linear layer that is computed last."""

PROBE = 2
"""Images in a probe."""


class HeadCall(NamedTuple):
    """A linear layer that the probe passed through."""

    path: str
    features: np.ndarray
    logits: np.ndarray


def probe_images(image_size: int | tuple[int, int]) -> np.ndarray:
    """Random normalised images [2 s s 3] float32."""
    return np.random.default_rng(0).standard_normal((PROBE, *pair(image_size), 3)).astype(np.float32)


def find_head(model: str, calls: Sequence[HeadCall], output: np.ndarray, head: str | None) -> tuple[str, ...]:
    """The paths of the layers that are a network's head; none for a network without one, whose output are features.

    A distilled network has two heads, and its output is their mean. A layer of the concatenated features gives that
    mean too.

    Args:
        model: what messages call the network.
        calls: its linear layers, in the order in which they are computed.
        output: [2 z] the network's output.
        head: the path of the head, `AUTO` to find it, None for a network without one.

    Raises:
        InputError: when the head's output isn't the network's, nor the softmax of the head's output.
    """
    check_output(model, output)
    if head is None:
        return ()
    if head != AUTO:
        call = _named(model, calls, head)
        check_head(model, call, output)
        return (call.path,)
    if not calls or calls[-1].features.ndim != 2:
        return ()
    last_two = calls[-2:]
    if len({call.logits.shape for call in last_two}) < len(last_two):
        mean = HeadCall("", calls[-1].features, np.mean([call.logits for call in last_two], axis=0))
        if is_head(mean, output) and not is_head(calls[-1], output):
            return tuple(call.path for call in last_two)
    check_head(model, calls[-1], output)
    return (calls[-1].path,)


def _named(model: str, calls: Sequence[HeadCall], head: str) -> HeadCall:
    paths = {call.path: call for call in calls}
    if not paths:
        raise InputError(f"as_source: expected a linear layer {head!r} in {model}, got none; pass head=None.")
    if head not in paths:
        raise unknown_name(f"as_source: head of {model}", head, paths)
    return paths[head]


def check_head(model: str, call: HeadCall, output: np.ndarray) -> None:
    """Check that a head has the features [2 d] and gives the network's output [2 z], or whose softmax is the output.

    Raises:
        InputError: when it doesn't.
    """
    if not is_head(call, output):
        raise InputError(
            f"as_source: expected the output of {model} to be that of its linear layer {call.path!r}, got another; "
            "pass its head by name (head='fc'), head=None where it has none, or a module that returns features and "
            "logits."
        )


def is_head(call: HeadCall, output: np.ndarray) -> bool:
    """Whether a layer of features [2 d] gives the network's output, or the output is its softmax or log-softmax."""
    if call.features.ndim != 2 or call.logits.shape != output.shape:
        return False
    logits = call.logits.astype(np.float64)
    forms = (logits, scipy.special.log_softmax(logits, axis=-1), scipy.special.softmax(logits, axis=-1))
    return any(np.allclose(output, form, rtol=1e-3, atol=1e-4 * max(np.abs(form).max(), 1e-30)) for form in forms)


def check_output(model: str, output: np.ndarray) -> None:
    """Check that a network returns one row for each image.

    Raises:
        InputError: when it doesn't.
    """
    if output.ndim != 2 or len(output) != PROBE:
        raise InputError(
            f"as_source: expected logits or features [n d] from {model}, got shape {tuple(output.shape)} for {PROBE} "
            "images; wrap it in a module that pools them."
        )
