"""The table of further measures: those that read other evidence than one source's outputs on class labels."""

from collections.abc import Callable
from typing import Any, NamedTuple

from leepjax.measures.emms import emms
from leepjax.measures.ensemble_leep import e_leep, ms_leep
from leepjax.measures.etran import etran
from leepjax.measures.greedy_ensemble import greedy_ensemble
from leepjax.measures.hard_subset import hard_subset
from leepjax.measures.jc_nce import jc_nce
from leepjax.measures.logme_regression import logme_regression
from leepjax.measures.multilabel import multilabel_h_score, multilabel_leep, multilabel_logme, multilabel_nce
from leepjax.measures.ncti import ncti
from leepjax.measures.otce import otce
from leepjax.measures.ped import ped
from leepjax.measures.regression import label_mse, linear_mse


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


_AGOSTINELLI, _NGUYEN = "Agostinelli et al. 2022", "Nguyen et al. 2023"

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
    FurtherMeasure(
        "linear_mse",
        linear_mse,
        reads="features, real targets",
        range="[−Σ var(y), 0]",
        summary="−loss of the best ridge map, penalty included",
        paper=_NGUYEN,
        cost="n·d² + d³ + n·d·t",
        memory="d² + n·d",
    ),
    FurtherMeasure(
        "label_mse",
        label_mse,
        reads="the source's outputs, real targets",
        range="[−Σ var(y), 0]",
        summary="Linear MSE of the source's outputs",
        paper=_NGUYEN,
        cost="n·z² + z³ + n·z·t",
        memory="z² + n·z",
    ),
    FurtherMeasure(
        "logme_regression",
        logme_regression,
        reads="features, real targets",
        range="(−∞, ∞)",
        summary="evidence of a Bayesian linear head",
        paper="You et al. 2021",
        cost="n·d² + d³ + n·d·t",
        memory="d² + n·d",
    ),
    FurtherMeasure(
        "multilabel_leep",
        multilabel_leep,
        reads="probs, labels [n t] of 0 and 1",
        range="[−log 2, 0]",
        summary="mean of the labels' binary LEEPs",
        paper="Nguyen et al. 2020, label by label",
        cost="n·z·t",
        memory="n·z + n·t",
    ),
    FurtherMeasure(
        "multilabel_nce",
        multilabel_nce,
        reads="source labels, labels [n t] of 0 and 1",
        range="[−log 2, 0]",
        summary="mean of the labels' binary NCEs",
        paper="Tran et al. 2019, label by label",
        cost="n·t",
        memory="z·t + n·t",
    ),
    FurtherMeasure(
        "multilabel_logme",
        multilabel_logme,
        reads="features, labels [n t] of 0 and 1",
        range="(−∞, ∞)",
        summary="mean of the labels' binary LogMEs",
        paper="You et al. 2021, label by label",
        cost="n·d² + d³ + n·d·t",
        memory="d² + n·d",
    ),
    FurtherMeasure(
        "multilabel_h_score",
        multilabel_h_score,
        reads="features, labels [n t] of 0 and 1",
        range="[0, 1]",
        summary="mean of the labels' binary H-scores",
        paper="Bao et al. 2019, label by label",
        cost="n·d² + d³ + n·d·t",
        memory="d² + n·d",
    ),
    FurtherMeasure(
        "hard_subset",
        hard_subset,
        reads="features, labels, features of the source's data",
        range="weights [n], for `where`",
        summary="the examples that are hard for a source",
        paper="Menta et al. 2023",
        cost="n·d² + c·d³",
        memory="n·d + d²",
    ),
    FurtherMeasure(
        "ncti",
        ncti,
        reads="features of m sources, labels",
        range="[−1, 2], beside the other sources",
        summary="nearness to neural collapse",
        paper="Wang et al. 2023",
        cost="m·(n·d² + d³ + n·c³)",
        memory="n·d + d²",
    ),
    FurtherMeasure(
        "etran",
        etran,
        reads="features and logits of m sources, labels",
        range="[0, 2], beside the other sources",
        summary="energy and separability",
        paper="Gholami et al. 2023",
        cost="m·(n·d² + d³)",
        memory="n·d + d²",
    ),
    FurtherMeasure(
        "emms",
        emms,
        reads="features, k embeddings [n e] of each label",
        range="(−∞, 0]",
        summary="regression of blended label embeddings",
        paper="Meng et al. 2023",
        cost="n·d² + d³ + n·k·e·(d + k)",
        memory="n·(d + k·e)",
    ),
    FurtherMeasure(
        "ped",
        ped,
        reads="features, labels, any measure",
        range="the measure's",
        summary="a measure after classes have pushed apart",
        paper="Li et al. 2023",
        cost="n·d² + c²·d, and the measure's",
        memory="n·d + d²",
    ),
    FurtherMeasure(
        "otce",
        otce,
        reads="features and labels of the source's data and of the target",
        range="[−H(Y), 0]",
        summary="−H(Y|Z) of examples paired by transport",
        paper="Tan et al. 2021",
        cost="n²·d + n³",
        memory="n²",
    ),
    FurtherMeasure(
        "jc_nce",
        jc_nce,
        reads="features and labels of the source's data and of the target",
        range="[−H(Y), 0]",
        summary="OTCE that pairs like classes",
        paper="Tan et al. 2021",
        cost="n²·d + n³",
        memory="n²",
    ),
)

FURTHER: dict[str, FurtherMeasure] = {row.name: row for row in _TABLE}
