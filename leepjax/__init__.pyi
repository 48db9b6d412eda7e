"""The public names of leepjax and where they are defined; `leepjax.exports` reads them here at run time."""

from leepjax.agreement.truth import Verification as Verification
from leepjax.agreement.verify_files import verify as verify
from leepjax.choosing.choice import Choice as Choice
from leepjax.choosing.choose import choose as choose
from leepjax.data.preprocessing import Preprocessing as Preprocessing
from leepjax.data.readers import read_target as read_target
from leepjax.distributed.sharding import shard_rows as shard_rows
from leepjax.extraction.extract_sources import extract as extract
from leepjax.extraction.predict import Predictions as Predictions
from leepjax.extraction.predict import predict as predict
from leepjax.measures import *
from leepjax.meta.learner import MetaLearner as MetaLearner
from leepjax.meta.learner_files import load_learner as load_learner
from leepjax.meta.metatest import metatest as metatest
from leepjax.meta.metatrain import metatrain as metatrain
from leepjax.meta.recipe import MetaTraining as MetaTraining
from leepjax.meta.sizes import TaskSizes as TaskSizes
from leepjax.models.as_source import as_source as as_source
from leepjax.models.opening import load_source as load_source
from leepjax.models.ready import as_table as as_table
from leepjax.models.source import Source as Source
from leepjax.ranking import Ranking as Ranking
from leepjax.ranking.rank import rank as rank
from leepjax.ranking.sweep import sweep as sweep
from leepjax.statistics.class_moments import ClassMoments as ClassMoments
from leepjax.statistics.joint import Joint as Joint
from leepjax.statistics.moments import Moments as Moments
from leepjax.streaming.batches import Batches as Batches
from leepjax.streaming.sweeps import accumulate as accumulate
from leepjax.transfer.finetune import fine_tune as fine_tune
from leepjax.transfer.finetune import from_scratch as from_scratch
from leepjax.transfer.head import retrain_head as retrain_head
from leepjax.transfer.head_tasks import retrain_heads as retrain_heads
from leepjax.transfer.metrics import metrics as metrics
from leepjax.transfer.recipe import FineTuning as FineTuning
from leepjax.transfer.recipe import Recipe as Recipe
from leepjax.transfer.ridge import fit_ridge as fit_ridge
from leepjax.transfer.task2vec import task2vec as task2vec
from leepjax.transfer.task2vec import task2vec_asymmetric as task2vec_asymmetric
from leepjax.transfer.task2vec import task2vec_distance as task2vec_distance

__version__: str
