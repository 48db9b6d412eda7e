"""EMMS (Meng et al., NeurIPS 2023): linear regression of label embeddings of foundation models on features."""

from collections.abc import Sequence
from functools import partial

import jax
import jax.numpy as jnp
import numpy as np
from jax.typing import ArrayLike

from leepjax.checks.columns import check_unlabelled
from leepjax.kernels import HIGHEST, of_features, units_of, weights_of
from leepjax.solvers.pseudo_inverse import is_resolved, solve
from leepjax.types import InputError


def emms(
    features: ArrayLike,
    label_embeddings: ArrayLike | Sequence[ArrayLike],
    *,
    steps: int = 1,
    where: ArrayLike | None = None,
) -> jax.Array:
    """How well a linear map of the features fits a weighted sum of label embeddings.

    Labels of any kind, such as classes, captions or boxes, are embedded by k foundation models. This gives all kinds
    the same form, and shows which labels are similar. X [n d] are the features and E_1 … E_k [n e] the embeddings of
    each example's label, columns standardised. From t = (1/k, …, 1/k), in each step,

        F = X X⁺ Σ_k t_k E_k,   t = sparsemax(argmin_u ‖F − Σ_k u_k E_k‖²),   EMMS = −‖F − Σ_k t_k E_k‖² / (n e)

    sparsemax projects onto the simplex, in which t lies, and both regressions are least squares of minimum norm.

    Args:
        features: [n d] finite numbers.
        label_embeddings: k arrays [n e] of finite numbers, or one [k n e]: an example's label as each model embeds it.
            For classes embedded as [c e] these are ``[embedding[labels] for embedding in …]``.
        steps: how often both regressions are fitted, ≥ 1. The authors' code takes one step.
        where: [n] mask of the examples that count, or non-negative weights.

    Returns:
        A scalar ≤ 0, minus a mean square, higher is better. Features that don't vary explain nothing. NaN when no
        example counts, or where float32 can't resolve the score and it can't be recomputed in float64 (as under
        `jax.jit`).

    Raises:
        InputError: for fewer than one step, or embeddings of other shapes; outside jit, for values that aren't finite.

    >>> from leepjax import emms
    >>> embeddings = [[[0.0], [1], [2], [3]], [[0.0], [3], [2], [4]]]
    >>> print(f"{emms([[1.0], [2], [3], [5]], embeddings):.4f}")
    -0.0377

    Notes:
        The authors' code divides by n and then multiplies by e, where a mean, as here, divides by both. There as here,
        the last t isn't the one that F was fitted to. Takes O(n d² + d³ + n k e (d + k)) time.

    Reference:
        Meng, Shao, Peng, Xu, Zhang, Qiao, Luo, *Foundation Model is Efficient Multimodal Multitask Model Selector*,
        NeurIPS 2023, arXiv:2308.06262, algorithm 2.
    """
    if steps < 1:
        raise InputError(f"emms: expected steps >= 1, got {steps}; pass the number of steps.")
    features, _, weights, _ = check_unlabelled("emms", features, where)
    embeddings = _check_embeddings(label_embeddings, where, len(features))
    dtype = jnp.promote_types(features.dtype, embeddings.dtype)
    return of_features(partial(_emms, steps=steps), features.astype(dtype), embeddings.astype(dtype), weights)


def sparsemax(z: jax.Array) -> jax.Array:
    """The point [k] of the simplex that is nearest to z [k] (Martins and Astudillo, ICML 2016)."""
    descending = jnp.sort(z)[::-1]
    excess = (jnp.cumsum(descending) - 1) / jnp.arange(1, len(z) + 1, dtype=z.dtype)
    return jnp.maximum(z - excess[(descending > excess).sum() - 1], 0)


def _check_embeddings(label_embeddings, where, n):
    shapes = {np.shape(embedding) for embedding in label_embeddings}
    if len(shapes) != 1 or len(shape := next(iter(shapes))) != 2 or shape[0] != n:
        raise InputError(
            f"emms: expected label_embeddings of one shape [{n} e] from at least one model, got {sorted(shapes)}; "
            "embed each example's label by every model, and bring them to one width."
        )
    checked = (check_unlabelled("emms", each, where, name="label_embeddings") for each in label_embeddings)
    return jnp.stack([arguments.evidence for arguments in checked])


@partial(jax.jit, static_argnames="steps")
def _emms(features, embeddings, weights, steps):
    weights = weights_of(weights, len(features), features.dtype)
    embeddings = jax.vmap(_standardised, (0, None))(embeddings, weights)
    k, n, e = embeddings.shape
    # The fit of Σ t_k E_k is linear in t, so each column is fitted once.
    columns = embeddings.transpose(1, 0, 2).reshape(n, k * e)
    fits, known = _regressed(_standardised(features, weights), columns, weights.sum())
    fits = fits.reshape(n, k, e).transpose(1, 0, 2)
    inner = partial(jnp.einsum, "kne,lne->kl", precision=HIGHEST)
    inverse, overlap = jnp.linalg.pinv(inner(embeddings, embeddings), hermitian=True), inner(embeddings, fits)

    def step(_, blends):
        t = blends[1]
        return t, sparsemax(jnp.matmul(inverse, jnp.matmul(overlap, t, precision=HIGHEST), precision=HIGHEST))

    uniform = jnp.full(k, 1 / k, fits.dtype)
    fitted, t = jax.lax.fori_loop(0, steps, step, (uniform, uniform))
    residual = jnp.tensordot(fitted, fits, 1, precision=HIGHEST) - jnp.tensordot(t, embeddings, 1, precision=HIGHEST)
    return jnp.where(known, -(residual**2).sum() / (weights.sum() * e), jnp.nan)


def _standardised(columns, weights):
    """√w times columns [n p] of mean 0 and variance 1, or zeros for a constant one."""
    counted = weights[:, None] > 0
    share = (weights / weights.sum())[:, None]
    columns = jnp.where(counted, columns / units_of(columns, weights), 0)
    mean = (share * columns).sum(axis=0)
    x = jnp.where(counted, columns - mean, 0)
    x = jnp.where(counted, x - (share * x).sum(axis=0), 0)  # the part of the mean that rounding left
    variance = (share * x**2).sum(axis=0)
    varies = variance > (8 * float(jnp.finfo(x.dtype).eps) * mean) ** 2
    return jnp.sqrt(weights)[:, None] * jnp.where(varies, x * jax.lax.rsqrt(jnp.where(varies, variance, 1)), 0)


def _regressed(x, columns, size):
    """[n p] least-squares fits of standardised columns [n p] by standardised features [n d], and [] if resolved."""
    matmul = partial(jnp.matmul, precision=HIGHEST)
    constant = (x == 0).all(axis=0).astype(x.dtype)
    solved, lost = solve(matmul(x.T, x) / size + jnp.diag(constant), matmul(columns.T, x) / size)
    return matmul(x, solved.T), is_resolved(solved, lost, jnp.asarray(len(solved), x.dtype))
