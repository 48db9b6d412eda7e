"""Oracles for the measures: written from the papers, slowly, in float64, independently of the kernels.

Natural logarithms, higher is better. `where` is an optional [n] mask, or non-negative weights that count an example
that many times; an example of weight zero is never looked at.
"""

from reference.calibration import calibrated_leep, leep_temperature, temperature_scores
from reference.discriminants import lda, linear_probe, sfda
from reference.ensembles import e_leep, greedy_ensemble, ms_leep
from reference.gaussians import gbc, transrate
from reference.h_scores import h_score, shrunk_h_score
from reference.hard_subset import distance_from_class, distance_from_source, hard_subset
from reference.hub_relative import classification_score, energy_score, etran, ncti, ncti_terms
from reference.label_embeddings import emms, onto_simplex
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
from reference.logme import logme, logme_regression
from reference.mixtures import n_leep
from reference.multilabel import multilabel_h_score, multilabel_leep, multilabel_logme, multilabel_nce
from reference.neighbours import knn, knn_split, lfc, parc, tmi
from reference.pactran import pactran_dirichlet, pactran_gamma, pactran_gaussian
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
    "emms",
    "energy_score",
    "etran",
    "gbc",
    "greedy_ensemble",
    "h_score",
    "hard_subset",
    "jc_nce",
    "joint",
    "knn",
    "knn_split",
    "label_mse",
    "label_table",
    "lda",
    "leep",
    "leep_lift",
    "leep_temperature",
    "lfc",
    "linear_mse",
    "linear_probe",
    "logme",
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
    "neg_conditional_entropy",
    "neg_label_entropy",
    "neg_log_classes",
    "onto_simplex",
    "otce",
    "otce_terms",
    "pactran_dirichlet",
    "pactran_gamma",
    "pactran_gaussian",
    "parc",
    "ped",
    "ped_features",
    "sfda",
    "shrunk_h_score",
    "soft_nce",
    "squared_distances",
    "task2vec_asymmetric",
    "task2vec_distance",
    "temperature_scores",
    "tmi",
    "transrate",
]
