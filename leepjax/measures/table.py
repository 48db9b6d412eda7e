"""The table of measures: what each reads, what it costs, and where it comes from."""

from collections.abc import Sequence

import jax
from jax.typing import ArrayLike

from leepjax.measures.of_features.gbc import gbc as gbc
from leepjax.measures.of_features.h_score import h_score as h_score
from leepjax.measures.of_features.h_score import h_score_from_moments as h_score_from_moments
from leepjax.measures.of_features.knn import knn as knn
from leepjax.measures.of_features.knn import knn_resampled
from leepjax.measures.of_features.lda import lda as lda
from leepjax.measures.of_features.lfc import lfc as lfc
from leepjax.measures.of_features.lfc import lfc_from_moments as lfc_from_moments
from leepjax.measures.of_features.linear_probe import linear_probe as linear_probe
from leepjax.measures.of_features.logme import logme as logme
from leepjax.measures.of_features.logme import logme_from_moments as logme_from_moments
from leepjax.measures.of_features.n_leep import n_leep as n_leep
from leepjax.measures.of_features.pactran_gaussian import pactran_gaussian as pactran_gaussian
from leepjax.measures.of_features.parc import parc as parc
from leepjax.measures.of_features.sfda import sfda as sfda
from leepjax.measures.of_features.shrunk_h_score import shrunk_h_score as shrunk_h_score
from leepjax.measures.of_features.shrunk_h_score import shrunk_h_score_from_moments as shrunk_h_score_from_moments
from leepjax.measures.of_features.tmi import tmi as tmi
from leepjax.measures.of_features.tmi import tmi_resampled
from leepjax.measures.of_features.transrate import transrate as transrate
from leepjax.measures.of_features.transrate import transrate_from_class_moments as transrate_from_class_moments
from leepjax.measures.of_probs.calibrated_leep import calibrated_leep as calibrated_leep
from leepjax.measures.of_probs.em_leep import em_leep as em_leep
from leepjax.measures.of_probs.leep import leep as leep
from leepjax.measures.of_probs.leep_lift import leep_lift as leep_lift
from leepjax.measures.of_probs.loo_leep import loo_leep as loo_leep
from leepjax.measures.of_probs.nce import nce as nce
from leepjax.measures.of_probs.pactran_dirichlet import pactran_dirichlet as pactran_dirichlet
from leepjax.measures.of_probs.pactran_gamma import pactran_gamma as pactran_gamma
from leepjax.measures.of_probs.soft_nce import soft_nce as soft_nce
from leepjax.measures.rows import Measure as Measure
from leepjax.statistics.joint import Joint


def _ends_of_h_scores(d: int, num_present: int) -> tuple[float, float]:
    return 0.0, float(min(d, num_present - 1))


def _n_leep(features: ArrayLike, labels: ArrayLike, **options) -> jax.Array:
    """N-LEEP with a fixed key, so that a source always gets the same score."""
    return n_leep(jax.random.key(0), features, labels, **options)


_LEEP, _OURS = "Nguyen et al. 2020", "ours, on Nguyen et al. 2020"

