"""Names of sources that another library opens: a prefix for each."""

from collections.abc import Callable
from typing import NamedTuple

from leepjax.models.source import Source


class Bridge(NamedTuple):
    """How sources of a prefix are opened."""

    open: Callable[[str], Source]
    describe: Callable[[str], tuple[Source, int | None]]
    """A source of the same cost, without its weights where they must be downloaded, and the bytes to download."""


def bridge_of_name(name: str) -> Bridge | None:
    """The bridge that opens a name; None for names without one of its prefixes."""
    if name.startswith("timm:"):
        from leepjax.models.bridges.timm_names import describe_timm_name, open_timm

        return Bridge(open_timm, describe_timm_name)
    if name.startswith("transformers:"):
        from leepjax.models.bridges.transformers_names import describe_transformers, open_transformers

        return Bridge(open_transformers, describe_transformers)
    if name.startswith("onnx:"):
        from leepjax.models.bridges.onnx_files import open_onnx

        return _of_file(open_onnx)
    if name.startswith("keras:"):
        from leepjax.models.bridges.keras_models import open_keras

        return _of_file(open_keras)
    return None


def _of_file(open_file: Callable[[str], Source]) -> Bridge:
    return Bridge(open_file, lambda name: (open_file(name), 0))
