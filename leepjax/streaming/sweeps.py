"""Passes over batches ("sweeps") that add up statistics, report progress, and resume after a kill."""

import time
from collections.abc import Callable, Iterator, Sequence
from functools import partial
from os import PathLike
from pathlib import Path
from typing import Any, TypeVar

import jax
import jax.numpy as jnp
import numpy as np
import safetensors

from leepjax.checks.arrays import Arguments, check_features, check_probs
from leepjax.kernels import in_auto_axes
from leepjax.statistics.class_moments import ClassMoments
from leepjax.statistics.joint import Joint
from leepjax.statistics.moments import Moments
from leepjax.storage.sealed import check_seal, write_sealed
from leepjax.streaming.batches import (
    Batch,
    Batches,
    BatchSource,
    fingerprint,
    has_examples,
    none_counts,
    starting_at,
)
from leepjax.streaming.identity import digest_of
from leepjax.types import InputError

Statistic = TypeVar("Statistic", Joint, Moments, ClassMoments)
Step = Callable[[Any, jax.Array, jax.Array, jax.Array], Any]
"""(state, evidence [b z], labels [b], weights [b]) → state"""

SECONDS_BETWEEN_SAVES = 10


def accumulate(
    statistic: Statistic,
    batches: BatchSource,
    *,
    on_batch: Callable[[int], None] | None = None,
    checkpoint: str | PathLike | None = None,
) -> Statistic:
    """Add all batches to a `Joint`, `Moments` or `ClassMoments`, with only a few batches in memory.

    Args:
        statistic: ``Joint.init(c, z)`` for probabilities, ``Moments.init(c, d)`` or
            ``ClassMoments.init(c, d)`` for features.
        batches: `Batches`, an iterable (not an iterator) of ``(evidence, labels)`` or ``(evidence, labels, where)``, or
            a function that returns an iterator of these. The next batch is read while one is added. Smaller batches
            are padded to the size of the first, so that one compiled program serves all.
        on_batch: called after each batch with the number of examples in it.
        checkpoint: path of a file in which the state is saved every ten seconds. After a kill, the same call resumes
            from it. It is removed at the end.

    Returns:
        The statistic of all examples; pass it to ``h_score_from_moments`` and similar functions.

    Raises:
        InputError: for batches that don't fit the statistic, or a checkpoint that is damaged or of another sweep.

    >>> from leepjax import Moments, accumulate
    >>> moments = accumulate(Moments.init(2, 1), [([[1.0], [3.0]], [0, 1]), ([[5.0]], [1])])
    >>> moments.mean.tolist(), moments.counts.tolist()
    ([3.0], [1.0, 2.0])
    """
    check = check_probs if isinstance(statistic, Joint) else check_features
    num_classes, columns = (statistic.table if isinstance(statistic, Joint) else statistic.sums).shape

    def fitting(function: str, batch: Batch) -> Arguments:
        arguments = check(function, batch.evidence, batch.labels, num_classes, batch.where)
        return of_width(function, arguments, columns, "make the statistic of that many")

    identity = ("accumulate", type(statistic).__name__, num_classes, columns)
    return run_sweeps(
        [lambda _: partial(in_auto_axes, _update)], statistic, batches, fitting, identity, on_batch, checkpoint
    )


@jax.jit
def _update(statistic, evidence, labels, where):
    return statistic.update(evidence, labels, where=where)


def of_width(function: str, arguments: Arguments, columns: int, advice: str) -> Arguments:
    """Return the arguments, and raise unless their evidence has this many columns."""
    found = arguments.evidence.shape[1]
    if found != columns:
        raise InputError(f"{function}: expected evidence of {columns} columns, got {found}; {advice}.")
    return arguments


