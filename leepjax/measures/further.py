"""The table of further measures, whose input isn't the outputs of one source and class labels."""

from leepjax.measures.of_more.emms import emms as emms
from leepjax.measures.of_more.ensemble_leep import e_leep as e_leep
from leepjax.measures.of_more.ensemble_leep import ms_leep as ms_leep
from leepjax.measures.of_more.etran import etran as etran
from leepjax.measures.of_more.greedy_ensemble import greedy_ensemble as greedy_ensemble
from leepjax.measures.of_more.hard_subset import hard_subset as hard_subset
from leepjax.measures.of_more.jc_nce import jc_nce as jc_nce
from leepjax.measures.of_more.logme_regression import logme_regression as logme_regression
from leepjax.measures.of_more.multilabel import multilabel_h_score as multilabel_h_score
from leepjax.measures.of_more.multilabel import multilabel_leep as multilabel_leep
from leepjax.measures.of_more.multilabel import multilabel_logme as multilabel_logme
from leepjax.measures.of_more.multilabel import multilabel_nce as multilabel_nce
from leepjax.measures.of_more.ncti import ncti as ncti
from leepjax.measures.of_more.otce import otce as otce
from leepjax.measures.of_more.ped import ped as ped
from leepjax.measures.of_more.regression import label_mse as label_mse
from leepjax.measures.of_more.regression import linear_mse as linear_mse
from leepjax.measures.rows import FurtherMeasure as FurtherMeasure


def _zero_to_one(d: int, num_labels: int) -> tuple[float, float]:
    return 0.0, 1.0


_AGOSTINELLI, _NGUYEN = "Agostinelli et al. 2022", "Nguyen et al. 2023"

# Kept as a table: the formatter would put each argument on a line of its own.
# fmt: off
_TABLE = (
    FurtherMeasure("ms_leep", ms_leep, "MS-LEEP", "probs of m sources, labels", "[−m log n, 0]",
                   "sum of the sources' LEEPs", _AGOSTINELLI,
                   cost="m·n·z", memory="c·z + m·n"),
    FurtherMeasure("e_leep", e_leep, "E-LEEP", "probs of m sources, labels", "[−log n, 0]",
                   "log-likelihood of the average EEP", _AGOSTINELLI,
                   cost="m·n·z", memory="c·z + m·n"),
    FurtherMeasure("greedy_ensemble", greedy_ensemble, "greedy ensemble",
                   "probs of m sources, labels, k", "k scores of e_leep or ms_leep",
                   "k sources chosen one by one for the highest joint score", _AGOSTINELLI,
                   cost="m·n·z + k·m·n", memory="c·z + m·n"),

    FurtherMeasure("linear_mse", linear_mse, "Linear MSE", "features, real targets", "[−Σ var(y), 0]",
                   "negative loss of ridge regression, penalty included", _NGUYEN,
                   cost="n·d² + d³ + n·d·t", memory="d² + n·d", fits="regression", default=True),
    FurtherMeasure("label_mse", label_mse, "Label MSE", "the source's outputs, real targets", "[−Σ var(y), 0]",
                   "Linear MSE of the source's outputs", _NGUYEN,
                   cost="n·z² + z³ + n·z·t", memory="z² + n·z", fits="regression", evidence="outputs", default=True),
    FurtherMeasure("logme_regression", logme_regression, "LogME of regression", "features, real targets", "(−∞, ∞)",
                   "marginal likelihood of a Bayesian linear head", "You et al. 2021",
                   cost="n·d² + d³ + n·d·t", memory="d² + n·d", fits="regression", default=True),
    FurtherMeasure("multilabel_leep", multilabel_leep, "multi-label LEEP",
                   "probs, labels [n t] of 0 and 1", "[−log 2, 0]",
                   "mean of the labels' binary LEEPs", "Nguyen et al. 2020, label by label",
                   cost="n·z·t", memory="n·z + n·t", fits="multilabel", evidence="probs", default=True),
    FurtherMeasure("multilabel_nce", multilabel_nce, "multi-label NCE",
                   "source labels, labels [n t] of 0 and 1", "[−log 2, 0]",
                   "mean of the labels' binary NCEs", "Tran et al. 2019, label by label",
                   cost="n·t", memory="z·t + n·t", fits="multilabel", evidence="source_labels", default=True),
    FurtherMeasure("multilabel_logme", multilabel_logme, "multi-label LogME",
                   "features, labels [n t] of 0 and 1", "(−∞, ∞)",
                   "mean of the labels' binary LogMEs", "You et al. 2021, label by label",
                   cost="n·d² + d³ + n·d·t", memory="d² + n·d", fits="multilabel", default=True),
    FurtherMeasure("multilabel_h_score", multilabel_h_score, "multi-label H-score",
                   "features, labels [n t] of 0 and 1", "[0, 1]",
                   "mean of the labels' binary H-scores", "Bao et al. 2019, label by label",
                   cost="n·d² + d³ + n·d·t", memory="d² + n·d", fits="multilabel", default=True, ends=_zero_to_one),
    FurtherMeasure("hard_subset", hard_subset, "hard subset",
                   "features, labels, optionally the source's features of its own data", "weights [n], for `where`",
                   "the examples that are hard for a source", "Menta et al. 2023",
                   cost="n·d² + c·d³", memory="n·d + d²"),

    FurtherMeasure("ncti", ncti, "NCTI", "features of m sources, labels", "[−1, 2], relative to the other sources",
                   "nearness to neural collapse", "Wang et al. 2023",
                   cost="m·(n·d² + d³ + n·c³)", memory="n·d + d²"),
    FurtherMeasure("etran", etran, "ETran",
                   "features and logits of m sources, labels", "[0, 2], relative to the other sources",
                   "energy and separability", "Gholami et al. 2023",
                   cost="m·(n·d² + d³)", memory="n·d + d²"),
    FurtherMeasure("emms", emms, "EMMS", "features, k embeddings [n e] of each label", "(−∞, 0]",
                   "regression of blended label embeddings", "Meng et al. 2023",
                   cost="n·d² + d³ + n·k·e·(d + k)", memory="n·(d + k·e)"),
    FurtherMeasure("ped", ped, "PED", "features, labels, any measure", "the measure's",
                   "a measure after overlapping classes are moved apart", "Li et al. 2023",
                   cost="n·d² + c²·d, and the measure's", memory="n·d + d²"),
    FurtherMeasure("otce", otce, "OTCE", "features and labels of the source's data and of the target", "[−H(Y), 0]",
                   "−H(Y|Z) of examples paired by transport", "Tan et al. 2021",
                   cost="n²·d + n³", memory="n²"),
    FurtherMeasure("jc_nce", jc_nce, "JC-NCE",
                   "features and labels of the source's data and of the target", "[−H(Y), 0]",
                   "OTCE that prefers pairs of similar classes", "Tan et al. 2021",
                   cost="n²·d + n³", memory="n²"),
)
# fmt: on

FURTHER: dict[str, FurtherMeasure] = {row.name: row for row in _TABLE}
