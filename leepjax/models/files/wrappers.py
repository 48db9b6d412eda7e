"""Remove the prefixes that wrappers around a network add to the names of its tensors."""

import logging
import re
from collections import Counter, defaultdict
from collections.abc import Collection, Iterable, Mapping
from typing import TypeVar

from leepjax.types import InputError

T = TypeVar("T")
# PyTorch's compiler, FSDP and activation checkpointing add these before any component of a name.
_ANYWHERE = re.compile(r"(?<![^.])(_orig_mod|_fsdp_wrapped_module|_checkpoint_wrapped_module)\.")
_WRAPPERS = ("module.", "model.", "net.", "network.", "backbone.", "encoder.")
_NETWORKS = ("model_ema.", "ema_model.", "ema.", "teacher.", "student.")
"""Prefixes of one of several networks, in order of preference: as in timm, averaged weights before raw ones."""
_COUNTERS = ("num_batches_tracked", "n_averaged")
"""Tensors that count training steps, in BatchNorm and in averaged weights."""


def unwrapped(
    tensors: Mapping[str, T], origin: str, own: Collection[str] = (), trunk: Collection[str] = ()
) -> tuple[dict[str, T], set[str]]:
    """Tensors by name without prefixes, and the names that had no prefix although others had one.

    Prefixes may be nested (``module.model.``). If there are several networks, one is chosen, with a warning. Counters
    of training steps are dropped. The network's `own` prefixes, such as ``network.``, are kept. `trunk` are those of
    the own prefixes that every file has. A prefix of any other name, such as ``timm_model.``, is removed if the whole
    trunk is under it, and only under it.

    Raises:
        InputError: when two tensors would get the same name.

    >>> unwrapped({"module._orig_mod.conv1.weight": 1, "loss.weight": 2}, "x")
    ({'conv1.weight': 1, 'loss.weight': 2}, {'loss.weight'})
    """
    bare = [(_ANYWHERE.sub("", name), value) for name, value in tensors.items() if not name.endswith(_COUNTERS)]
    outside: set[str] = set()
    while prefixes := _present(names := [name for name, _ in bare], origin, own) or _around(names, own, trunk):
        outside |= {name for name, _ in bare if not name.startswith(prefixes[0])}
        bare = [(name.removeprefix(prefixes[0]), value) for name, value in bare if not name.startswith(prefixes[1:])]
    name, times = Counter(name for name, _ in bare).most_common(1)[0] if bare else ("", 0)
    if times > 1:
        raise InputError(f"load: expected one tensor {name} in {origin}, got {times}; save one network's state_dict().")
    return dict(bare), outside


def _around(names: Iterable[str], own: Collection[str], trunk: Collection[str]) -> tuple[str, ...]:
    """The prefix under which the whole trunk is; empty if there is no such prefix, or several."""
    under = defaultdict(set)
    for name in names:
        parts = [f"{part}." for part in name.split(".")]
        if (first := next((part for part in parts if part in own), None)) is not None:
            under["".join(parts[: parts.index(first)])].add(first)
    around = tuple(prefix for prefix, parts in under.items() if trunk and parts.issuperset(trunk))
    return around if len(around) == 1 and around[0] else ()


def _present(names: Collection[str], origin: str, own: Collection[str]) -> tuple[str, ...]:
    """The prefix to remove, and the prefixes of the networks that aren't chosen."""
    networks = tuple(prefix for prefix in _NETWORKS if any(name.startswith(prefix) for name in names))
    wrappers = tuple(
        prefix for prefix in _WRAPPERS if prefix not in own and any(name.startswith(prefix) for name in names)
    )
    if not networks:
        return wrappers[:1]
    if others := networks[1:] + wrappers:
        logging.getLogger("leepjax").warning(
            "%s holds weights as %s; those of %s are used.", origin, " and ".join((networks[0], *others)), networks[0]
        )
    return networks[:1] + others
