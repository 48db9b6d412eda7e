"""The scores of all measures of features that are functions of `Moments`."""

import jax

from leepjax.measures.table import MEASURES
from leepjax.statistics.moments import Moments


@jax.jit
def scores_from_moments(moments: Moments) -> dict[str, jax.Array]:
    """Scores [] by measure name, of all measures that are functions of `Moments`; they share one Gram.

    >>> from leepjax import Moments, scores_from_moments
    >>> features, labels = [[-1.0], [-2], [1], [2]], [0, 0, 1, 1]
    >>> scores = scores_from_moments(Moments.of(features, labels, num_classes=2))
    >>> {name: f"{score:.4f}" for name, score in scores.items()}
    {'h_score': '0.9000', 'lfc': '0.9000', 'logme': '-1.0295', 'shrunk_h_score': '1.2000'}
    """
    return {row.name: row.from_moments(moments) for row in MEASURES.values() if row.from_moments is not None}
