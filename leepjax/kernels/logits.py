"""The normalizer of logits, so that no kernel stores their softmax."""

import jax
import jax.numpy as jnp
from jax import lax

from leepjax.kernels.rows import accumulator, over_blocks, row_kernel, rows_at

_BLOCK = 256


def log_normalizer(logits: jax.Array) -> jax.Array:
    """The logarithm of Σ_z exp(logits_iz) [n] of logits [n z]; the softmax is θ = exp(logits − log_normalizer).

    NaN for a row that holds NaN or +∞, or only −∞.
    """
    return _kernel(logits)[0]


def _at_once(logits):
    logits = logits.astype(accumulator(logits))
    top = lax.stop_gradient(logits.max(axis=1))
    return (top + jnp.log(jnp.exp(logits - top[:, None]).sum(axis=1)),)


def _in_cache(logits):
    n = len(logits)

    def read(start, _, norm):
        return lax.dynamic_update_slice(norm, _at_once(rows_at(logits, start, min(_BLOCK, n)))[0], (start,))

    return (over_blocks(n, _BLOCK, read, jnp.zeros(n, accumulator(logits)), like=logits),)


def _vmapped(_, in_batched, operands):
    (logits,) = operands
    return (log_normalizer(logits.reshape(-1, logits.shape[-1])).reshape(logits.shape[:-1]),)


_kernel = row_kernel(
    "n z -> n",
    lambda logits: lax.platform_dependent(logits, cpu=_in_cache, default=_at_once),
    plain=_at_once,
    vmapped=_vmapped,
)
