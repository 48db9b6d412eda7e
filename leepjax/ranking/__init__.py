"""Rank sources on a target by measures and by the accuracy of heads."""

from typing import Any

from leepjax import agreement
from leepjax.ranking.agree import Agreement, agree
from leepjax.ranking.ranking import Ranking
from leepjax.storage.records import Failure

__all__ = ["Agreement", "Failure", "Ranking", "agree"]


def __getattr__(name: str) -> Any:
    """Names of `leepjax.agreement`, which used to be in this module; scripts may still import them from here."""
    return getattr(agreement, name)
