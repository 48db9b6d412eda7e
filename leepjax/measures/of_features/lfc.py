"""Label-feature correlation (Deshpande et al., 2021)."""

from functools import partial

import jax
import jax.numpy as jnp
from jax.typing import ArrayLike

from leepjax.kernels import resolved
from leepjax.measures.shell import score_features
from leepjax.statistics.moments import Moments


def lfc(
    features: ArrayLike, labels: ArrayLike, *, num_classes: int | None = None, where: ArrayLike | None = None
) -> jax.Array:
    """How alike examples of one class are, and how unlike those of others: a cosine of two kernel matrices.

    With K_ij = x_i·x_j the linear kernel of the centred features, and L_ij = 1 for examples of one class, −1 otherwise:

        LFC = ⟨K, L⟩ / (‖K‖_F ‖L‖_F) = (2 Σ_c ‖s_c‖² − ‖Σ_c s_c‖²) / (‖G‖_F n)

    s_c is the sum of the centred features of class c, and G their Gram, whose norm is K's: neither matrix [n n] is ever
    formed. It reads the statistic `Moments` alone, so it streams in one pass (`lfc_from_moments`).

    Args:
        features: [n d] finite numbers, the input of the source's head.
        labels: [n] integer target classes in [0, num_classes).
        num_classes: c; read from the labels when left out, needed under `jax.jit`.
        where: [n] mask of the examples that count, or non-negative weights.

    Returns:
        A scalar in [0, 1], higher is better; 0 for one class. NaN for constant features, or when no example counts.
        Unchanged by rotating, moving and scaling the features together; changed by scaling single ones.

    Raises:
        ValueError: outside jit, for features that aren't finite, labels out of range or shapes that don't fit.

    Notes:
        Published code (Ba1Jun/model-selection-nlp) subtracts the mean of all entries from both matrices, so that
        features far from zero keep an almost constant kernel. Here the features are centred. L needn't be centred,
        because the mean of K is then zero: it would only multiply all sources' scores by the same factor. That code
        also divides by spectral norms, so its score isn't a cosine: four classes of one-hot features score 3.

    >>> from leepjax import lfc
    >>> print(f"{lfc([[0.0], [1.0], [2.0], [3.0]], [0, 0, 1, 1]):.4f}")
    0.8000

    Reference:
        Deshpande, Achille, Ravichandran, Li, Zancato, Fowlkes, Bhotika, Soatto, Perona, *A linearized framework and a
        new benchmark for model selection for fine-tuning*, 2021, arXiv:2102.00084.
    """
    return score_features("lfc", _lfc, features, labels, num_classes, where, run=resolved)


def lfc_from_moments(moments: Moments) -> jax.Array:
    """The label-feature correlation of features that were summed up in `Moments`."""
    central = moments.central()
    varies = (jnp.diagonal(central.gram) > moments.rounding).any()
    # ‖Σ s‖² is zero about the mean. The scale is taken out first, or float32 overflows in fourth powers.
    scale = jnp.where(varies, jnp.trace(central.gram), 1)
    norm = jnp.sqrt(jnp.where(varies, ((central.gram / scale) ** 2).sum(), 1))
    correlation = 2 * (central.sums**2).sum() / scale / norm / moments.size
    return jnp.where(varies, correlation, jnp.nan)


@partial(jax.jit, static_argnames="num_classes")
def _lfc(features, labels, where, num_classes):
    return lfc_from_moments(Moments.of(features, labels, num_classes, where))