def run_sweeps(
    sweeps: Sequence[Callable[[Any], Step]],
    state: Any,
    batches: BatchSource,
    check: Callable[[str, Batch], Arguments],
    identity: tuple,
    on_batch: Callable[[int], None] | None = None,
    checkpoint: str | PathLike | None = None,
) -> Any:
    """Fold over the batches once per entry of `sweeps`, which makes the sweep's step from the state before it.

    `identity` identifies the call in a checkpoint; its first entry is the name of the calling function. Batches without
    an example that counts are left out, and refused if there are no others.
    """
    kept = _Checkpoint(checkpoint, identity, batches, state)
    at_sweep, at_batch, state = kept.found
    for number in range(at_sweep, len(sweeps)):
        step, size, counted = sweeps[number](state), 0, at_batch > 0  # saved checkpoints follow a batch that counts
        for batch in kept.remaining(at_batch):
            arguments = check(f"{identity[0]}, batch {at_batch}", batch) if has_examples(batch) else None
            at_batch += 1
            kept.note(batch)
            if arguments:
                size, counted = size or len(arguments.labels), True
                previous, state = state, step(state, *_padded(arguments, size))
                jax.block_until_ready(previous)  # read only one batch ahead
                kept.save(number, at_batch, state)
            if on_batch:
                on_batch(np.shape(batch.labels)[0])
        if at_batch and not counted:
            raise none_counts(identity[0])
        at_batch = 0
    jax.block_until_ready(state)
    kept.remove()
    return state


def _padded(arguments: Arguments, size: int) -> tuple[jax.Array, jax.Array, jax.Array]:
    evidence, labels, where, _ = arguments
    missing = max(size - len(labels), 0)
    weights: Any = np.ones(len(labels), jnp.result_type(float)) if where is None else where
    if missing:
        evidence = jnp.pad(evidence, ((0, missing), (0, 0)))
        labels, weights = jnp.pad(labels, (0, missing)), jnp.pad(weights, (0, missing))
    return evidence, labels, weights


class _Checkpoint:
    """A file that holds the state after a batch of a sweep, and identifies its call and its batches.

    For a loader, the identity includes a digest of the batches before the state, which are compared when they are
    skipped.
    """

    def __init__(self, path: str | PathLike | None, identity: tuple, batches: BatchSource, state: Any):
        self._path = None if path is None else Path(path)
        self._batches = batches
        self._saved_at = time.monotonic()
        self._seen = self._expected = ""
        self._identity = ""
        self.found = (0, 0, state)
        if self._path:
            self._identity = repr((identity, fingerprint(batches), digest_of(*jax.tree.leaves(state))))
            if self._path.exists():
                self.found = self._load(self._path, state)

    def remaining(self, batch: int) -> Iterator[Batch]:
        """Batches from number `batch` on.

        Raises:
            InputError: if the batches before aren't the ones from which the state was computed.
        """
        self._seen = ""
        batches = starting_at(self._batches, batch, self.note)
        if self._seen != self._expected:
            raise self._of_another_call()
        self._expected = ""
        return batches

    def note(self, batch: Batch) -> None:
        """Add a batch of a loader to the digest of those in the state; `Batches` are identified as a whole."""
        if self._path and not isinstance(self._batches, Batches):
            self._seen = digest_of(np.frombuffer(self._seen.encode(), np.uint8), *batch)

    def save(self, sweep: int, batch: int, state: Any) -> None:
        """Save the state, if there is a path and `SECONDS_BETWEEN_SAVES` have passed."""
        if self._path and time.monotonic() - self._saved_at >= SECONDS_BETWEEN_SAVES:
            leaves = {str(i): np.asarray(leaf) for i, leaf in enumerate(jax.tree.leaves(state))}
            place = {"sweep": str(sweep), "batch": str(batch), "seen": self._seen}
            write_sealed(self._path, leaves, {"identity": self._identity} | place)
            self._saved_at = time.monotonic()

    def remove(self) -> None:
        if self._path:
            self._path.unlink(missing_ok=True)

    def _load(self, path: Path, state: Any) -> tuple[int, int, Any]:
        try:
            check_seal(path)
            with safetensors.safe_open(path, "numpy") as file:
                metadata = file.metadata() or {}
                leaves = [jnp.asarray(file.get_tensor(str(i))) for i in range(len(file.keys()))]
        except (safetensors.SafetensorError, ValueError, OSError) as error:
            raise InputError(f"checkpoint: expected a checkpoint in {path}, got {error}; delete it.") from None
        if metadata.get("identity") != self._identity:
            raise self._of_another_call()
        self._expected = metadata["seen"]
        found = jax.tree.unflatten(jax.tree.structure(state), leaves)
        return int(metadata["sweep"]), int(metadata["batch"]), found

    def _of_another_call(self) -> InputError:
        return InputError(
            f"checkpoint: expected one of this call and these batches in {self._path}, got one of a "
            "different call; finish that call first, or delete the file."
        )
