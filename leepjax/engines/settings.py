"""Copy JAX's settings from a process to the workers that compute for it."""

from collections.abc import Mapping
from typing import Any

import jax

from leepjax.storage.programs import add_checksums, have_checksums

SETTINGS = (
    "jax_enable_x64",
    "jax_default_matmul_precision",
    "jax_compilation_cache_dir",
    "jax_persistent_cache_min_compile_time_secs",
)
"""The settings that are copied: they change results, or save compilations."""
_CHECKSUMS = "checksums"
"""A setting that JAX hasn't: whether its cached programs have checksums."""


def settings_here() -> dict[str, Any]:
    """These settings in this process, without those that weren't set."""
    settings = {name: value for name in SETTINGS if (value := getattr(jax.config, name)) is not None}
    return settings | {_CHECKSUMS: have_checksums()}


def take_over(settings: Mapping[str, Any]) -> None:
    """Apply the settings of another process to this one."""
    for name, value in settings.items():
        if name != _CHECKSUMS:
            jax.config.update(name, value)
        elif value:
            add_checksums()
