"""Sets of sources for people: timm's names with the reason for each, in ``sets.toml``."""

import tomllib
from functools import cache
from pathlib import Path
from typing import NamedTuple


class SourceSet(NamedTuple):
    """A set of sources on the Hugging Face Hub."""

    about: str
    reasons: dict[str, str]
    """``timm/<id>`` → why it is a member."""


@cache
def hub_sets() -> dict[str, SourceSet]:
    """Name → set, in the order of the file."""
    read = tomllib.loads(Path(__file__).with_name("sets.toml").read_text("utf-8"))
    return {
        name: SourceSet(each["about"], {f"timm/{source}": why for source, why in each["members"].items()})
        for name, each in read.items()
    }
