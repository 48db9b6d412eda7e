"""What the options of several commands mean."""

from pathlib import Path


def names_of(names: str | None) -> list[str] | None:
    """The names in a list separated by commas; None if there is no list."""
    return None if names is None else [name.strip() for name in names.split(",") if name.strip()]


def cache_compilations(folder: Path | None) -> None:
    """Let XLA keep what it compiles: a second run of the same shapes starts at once."""
    import jax

    if folder:
        jax.config.update("jax_compilation_cache_dir", str(folder / "xla"))
        jax.config.update("jax_persistent_cache_min_compile_time_secs", 0.2)
