"""Checkpoints of a training run, by Orbax: written atomically, and checked for damage when they are read."""

import contextlib
import logging
import time
from pathlib import Path
from typing import Any

import jax
import numpy as np

from leepjax.storage.files import WriteError, check_room, digest, sweep, write_atomically, writing
from leepjax.storage.root_logger import root_logger_kept
from leepjax.types import InputError

with root_logger_kept():
    from orbax import checkpoint as ocp

log = logging.getLogger("leepjax")

KEPT = 2
"""Number of checkpoints kept: the newest, and the one before it in case the newest is damaged."""
_OVERHEAD = 1 << 18
"""Upper bound on the bytes of a checkpoint besides its arrays."""
SECONDS = 30.0
"""Seconds between checkpoints, the most work that a killed training run loses."""


_MARK = "training"
"""The file that holds the identity of the training run."""


class Checkpoints:
    """The last two states of a training run, in a folder of their own.

    A state is a pytree of arrays and a dict `progress` of plain values. `identity` is a digest of everything that the
    run depends on.

    Raises:
        InputError: when the folder holds anything but checkpoints of this run.
    """

    def __init__(self, folder: Path, identity: str):
        self.folder, self._identity = folder.absolute(), identity
        _claim(self.folder, identity)
        self._last = time.monotonic()
        self._manager = self._open()

    @property
    def due(self) -> bool:
        """Whether `SECONDS` have passed since the last checkpoint."""
        return time.monotonic() - self._last >= SECONDS

    @root_logger_kept()
    def save(self, step: int, state: Any, progress: dict[str, Any]) -> bool:
        """Write a state; until it is complete, readers see the one before.

        Returns False, with a warning, if it can't be written: training continues without it.
        """
        leaves = [np.asarray(leaf) for leaf in jax.tree.leaves(state)]
        named = ocp.args.StandardSave({f"{i:05}": leaf for i, leaf in enumerate(leaves)})
        progress_and_digest = ocp.args.JsonSave(progress | {"digest": _digest(leaves)})
        try:
            if not (self.folder / _MARK).exists():  # somebody removed the folder during the training
                write_atomically(self.folder / _MARK, self._identity.encode())
                self._manager.reload()
            # Check the disk first, because Orbax's threads print tracebacks if it is full.
            check_room(self.folder, sum(leaf.nbytes for leaf in leaves) + _OVERHEAD)
            self._manager.save(step, args=ocp.args.Composite(state=named, progress=progress_and_digest), force=True)
        except MemoryError:
            raise
        except Exception as error:  # exceptions of Orbax, TensorStore and the system
            log.warning(
                "%s: the checkpoint of step %d can't be written (%s); training continues, and earlier "
                "checkpoints are kept.",
                self.folder,
                step,
                error.strerror if isinstance(error, WriteError) else _first_line(error),
            )
            with contextlib.suppress(Exception):
                self._manager.close()
            self._manager = self._open()  # removes the partial checkpoint
            return False
        finally:
            self._last = time.monotonic()
        return True

    @root_logger_kept()
    def restore(self, like: Any) -> tuple[Any, dict[str, Any]] | None:
        """Read the newest undamaged state, as a pytree like `like`, and its progress; None if there is none.

        Damaged checkpoints are renamed, with a warning.
        """
        leaves, structure = jax.tree.flatten(like)
        for step in sorted(self._manager.all_steps(), reverse=True):
            try:
                saved, progress = self._read(step, leaves)
            except MemoryError:
                raise
            except Exception as error:  # Orbax raises many types for a damaged file
                self._set_aside(step, _first_line(error))
                continue
            return jax.tree.unflatten(structure, saved), progress
        return None

    @root_logger_kept()
    def close(self) -> None:
        """Let Orbax end its threads."""
        self._manager.close()

    @root_logger_kept()
    def _open(self) -> ocp.CheckpointManager:
        options = ocp.CheckpointManagerOptions(
            max_to_keep=KEPT, enable_async_checkpointing=False, cleanup_tmp_directories=True
        )
        with writing(self.folder):
            return ocp.CheckpointManager(self.folder, options=options)

    def _read(self, step: int, like: list[Any]) -> tuple[list[np.ndarray], dict[str, Any]]:
        named = {f"{i:05}": np.empty(leaf.shape, leaf.dtype) for i, leaf in enumerate(like)}
        args = ocp.args.Composite(state=ocp.args.StandardRestore(named), progress=ocp.args.JsonRestore())
        restored = self._manager.restore(step, args=args)
        leaves = [np.asarray(restored["state"][name]) for name in named]
        # Orbax restores some damaged files without an error.
        if _digest(leaves) != restored["progress"]["digest"]:
            raise ValueError("its arrays differ from those that were written")
        return leaves, restored["progress"]

    def _set_aside(self, step: int, reason: str) -> None:
        damaged = self.folder / f"damaged-{step}-{time.time_ns()}"
        (self.folder / str(step)).rename(damaged)
        self._manager.reload()
        left = max(self._manager.all_steps(), default=None)
        then = "starting again" if left is None else f"continuing from the one before, of step {left}"
        log.warning(
            "%s: the checkpoint of step %d can't be restored (%s) and is set aside; %s.", damaged, step, reason, then
        )


def _claim(folder: Path, identity: str) -> None:
    """Mark the folder as belonging to this run; raise if it belongs to another."""
    mark = folder / _MARK
    sweep(folder)  # a process killed while writing the mark leaves only a temporary file
    if folder.is_dir() and any(folder.iterdir()) and not (mark.exists() and mark.read_bytes() == identity.encode()):
        got = "others (data, weights or recipe differ)" if mark.exists() else f"files without the mark {_MARK!r} of one"
        raise InputError(
            f"train: expected an empty folder or checkpoints of this training in {folder}, got {got}; pass another "
            "folder or name, or empty this one."
        )
    write_atomically(mark, identity.encode())


def _first_line(error: Exception) -> str:
    return (str(error).strip() or type(error).__name__).partition("\n")[0][:200]


def _digest(leaves: list[np.ndarray]) -> str:
    return digest(*(np.ascontiguousarray(leaf) for leaf in leaves))
