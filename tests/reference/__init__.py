"""Oracles for the measures: written from the papers, slowly, in float64, independently of the kernels.

Natural logarithms, higher is better. `where` is an optional [n] mask, or non-negative weights that count an example
that many times; an example of weight zero is never looked at.
"""

from reference.discriminants import lda, linear_probe, sfda
from reference.gaussians import gbc, transrate
from reference.calibration import calibrated_leep, leep_temperature, temperature_scores
from reference.ensembles import e_leep, greedy_ensemble, ms_leep
from reference.h_scores import h_score, shrunk_h_score
from reference.leep_family import (
    eep,
    em_leep,
    joint,
    leep,
    leep_lift,
    loo_leep,
    nce,
    neg_label_entropy,
    neg_log_classes,
    soft_nce,
)
from reference.logme import logme
from reference.mixtures import n_leep
from reference.neighbours import knn, knn_split, lfc, parc, tmi
from reference.pactran import pactran_dirichlet, pactran_gamma, pactran_gaussian
from reference.hard_subset import distance_from_class, distance_from_source, hard_subset
from reference.hub_relative import classification_score, energy_score, etran, ncti, ncti_terms
from reference.label_embeddings import emms, onto_simplex
from reference.leep_family import eep, em_leep, joint, leep, leep_lift, loo_leep, nce, neg_label_entropy, soft_nce
from reference.logme import logme, logme_regression
from reference.multilabel import multilabel_h_score, multilabel_leep, multilabel_logme, multilabel_nce
from reference.potential_energy import ped, ped_features
from reference.regression import label_mse, linear_mse
from reference.task_embedding import task2vec_asymmetric, task2vec_distance
from reference.transport import (
    cheapest_coupling,
    jc_nce,
    label_table,
    neg_conditional_entropy,
    otce,
    otce_terms,
    squared_distances,
)

__all__ = [
    "calibrated_leep",
    "cheapest_coupling",
    "classification_score",
    "distance_from_class",
    "distance_from_source",
    "e_leep",
    "eep",
    "em_leep",
    "gbc",
    "emms",
    "energy_score",
    "etran",
    "greedy_ensemble",
    "h_score",
    "hard_subset",
    "jc_nce",
    "joint",
    "knn",
    "knn_split",
    "lda",
    "label_mse",
    "label_table",
    "leep",
    "leep_lift",
    "lfc",
    "linear_probe",
    "leep_temperature",
    "linear_mse",
    "logme",
    "logme_regression",
    "loo_leep",
    "n_leep",
    "ms_leep",
    "multilabel_h_score",
    "multilabel_leep",
    "multilabel_logme",
    "multilabel_nce",
    "nce",
    "ncti",
    "ncti_terms",
    "neg_conditional_entropy",
    "neg_label_entropy",
    "neg_log_classes",
    "pactran_dirichlet",
    "pactran_gamma",
    "pactran_gaussian",
    "parc",
    "sfda",
    "onto_simplex",
    "otce",
    "otce_terms",
    "ped",
    "ped_features",
    "shrunk_h_score",
    "soft_nce",
    "tmi",
    "transrate",
    "squared_distances",
    "task2vec_asymmetric",
    "task2vec_distance",
    "temperature_scores",
]
