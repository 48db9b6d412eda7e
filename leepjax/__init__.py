"""leepjax: which pretrained model will transfer to your data, before you train anything.

>>> import leepjax as lj
>>> print(f"{lj.leep([[0.9, 0.1], [0.8, 0.2], [0.2, 0.8]], [0, 0, 1]):.4f}")
-0.3168
"""

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from leepjax.data.preprocessing import Preprocessing
    from leepjax.data.readers import read_target
    from leepjax.distributed.sharding import shard_rows
    from leepjax.extraction.extract_sources import extract
    from leepjax.measures import (
        DEFAULT_MEASURES,
        FURTHER,
        MEASURES,
        classification_score,
        e_leep,
        energy_score,
        knn_split,
        label_mse,
        leep_temperature,
        linear_mse,
        ms_leep,
        multilabel_h_score,
        multilabel_leep,
        multilabel_logme,
        multilabel_nce,
        ncti_terms,
        neg_label_entropy,
        neg_log_classes,
        num_parameters,
        otce_terms,
        ped_features,
        source_accuracy,
    )
    from leepjax.measures.of_features import (
        gbc,
        h_score,
        knn,
        lda,
        lfc,
        linear_probe,
        logme,
        n_leep,
        pactran_gaussian,
        parc,
        sfda,
        shrunk_h_score,
        tmi,
        transrate,
    )
    from leepjax.measures.of_more import (
        emms,
        etran,
        greedy_ensemble,
        hard_subset,
        jc_nce,
        logme_regression,
        ncti,
        otce,
        ped,
    )
    from leepjax.measures.of_probs import (
        calibrated_leep,
        eep,
        em_leep,
        leep,
        leep_lift,
        leep_tasks,
        loo_leep,
        nce,
        pactran_dirichlet,
        pactran_gamma,
        soft_nce,
    )
    from leepjax.models.opening import load_source
    from leepjax.models.source import Source, as_source
    from leepjax.ranking import Ranking
    from leepjax.ranking.rank import rank
    from leepjax.ranking.sweep import sweep
    from leepjax.statistics.class_moments import ClassMoments
    from leepjax.statistics.joint import Joint
    from leepjax.statistics.moments import Moments
    from leepjax.streaming.batches import Batches
    from leepjax.streaming.sweeps import accumulate
    from leepjax.transfer.finetune import fine_tune, from_scratch
    from leepjax.transfer.head import retrain_head
    from leepjax.transfer.head_tasks import retrain_heads
    from leepjax.transfer.metrics import metrics
    from leepjax.transfer.recipe import FineTuning, Recipe
    from leepjax.transfer.ridge import fit_ridge
    from leepjax.transfer.task2vec import task2vec, task2vec_asymmetric, task2vec_distance

__version__ = "0.1.0"

__all__ = [
    "DEFAULT_MEASURES",
    "FURTHER",
    "MEASURES",
    "Batches",
    "ClassMoments",
    "FineTuning",
    "Joint",
    "Moments",
    "Preprocessing",
    "Ranking",
    "Recipe",
    "Source",
    "accumulate",
    "as_source",
    "calibrated_leep",
    "classification_score",
    "e_leep",
    "eep",
    "em_leep",
    "emms",
    "energy_score",
    "etran",
    "extract",
    "fine_tune",
    "fit_ridge",
    "from_scratch",
    "gbc",
    "greedy_ensemble",
    "h_score",
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
    "linear_mse",
    "linear_probe",
    "load_source",
    "logme",
    "logme_regression",
    "loo_leep",
    "metrics",
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
    "rank",
    "read_target",
    "retrain_head",
    "retrain_heads",
    "sfda",
    "shard_rows",
    "shrunk_h_score",
    "soft_nce",
    "source_accuracy",
    "sweep",
    "task2vec",
    "task2vec_asymmetric",
    "task2vec_distance",
    "tmi",
    "transrate",
]

# Where a public name lives, when that isn't `measures`. Names load when they are first used: `leepjax --help` needs no
# JAX, and the measures need neither Flax nor Optax.
_HOMES = {
    "Batches": "streaming.batches",
    "ClassMoments": "statistics.class_moments",
    "Joint": "statistics.joint",
    "Moments": "statistics.moments",
    "Ranking": "ranking",
    "Preprocessing": "data.preprocessing",
    "Source": "models.source",
    "as_source": "models.source",
    "load_source": "models.opening",
    "read_target": "data.readers",
    "FineTuning": "transfer.recipe",
    "Recipe": "transfer.recipe",
    "fine_tune": "transfer.finetune",
    "fit_ridge": "transfer.ridge",
    "from_scratch": "transfer.finetune",
    "metrics": "transfer.metrics",
    "retrain_head": "transfer.head",
    "retrain_heads": "transfer.head_tasks",
    "task2vec": "transfer.task2vec",
    "task2vec_asymmetric": "transfer.task2vec",
    "task2vec_distance": "transfer.task2vec",
    "extract": "extraction.extract_sources",
    "rank": "ranking.rank",
    "accumulate": "streaming.sweeps",
    "shard_rows": "distributed.sharding",
    "sweep": "ranking.sweep",
}


def __getattr__(name: str) -> Any:
    if name not in __all__:
        raise AttributeError(f"module 'leepjax' has no attribute {name!r}")
    return getattr(import_module(f"leepjax.{_HOMES.get(name, 'measures')}"), name)


def __dir__() -> list[str]:
    return [*__all__, "__version__"]
