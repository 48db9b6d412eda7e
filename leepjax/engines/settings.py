"""JAX's settings, of which a worker in another process takes those of the process that it works for."""

from collections.abc import Mapping
from typing import Any

import jax

SETTINGS = (
    "jax_enable_x64",
    "jax_default_matmul_precision",
    "jax_compilation_cache_dir",
    "jax_persistent_cache_min_compile_time_secs",
)
"""Those that change results or spare compilations."""


def settings_here() -> dict[str, Any]:
    """What these settings are in this process; those that nobody set are left out."""
    return {name: value for name in SETTINGS if (value := getattr(jax.config, name)) is not None}


def take_over(settings: Mapping[str, Any]) -> None:
    """Make another process's settings this one's."""
    for name, value in settings.items():
        jax.config.update(name, value)
