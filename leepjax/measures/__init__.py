"""The shelf: every measure as a plain function, and the table that lists them."""

from collections.abc import Callable
from typing import Literal, NamedTuple

import jax
import jax.numpy as jnp
from jax.typing import ArrayLike

from leepjax.measures.eep import ExpectedEmpiricalPredictor, eep
from leepjax.measures.em_leep import em_leep
from leepjax.measures.h_score import h_score, h_score_from_moments
from leepjax.measures.leep import leep
from leepjax.measures.leep_lift import leep_lift
from leepjax.measures.leep_tasks import leep_tasks
from leepjax.measures.logme import logme, logme_from_moments
from leepjax.measures.loo_leep import loo_leep
from leepjax.measures.nce import nce
from leepjax.measures.shrunk_h_score import shrunk_h_score, shrunk_h_score_from_moments
from leepjax.measures.soft_nce import soft_nce
from leepjax.moments import Moments

__all__ = [
    "MEASURES",
    "ExpectedEmpiricalPredictor",
    "Measure",
    "eep",
    "em_leep",
    "h_score",
    "h_score_from_moments",
    "leep",
    "leep_lift",
    "leep_tasks",
    "logme",
    "logme_from_moments",
    "loo_leep",
    "nce",
    "scores_from_moments",
    "shrunk_h_score",
    "shrunk_h_score_from_moments",
    "soft_nce",
]


class Measure(NamedTuple):
    """A row of the table of measures; higher scores are better in every row."""

    name: str
    function: Callable[..., jax.Array]
    reads: Literal["probs", "source_labels", "features"]
    range: str
    summary: str
    paper: str
    from_moments: Callable[[Moments], jax.Array] | None = None
    """the measure of features that were summed up in `Moments`, where it reads no more of them"""

    def score(
        self,
        features: ArrayLike | None,
        probs: ArrayLike | None,
        labels: ArrayLike,
        *,
        num_classes: int | None = None,
        where: ArrayLike | None = None,
    ) -> jax.Array:
        """The measure of one source's features [n d] and probs [n z]; what it doesn't read may be None."""
        if self.reads == "source_labels":
            probs = jnp.asarray(probs)
            predicted, z = jnp.argmax(probs, axis=1), probs.shape[1]
            return self.function(predicted, labels, num_source_classes=z, num_classes=num_classes, where=where)
        evidence = features if self.reads == "features" else probs
        return self.function(evidence, labels, num_classes=num_classes, where=where)


_TABLE = (
    Measure("leep", leep, "probs", "[−log n, 0]", "log-likelihood of the EEP", "Nguyen et al. 2020"),
    Measure("em_leep", em_leep, "probs", "[LEEP, 0]", "LEEP after 10 EM steps", "ours, on Nguyen et al. 2020"),
    Measure("loo_leep", loo_leep, "probs", "(−∞, 0]", "LEEP, leaving each example out", "ours, on Nguyen et al. 2020"),
    Measure(
        "leep_lift",
        leep_lift,
        "probs",
        "[0, H(Y)]",
        "LEEP above an uninformative source",
        "ours, on Nguyen et al. 2020",
    ),
    Measure(
        "soft_nce",
        soft_nce,
        "probs",
        "[−H(Y), 0]",
        "−H(Y|Z) of LEEP's soft joint",
        "Tran et al. 2019; Nguyen et al. 2020",
    ),
    Measure("nce", nce, "source_labels", "[−H(Y), 0]", "−H(Y|Z) of predicted source labels", "Tran et al. 2019"),
    Measure(
        "h_score",
        h_score,
        "features",
        "[0, min(d, c−1)]",
        "variance between classes, whitened",
        "Bao et al. 2019",
        h_score_from_moments,
    ),
    Measure(
        "shrunk_h_score",
        shrunk_h_score,
        "features",
        "[0, min(d, c−1)]",
        "H-score, Ledoit–Wolf covariance",
        "Ibrahim et al. 2022",
        shrunk_h_score_from_moments,
    ),
    Measure(
        "logme",
        logme,
        "features",
        "(−∞, ∞)",
        "evidence of a Bayesian linear head",
        "You et al. 2021",
        logme_from_moments,
    ),
)

MEASURES: dict[str, Measure] = {row.name: row for row in _TABLE}


@jax.jit
def scores_from_moments(moments: Moments) -> dict[str, jax.Array]:
    """Every measure of features that were summed up in `Moments`, by name: one Gram serves them all.

    >>> features, labels = jnp.array([[-1.0], [-2], [1], [2]]), jnp.array([0, 0, 1, 1])
    >>> scores = scores_from_moments(Moments.of(features, labels, num_classes=2))
    >>> {name: f"{score:.4f}" for name, score in scores.items()}
    {'h_score': '0.9000', 'logme': '-1.0295', 'shrunk_h_score': '1.2000'}
    """
    return {row.name: row.from_moments(moments) for row in _TABLE if row.from_moments is not None}
