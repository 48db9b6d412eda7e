"""The table of further measures: those that read other evidence than one source's outputs on class labels."""

from collections.abc import Callable
from typing import Any, NamedTuple

from leepjax.measures.ensemble_leep import e_leep, ms_leep
from leepjax.measures.greedy_ensemble import greedy_ensemble


class FurtherMeasure(NamedTuple):
    """A row of the table of further measures; higher scores are better in every row."""

    name: str
    function: Callable[..., Any]
    reads: str
    """the arguments, in words"""
    range: str
    summary: str
    paper: str
    cost: str
    """operations, to their order: n examples, d features, z source and c target classes, m sources, t target columns"""
    memory: str
    """numbers held beside the evidence, to their order"""


_AGOSTINELLI = "Agostinelli et al. 2022"

_TABLE = (
    FurtherMeasure(
        "ms_leep",
        ms_leep,
        reads="probs of m sources, labels",
        range="[−m log n, 0]",
        summary="sum of the sources' LEEPs",
        paper=_AGOSTINELLI,
        cost="m·n·z",
        memory="c·z + m·n",
    ),
    FurtherMeasure(
        "e_leep",
        e_leep,
        reads="probs of m sources, labels",
        range="[−log n, 0]",
        summary="log-likelihood of the average EEP",
        paper=_AGOSTINELLI,
        cost="m·n·z",
        memory="c·z + m·n",
    ),
    FurtherMeasure(
        "greedy_ensemble",
        greedy_ensemble,
        reads="probs of m sources, labels, k",
        range="k scores of e_leep or ms_leep",
        summary="k sources that score highest together, one by one",
        paper=_AGOSTINELLI,
        cost="m·n·z + k·m·n",
        memory="c·z + m·n",
    ),
)

FURTHER: dict[str, FurtherMeasure] = {row.name: row for row in _TABLE}
