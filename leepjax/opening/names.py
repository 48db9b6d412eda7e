"""Expand what a caller names into the names of single sources: sets, patterns, and filters of the hub."""

import fnmatch

from leepjax.models.hub_listing import OWNER, hub_models, is_pattern, read_filter
from leepjax.models.opening import named_sources, sets
from leepjax.models.tap_names import split_tap
from leepjax.tables import Condition
from leepjax.types import InputError, check_no_url

HUB = "hub:"
"""Prefix of a filter of the Hugging Face Hub."""
_OF_PATHS = ("local-dir:", "onnx:", "keras:", "transformers:")


def is_search(name: str) -> bool:
    """Whether a name is a filter of the hub or a pattern."""
    is_path = name.startswith(_OF_PATHS) or split_tap(name)[0].endswith(".safetensors")
    return name.startswith(HUB) or (is_pattern(name) and not is_path)


def expand(caller: str, name: str) -> tuple[str, ...]:
    """The sources that a name stands for.

    Args:
        caller: the beginning of messages.
        name: a set; ``hub:`` and conditions as of ``leepjax ls hub --filter``, separated by commas; a pattern of the
            names of shipped and published sources (``resnet*``) or of a repository (``timm/vit_*``,
            ``hf-hub:OWNER/*``); any other name stands for itself.

    Raises:
        InputError: when a filter is wrong, the hub doesn't answer, or no model meets a filter or pattern.
    """
    check_no_url("source", name)  # its question mark would make it a pattern
    if name.startswith(HUB):
        return _of_filter(caller, name)
    if name in (members := sets()):
        return members[name]
    if not is_search(name):
        return (name,)
    return _of_repositories(caller, name) if "/" in name else _of_names(caller, name)


def _of_filter(caller: str, name: str) -> tuple[str, ...]:
    conditions = [each for each in name.removeprefix(HUB).split(",") if each.strip()]
    if not conditions:
        raise InputError(f"{caller}: expected conditions after hub:, got none; write, for example, hub:parameters<5e6.")
    return _found(caller, name, read_filter(conditions, f"{caller}: filter"))


def _of_repositories(caller: str, pattern: str) -> tuple[str, ...]:
    owner, _, name = pattern.removeprefix("hf-hub:").partition("/")
    if is_pattern(owner) or not pattern.startswith((f"{OWNER}/", "hf-hub:")):
        raise InputError(
            f"{caller}: expected a pattern timm/… or hf-hub:OWNER/…, got {pattern!r}; name the owner of the models."
        )
    return _found(caller, pattern, [Condition("author", "=", owner), Condition("name", "=", name)])


def _found(caller: str, name: str, conditions: list[Condition]) -> tuple[str, ...]:
    found = tuple(row["source"] for row in hub_models(conditions, caller))
    if not found:
        raise InputError(
            f"{caller}: expected models on the hub that leepjax can open for {name!r}, got none; see leepjax ls hub."
        )
    return found


def _of_names(caller: str, pattern: str) -> tuple[str, ...]:
    names = named_sources()
    found = tuple(name for name in names if fnmatch.fnmatchcase(name, pattern))
    if not found:
        raise InputError(
            f"{caller}: expected names of sources like {pattern!r}, got none of {len(names)}; see leepjax ls sources, "
            f"or write timm/{pattern} for models of the hub."
        )
    return found
