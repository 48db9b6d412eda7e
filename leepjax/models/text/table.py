"""The table of architectures of networks of texts: name → a function that builds a freshly initialised network."""

from collections.abc import Mapping
from functools import partial
from typing import Any

from leepjax.models.text import bert, distilbert, modernbert, static

TEXT_ARCHITECTURES: Mapping[str, partial[Any]] = {
    **bert.ARCHITECTURES,
    **distilbert.ARCHITECTURES,
    **modernbert.ARCHITECTURES,
    **static.ARCHITECTURES,
}
"""Name → the class of a network with arguments, which have the names of transformers' configuration."""
