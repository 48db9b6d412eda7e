"""Sources ranked on a target by what was measured of them."""

from typing import Any

from leepjax import agreement
from leepjax.ranking.agree import Agreement, agree
from leepjax.ranking.ranking import Ranking
from leepjax.storage.records import Failure

__all__ = ["Agreement", "Failure", "Ranking", "agree"]


def __getattr__(name: str) -> Any:
    """The names of `leepjax.agreement`, which were this module's up to version 0.1: scripts import them from here."""
    return getattr(agreement, name)
