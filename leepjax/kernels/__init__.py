"""The passes over [n z] evidence: each reads it once, in blocks, and allocates nothing of its size.

A kernel has four parts: the formula in plain `jax.numpy` (whose derivative the kernel takes), a loop that is fast on a
CPU, matmuls that are fast on a GPU or TPU, and a rule for ``vmap``. `rows.row_kernel` combines them into one function
that also runs on rows sharded over devices. For CPUs, `native` has the loops in C++.
"""

from leepjax.kernels.axes import in_auto_axes, settled, with_sharding_in_type
from leepjax.kernels.class_sums import class_sums
from leepjax.kernels.largest import first_largest
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
    "first_largest",
    "in_auto_axes",
    "log_normalizer",
    "nonzero_or_one",
    "of_features",
    "own_likelihood",
    "power_of_two",
    "resolution",
    "resolved",
    "settled",
    "theta",
    "unit_of",
    "units_of",
    "weights_of",
    "with_sharding_in_type",
]