# Kept as a table: the formatter would put each argument on a line of its own.
# fmt: off
_TABLE = (
    Measure("leep", leep, "LEEP", "probs", "[−log n, 0]", "log-likelihood of the EEP", _LEEP,
            cost="n·z", memory="c·z", passes=2, streams=True, default=True),
    Measure("em_leep", em_leep, "EM-LEEP", "probs", "[LEEP, 0]", "LEEP after 10 EM steps", _OURS,
            cost="n·z", memory="c·z", passes=21, streams=False, default=True),
    Measure("loo_leep", loo_leep, "LOO-LEEP", "probs", "(−∞, 0]", "LEEP, leaving each example out", _OURS,
            cost="n·z", memory="n·z", passes=2, streams=False, default=True),
    Measure("leep_lift", leep_lift, "LEEP lift", "probs", "[0, H(Y)]", "LEEP above an uninformative source", _OURS,
            cost="n·z", memory="c·z", passes=2, streams=True, default=True),
    Measure("calibrated_leep", calibrated_leep, "calibrated LEEP", "probs", "[−log n, 0]",
            "LEEP at the best held-out temperature", _OURS,
            cost="n·z", memory="n·z", passes=64, streams=False),
    Measure("soft_nce", soft_nce, "soft NCE", "probs", "[−H(Y), 0]",
            "−H(Y|Z) of LEEP's soft joint", "Tran et al. 2019; Nguyen et al. 2020",
            cost="n·z", memory="c·z", passes=1, streams=True, default=True, from_joint=Joint.neg_conditional_entropy),
    Measure("nce", nce, "NCE", "source_labels", "[−H(Y), 0]", "−H(Y|Z) of predicted source labels", "Tran et al. 2019",
            cost="n", memory="c·z", passes=1, streams=True, default=True, from_joint=Joint.neg_conditional_entropy),
    Measure("pactran_dirichlet", pactran_dirichlet, "PACTran-Dirichlet", "probs", "(−∞, 0]",
            "marginal likelihood of a class translation", "Ding et al. 2022",
            cost="n·z", memory="n·z + c·z", passes=32, streams=False),
    Measure("pactran_gamma", pactran_gamma, "PACTran-Gamma", "probs", "(−∞, 0]",
            "marginal likelihood of positive weights", "Ding et al. 2022",
            cost="n·z", memory="n·z + c·z", passes=53, streams=False),

    Measure("h_score", h_score, "H-score", "features", "[0, min(d, c−1)]",
            "variance between classes, whitened", "Bao et al. 2019",
            cost="n·d² + d³", memory="d²", passes=1, streams=True, default=True, ends=_ends_of_h_scores,
            from_moments=h_score_from_moments),
    Measure("shrunk_h_score", shrunk_h_score, "shrunk H-score", "features", "[0, min(d, c−1)·n/(n−1)]",
            "H-score, Ledoit–Wolf covariance", "Ibrahim et al. 2022",
            cost="n·d² + d³", memory="d²", passes=1, streams=True, default=True, ends=_ends_of_h_scores,
            from_moments=shrunk_h_score_from_moments),
    Measure("logme", logme, "LogME", "features", "(−∞, ∞)",
            "marginal likelihood of a Bayesian linear head", "You et al. 2021",
            cost="n·d² + d³", memory="d²", passes=1, streams=True, default=True, from_moments=logme_from_moments),
    Measure("transrate", transrate, "TransRate", "features", "(−∞, ∞)",
            "coding rate, less that of each class", "Huang et al. 2022",
            cost="n·d² + c·d³", memory="c·d²", passes=1, streams=True,
            from_class_moments=transrate_from_class_moments),
    Measure("gbc", gbc, "GBC", "features", "[−c(c−1), 0]", "−overlap of classes as Gaussians", "Pándy et al. 2022",
            cost="n·d² + d³ + c²", memory="n + d²", passes=2, streams=False, smooth=False),
    Measure("n_leep", _n_leep, "N-LEEP", "features", "[−H(Y), 0]", "LEEP of clusters of the features", "Li et al. 2021",
            cost="n·d² + d³ + n·d·c", memory="n·(d + min(5·c, n)) + d²", passes=2, streams=False, smooth=False),
    Measure("lfc", lfc, "LFC", "features", "[0, 1]", "cosine of feature and label kernels", "Deshpande et al. 2021",
            cost="n·d²", memory="d²", passes=1, streams=True, from_moments=lfc_from_moments),
    Measure("parc", parc, "PARC", "features", "[−100, 100]", "rank correlation of feature and label distances",
            "Bolya et al. 2021", cost="n·log n + d", memory="d + min(n, 500)²", passes=1, streams=False, smooth=False),
    Measure("tmi", tmi, "TMI", "features", "(−∞, ∞)", "entropy of the features within classes", "Xu, Kang 2023",
            cost="n²·d", memory="n·d", passes=3, streams=False, resampled=tmi_resampled),
    Measure("lda", lda, "LDA", "features", "(−∞, 0]",
            "log-likelihood of discriminant analysis", "Fisher 1936; Ledoit and Wolf 2004",
            cost="n·d² + d³", memory="n·(d + c) + d²", passes=1, streams=False),
    Measure("sfda", sfda, "SFDA", "features", "[0, 1]", "LDA after hard examples are made harder", "Shao et al. 2022",
            cost="n·d² + d³", memory="n·(d + c) + d²", passes=2, streams=False),
    Measure("pactran_gaussian", pactran_gaussian, "PACTran-Gaussian", "features", "(−∞, 0]",
            "bound on the marginal likelihood of a logistic head", "Ding et al. 2022",
            cost="steps·n·d·c + n·d² + d³", memory="n·(d + c) + d²", passes=400, streams=False, smooth=False),
    Measure("knn", knn, "k-NN accuracy", "features", "[0, 1]", "leave-one-out accuracy of 5 neighbours",
            "Cover, Hart 1967", cost="n²·d", memory="n·d", passes=2, streams=False, smooth=False,
            resampled=knn_resampled),
    Measure("linear_probe", linear_probe, "linear probe accuracy", "features", "[0, 1]",
            "leave-one-out accuracy of a ridge probe", "Allen 1974",
            cost="n·d·min(n, d)", memory="n·d", passes=3, streams=False, smooth=False),
)
# fmt: on

MEASURES: dict[str, Measure] = {row.name: row for row in _TABLE}

LEADING = "logme"
"""The measure that orders sources by default if no head is trained: in the benchmark of decisions (`docs/choosing.md`),
its first choice loses the least accuracy."""

DEFAULT_MEASURES = (LEADING, *(row.name for row in _TABLE if row.default and row.name != LEADING))
"""The default measures of rankings, sweeps and studies: the paper's and related ones that take few passes."""


def chosen(names: Sequence[str] | None) -> tuple[str, ...]:
    """The selected measures: the default ones for None, and every one for the single name ``all``."""
    if names is None:
        return DEFAULT_MEASURES
    return tuple(MEASURES) if tuple(names) == ("all",) else tuple(names)
