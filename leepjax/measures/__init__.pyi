"""The public names of measures. A measure with a row is public by its import in the table: no line is needed here."""

from leepjax.measures.from_moments import scores_from_moments as scores_from_moments
from leepjax.measures.further import *
from leepjax.measures.further import FURTHER as FURTHER
from leepjax.measures.of_features.knn import knn_split as knn_split
from leepjax.measures.of_more.etran import classification_score as classification_score
from leepjax.measures.of_more.etran import energy_score as energy_score
from leepjax.measures.of_more.greedy_ensemble import Ensemble as Ensemble
from leepjax.measures.of_more.ncti import NCTITerms as NCTITerms
from leepjax.measures.of_more.ncti import ncti_terms as ncti_terms
from leepjax.measures.of_more.otce import OTCETerms as OTCETerms
from leepjax.measures.of_more.otce import otce_terms as otce_terms
from leepjax.measures.of_more.ped import ped_features as ped_features
from leepjax.measures.of_more.trivial import neg_label_entropy as neg_label_entropy
from leepjax.measures.of_more.trivial import neg_log_classes as neg_log_classes
from leepjax.measures.of_more.trivial import num_parameters as num_parameters
from leepjax.measures.of_more.trivial import source_accuracy as source_accuracy
from leepjax.measures.of_probs.calibrated_leep import leep_temperature as leep_temperature
from leepjax.measures.of_probs.eep import ExpectedEmpiricalPredictor as ExpectedEmpiricalPredictor
from leepjax.measures.of_probs.eep import eep as eep
from leepjax.measures.of_probs.leep_tasks import leep_tasks as leep_tasks
from leepjax.measures.table import *
from leepjax.measures.table import DEFAULT_MEASURES as DEFAULT_MEASURES
from leepjax.measures.table import MEASURES as MEASURES
