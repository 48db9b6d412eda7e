"""The passes over [n z] evidence: each reads it once, in blocks, and keeps nothing of its size.

A kernel is four things: the formula in plain `jax.numpy` (its derivative is the kernel's), the loop that suits a CPU,
the matmuls that suit a GPU or TPU, and what becomes of it under ``vmap``. `rows.row_kernel` makes one function of them
that also runs where the rows are sharded over devices.
"""

from leepjax.kernels.axes import in_auto_axes, told_by_type
from leepjax.kernels.class_sums import class_sums
from leepjax.kernels.likelihood import own_likelihood
from leepjax.kernels.logits import log_normalizer
from leepjax.kernels.precision import (
    HIGHEST,
    TOLERANCE,
    of_features,
    power_of_two,
    resolution,
    resolved,
    unit_of,
    units_of,
)
from leepjax.kernels.rows import accumulator, theta
from leepjax.kernels.weights import nonzero_or_one, weights_of

__all__ = [
    "HIGHEST",
    "TOLERANCE",
    "accumulator",
    "class_sums",
    "in_auto_axes",
    "log_normalizer",
    "nonzero_or_one",
    "of_features",
    "own_likelihood",
    "power_of_two",
    "resolution",
    "resolved",
    "theta",
    "told_by_type",
    "unit_of",
    "units_of",
    "weights_of",
]
