"""States of a training on disk, by Orbax: whole or not there, checked when they are read, the newest that is sound."""

import logging
import time
from pathlib import Path
from typing import Any

import jax
import numpy as np
from orbax import checkpoint as ocp

from leepjax.files import digest
from leepjax.types import InputError

KEPT = 2
"""The newest, and the one before it, should the newest be damaged."""
SECONDS = 30.0
"""How much work a killed training may lose."""


class Checkpoints:
    """The last two states of one training, in a folder of its own.

    A state is a pytree of arrays and a `progress` of plain values. `identity` is a digest of all that the training
    depends on; a folder of another training is refused rather than gone on from.
    """

    def __init__(self, folder: Path, identity: str):
        self.folder = folder.absolute()
        self._identity = identity
        self._last = time.monotonic()
        options = ocp.CheckpointManagerOptions(
            max_to_keep=KEPT, enable_async_checkpointing=False, cleanup_tmp_directories=True
        )
        self._manager = ocp.CheckpointManager(self.folder, options=options)

    @property
    def due(self) -> bool:
        """Whether so much time has passed that losing it would annoy."""
        return time.monotonic() - self._last >= SECONDS

    def save(self, step: int, state: Any, progress: dict[str, Any]) -> None:
        """Write a state; until it is whole, a reader sees the one before."""
        leaves = [np.asarray(leaf) for leaf in jax.tree.leaves(state)]
        progress = progress | {"identity": self._identity, "digest": _digest(leaves)}
        named = ocp.args.StandardSave({f"{i:05}": leaf for i, leaf in enumerate(leaves)})
        self._manager.save(step, args=ocp.args.Composite(state=named, progress=ocp.args.JsonSave(progress)), force=True)
        self._last = time.monotonic()

    def restore(self, like: Any) -> tuple[Any, dict[str, Any]] | None:
        """The newest sound state, as a pytree like `like`, and its progress; None if there is none.

        Raises:
            InputError: when the folder's states are another training's.
        """
        leaves, structure = jax.tree.flatten(like)
        for step in sorted(self._manager.all_steps(), reverse=True):
            try:
                saved, progress = self._read(step, leaves)
            except InputError:
                raise
            except Exception as error:  # whatever Orbax makes of a damaged file
                reason = str(error).partition("\n")[0][:200]
                logging.getLogger("leepjax").warning(
                    "%s: the checkpoint of step %d is damaged (%s); going on from the one before.",
                    self.folder, step, reason,
                )  # fmt: skip
                self._manager.delete(step)
                continue
            return jax.tree.unflatten(structure, saved), progress
        return None

    def close(self) -> None:
        """Let Orbax end its threads."""
        self._manager.close()

    def _read(self, step: int, like: list[Any]) -> tuple[list[np.ndarray], dict[str, Any]]:
        progress = self._manager.restore(step, args=ocp.args.Composite(progress=ocp.args.JsonRestore()))["progress"]
        if progress["identity"] != self._identity:
            raise InputError(
                f"train: expected checkpoints of this training in {self.folder}, got those of one with other data, "
                "weights or recipe; pass another folder, or empty this one."
            )
        named = {f"{i:05}": np.empty(leaf.shape, leaf.dtype) for i, leaf in enumerate(like)}
        restored = self._manager.restore(step, args=ocp.args.Composite(state=ocp.args.StandardRestore(named)))["state"]
        leaves = [np.asarray(restored[name]) for name in named]
        if _digest(leaves) != progress["digest"]:
            raise ValueError("its arrays aren't those that were written")
        return leaves, progress


def _digest(leaves: list[np.ndarray]) -> str:
    return digest(*(np.ascontiguousarray(leaf) for leaf in leaves))
