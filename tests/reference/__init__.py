"""Oracles for the measures: written from the papers, slowly, in float64, independently of the kernels.

Natural logarithms, higher is better. `where` is an optional [n] mask, or non-negative weights that count an example
that many times; an example of weight zero is never looked at. An oracle is imported here under its own name.
"""

from reference.calibration import calibrated_leep as calibrated_leep
from reference.calibration import leep_temperature as leep_temperature
from reference.calibration import temperature_scores as temperature_scores
from reference.discriminants import lda as lda
from reference.discriminants import linear_probe as linear_probe
from reference.discriminants import sfda as sfda
from reference.ensembles import e_leep as e_leep
from reference.ensembles import greedy_ensemble as greedy_ensemble
from reference.ensembles import ms_leep as ms_leep
from reference.gaussians import gbc as gbc
from reference.gaussians import transrate as transrate
from reference.h_scores import h_score as h_score
from reference.h_scores import shrunk_h_score as shrunk_h_score
from reference.hard_subset import distance_from_class as distance_from_class
from reference.hard_subset import distance_from_source as distance_from_source
from reference.hard_subset import hard_subset as hard_subset
from reference.hub_relative import classification_score as classification_score
from reference.hub_relative import energy_score as energy_score
from reference.hub_relative import etran as etran
from reference.hub_relative import ncti as ncti
from reference.hub_relative import ncti_terms as ncti_terms
from reference.label_embeddings import emms as emms
from reference.label_embeddings import onto_simplex as onto_simplex
from reference.leep_family import eep as eep
from reference.leep_family import em_leep as em_leep
from reference.leep_family import joint as joint
from reference.leep_family import leep as leep
from reference.leep_family import leep_lift as leep_lift
from reference.leep_family import loo_leep as loo_leep
from reference.leep_family import nce as nce
from reference.leep_family import neg_label_entropy as neg_label_entropy
from reference.leep_family import neg_log_classes as neg_log_classes
from reference.leep_family import soft_nce as soft_nce
from reference.logme import logme as logme
from reference.logme import logme_regression as logme_regression
from reference.mixtures import n_leep as n_leep
from reference.multilabel import multilabel_h_score as multilabel_h_score
from reference.multilabel import multilabel_leep as multilabel_leep
from reference.multilabel import multilabel_logme as multilabel_logme
from reference.multilabel import multilabel_nce as multilabel_nce
from reference.neighbours import knn as knn
from reference.neighbours import knn_split as knn_split
from reference.neighbours import lfc as lfc
from reference.neighbours import parc as parc
from reference.neighbours import tmi as tmi
from reference.pactran import pactran_dirichlet as pactran_dirichlet
from reference.pactran import pactran_gamma as pactran_gamma
from reference.pactran import pactran_gaussian as pactran_gaussian
from reference.potential_energy import ped as ped
from reference.potential_energy import ped_features as ped_features
from reference.regression import label_mse as label_mse
from reference.regression import linear_mse as linear_mse
from reference.task_embedding import task2vec_asymmetric as task2vec_asymmetric
from reference.task_embedding import task2vec_distance as task2vec_distance
from reference.transport import cheapest_coupling as cheapest_coupling
from reference.transport import jc_nce as jc_nce
from reference.transport import label_table as label_table
from reference.transport import neg_conditional_entropy as neg_conditional_entropy
from reference.transport import otce as otce
from reference.transport import otce_terms as otce_terms
from reference.transport import squared_distances as squared_distances
