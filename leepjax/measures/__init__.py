"""The shelf: every measure as a plain function, and the table that lists them."""

import jax

from leepjax.measures.further import FURTHER, FurtherMeasure
from leepjax.measures.of_features.gbc import gbc
from leepjax.measures.of_features.h_score import h_score, h_score_from_moments
from leepjax.measures.of_features.knn import knn, knn_split
from leepjax.measures.of_features.lda import lda
from leepjax.measures.of_features.lfc import lfc, lfc_from_moments
from leepjax.measures.of_features.linear_probe import linear_probe
from leepjax.measures.of_features.logme import logme, logme_from_moments
from leepjax.measures.of_features.n_leep import n_leep
from leepjax.measures.of_features.pactran_gaussian import pactran_gaussian
from leepjax.measures.of_features.parc import parc
from leepjax.measures.of_features.sfda import sfda
from leepjax.measures.of_features.shrunk_h_score import shrunk_h_score, shrunk_h_score_from_moments
from leepjax.measures.of_features.tmi import tmi
from leepjax.measures.of_features.transrate import transrate, transrate_from_class_moments
from leepjax.measures.of_more.emms import emms
from leepjax.measures.of_more.ensemble_leep import e_leep, ms_leep
from leepjax.measures.of_more.etran import classification_score, energy_score, etran
from leepjax.measures.of_more.greedy_ensemble import Ensemble, greedy_ensemble
from leepjax.measures.of_more.hard_subset import hard_subset
from leepjax.measures.of_more.jc_nce import jc_nce
from leepjax.measures.of_more.logme_regression import logme_regression
from leepjax.measures.of_more.multilabel import multilabel_h_score, multilabel_leep, multilabel_logme, multilabel_nce
from leepjax.measures.of_more.ncti import NCTITerms, ncti, ncti_terms
from leepjax.measures.of_more.otce import OTCETerms, otce, otce_terms
from leepjax.measures.of_more.ped import ped, ped_features
from leepjax.measures.of_more.regression import label_mse, linear_mse
from leepjax.measures.of_more.trivial import neg_label_entropy, neg_log_classes, num_parameters, source_accuracy
from leepjax.measures.of_probs.calibrated_leep import calibrated_leep, leep_temperature
from leepjax.measures.of_probs.eep import ExpectedEmpiricalPredictor, eep
from leepjax.measures.of_probs.em_leep import em_leep
from leepjax.measures.of_probs.leep import leep
from leepjax.measures.of_probs.leep_lift import leep_lift
from leepjax.measures.of_probs.leep_tasks import leep_tasks
from leepjax.measures.of_probs.loo_leep import loo_leep
from leepjax.measures.of_probs.nce import nce
from leepjax.measures.of_probs.pactran_dirichlet import pactran_dirichlet
from leepjax.measures.of_probs.pactran_gamma import pactran_gamma
from leepjax.measures.of_probs.soft_nce import soft_nce
from leepjax.measures.table import DEFAULT_MEASURES, MEASURES, Measure, chosen
from leepjax.statistics.moments import Moments

__all__ = [
    "DEFAULT_MEASURES",
    "FURTHER",
    "MEASURES",
    "Ensemble",
    "ExpectedEmpiricalPredictor",
    "FurtherMeasure",
    "Measure",
    "NCTITerms",
    "OTCETerms",
    "calibrated_leep",
    "chosen",
    "classification_score",
    "e_leep",
    "eep",
    "em_leep",
    "emms",
    "energy_score",
    "etran",
    "gbc",
    "greedy_ensemble",
    "h_score",
    "h_score_from_moments",
    "hard_subset",
    "jc_nce",
    "knn",
    "knn_split",
    "label_mse",
    "lda",
    "leep",
    "leep_lift",
    "leep_tasks",
    "leep_temperature",
    "lfc",
    "lfc_from_moments",
    "linear_mse",
    "linear_probe",
    "logme",
    "logme_from_moments",
    "logme_regression",
    "loo_leep",
    "ms_leep",
    "multilabel_h_score",
    "multilabel_leep",
    "multilabel_logme",
    "multilabel_nce",
    "n_leep",
    "nce",
    "ncti",
    "ncti_terms",
    "neg_label_entropy",
    "neg_log_classes",
    "num_parameters",
    "otce",
    "otce_terms",
    "pactran_dirichlet",
    "pactran_gamma",
    "pactran_gaussian",
    "parc",
    "ped",
    "ped_features",
    "scores_from_moments",
    "sfda",
    "shrunk_h_score",
    "shrunk_h_score_from_moments",
    "soft_nce",
    "source_accuracy",
    "tmi",
    "transrate",
    "transrate_from_class_moments",
]


@jax.jit
def scores_from_moments(moments: Moments) -> dict[str, jax.Array]:
    """Every measure of features that were summed up in `Moments`, by name: one Gram serves them all.

    >>> features, labels = jnp.array([[-1.0], [-2], [1], [2]]), jnp.array([0, 0, 1, 1])
    >>> scores = scores_from_moments(Moments.of(features, labels, num_classes=2))
    >>> {name: f"{score:.4f}" for name, score in scores.items()}
    {'h_score': '0.9000', 'lfc': '0.9000', 'logme': '-1.0295', 'shrunk_h_score': '1.2000'}
    """
    return {row.name: row.from_moments(moments) for row in MEASURES.values() if row.from_moments is not None}
