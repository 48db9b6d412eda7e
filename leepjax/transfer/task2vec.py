"""Task2Vec (Achille et al., ICCV 2019): embed a task by the importance of a probe network's filters for it."""

from functools import partial

import jax
import jax.numpy as jnp
import numpy as np
from jax.typing import ArrayLike

from leepjax.data.target import Target
from leepjax.extraction.forward import forward_all
from leepjax.models.source import Source, forward
from leepjax.transfer.head import retrain_head
from leepjax.types import InputError

ALPHA = 0.15


def task2vec(
    source: Source,
    target: Target,
    *,
    draws: int | None = None,
    l2: float | None = None,
    seed: int = 0,
    batch_size: int = 64,
) -> jax.Array:
    """Compute the importance of each filter of a source for a target: the diagonal of the Fisher information.

    The source is the probe, with a head re-trained for the target. With θ its weights and p(y|x) what it predicts,

        F = (1/n) Σ_i Σ_y p(y|x_i) (∂ log p(y|x_i) / ∂θ)²,   embedding = the mean of F over each filter's weights

    Tasks are compared by the `task2vec_distance` of their embeddings by the same source; a source that suits one task
    is expected to suit tasks near it. The norm of an embedding grows with the difficulty of the task for the probe.

    Args:
        source: the probe, the same for all tasks to compare.
        target: labelled images; `Target.subset` selects fewer.
        draws: number of labels drawn from p(y|x_i) per image, in place of the sum over all; the authors draw one.
        l2: L2 of the head, as in `retrain_head`.
        seed: seed of the head's folds and of the draws.
        batch_size: images read at once.

    Returns:
        [filters] numbers ≥ 0. A filter is one entry of the last axis of a weight with two or more axes: an output of a
        convolution or linear layer. If a user's function stores attention queries as [d heads width], each entry of the
        width is a filter, averaged over heads; with [d heads·width] each output is one. Weights that the features don't
        depend on, such as those of the source's own head, have no filters.

    Raises:
        InputError: for less than one draw, or when an image can't be decoded.

    >>> import jax.numpy as jnp
    >>> import numpy as np
    >>> from leepjax import Preprocessing, as_source, read_target, task2vec
    >>> def apply(params, images):
    ...     features = images[:, ::4, ::4].reshape(len(images), -1) @ params
    ...     return features, features
    >>> eight = Preprocessing(image_size=8)
    >>> probe = as_source(apply, jnp.ones((12, 5)), name="sum", preprocessing=eight, num_classes=5)
    >>> task2vec(probe, read_target("digits").subset(np.arange(20)), l2=1.0).shape
    (5,)

    Notes:
        The authors' code (awslabs/aws-cv-task2vec) squares the gradient of a batch's mean, which, apart from noise, is
        F divided by the batch size. It puts norms into training mode, although its comment states the opposite; here
        they use their running statistics. Scales of norms aren't filters here. It computes c gradients per image, or as
        many as draws, one after another, with memory for one.

    Reference:
        Achille, Lam, Tewari, Ravichandran, Maji, Fowlkes, Soatto, Perona, *Task2Vec: Task Embedding for Meta-Learning*,
        ICCV 2019, arXiv:1902.03545.
    """
    if draws is not None and draws < 1:
        raise InputError(f"task2vec: expected draws >= 1, got {draws}; leave it out for the expectation.")
    preprocessing, (apply, params) = source.card.pixels, source.opened
    outputs = forward_all(source, target, preprocessing, batch_size=batch_size)
    num_classes = len(target.classes)
    head = retrain_head(outputs.features, target.labels, num_classes, seed=seed, l2=l2).head
    reaching = _reaching(source, target.images([0], preprocessing))
    compute = partial(_fisher, apply, preprocessing, source.dtype, reaching, draws)
    sums: list[jax.Array] | None = None
    for start in range(0, len(target), batch_size):
        rows = np.arange(start, start + batch_size)
        images = target.images(np.minimum(rows, len(target) - 1), preprocessing)
        keys = jax.vmap(partial(jax.random.fold_in, jax.random.key(seed)))(rows)
        batch = compute(params, head, images, jnp.asarray(rows < len(target)), keys)
        sums = batch if sums is None else jax.tree.map(jnp.add, sums, batch)
    return jnp.concatenate([jnp.asarray(total) for total in sums or []]) / len(target)


def task2vec_distance(embedding: ArrayLike, other: ArrayLike) -> jax.Array:
    """Compute the distance of two tasks: one minus the cosine of their embeddings, each divided by the sum of both.

    Dividing by the sum brings the filters of all layers to one scale.

    Args:
        embedding: [filters] of `task2vec`.
        other: [filters] by the same source.

    Returns:
        A scalar in [0, 1], lower is nearer; 0 for proportional embeddings. Filters that are zero in both don't count;
        NaN if one embedding is zero everywhere.

    Raises:
        InputError: for embeddings that aren't [filters] of one length.

    >>> from leepjax import task2vec_distance
    >>> print(f"{task2vec_distance([1.0, 2.0, 0.0], [1.0, 0.0, 4.0]):.4f}")
    0.8000

    Reference:
        As `task2vec`: the symmetric distance.
    """
    a, b = _check_embeddings("task2vec_distance", embedding, other)
    total = jnp.where(a + b > 0, a + b, 1)
    a, b = (share / jnp.sqrt(share @ share) for share in (a / total, b / total))
    # One minus the cosine, without cancellation near zero; rounding may take it slightly above one.
    return jnp.minimum(((a - b) ** 2).sum() / 2, 1)


def task2vec_asymmetric(
    embedding: ArrayLike, other: ArrayLike, *, alpha: float = ALPHA, trivial: float = 1.0
) -> jax.Array:
    """Compute the asymmetric distance from one task to another, which is smaller if the first task is complex.

        d(a → b) = d(a, b) − α d(a, t)

    with d `task2vec_distance` and t the embedding of a trivial task, the same number for each filter.

    Args:
        embedding: [filters] of task a, by `task2vec`.
        other: [filters] of task b, by the same source.
        alpha: weight of the complexity.
        trivial: t > 0. d(a, t) depends on the size of a relative to t: if a ≪ t, as with t = 1 for most probes, it
            measures how unevenly a task uses the filters, not how complex it is.

    Returns:
        A scalar in [−α, 1], lower is nearer.

    Raises:
        InputError: for embeddings that aren't [filters] of one length, or a `trivial` that isn't positive.

    >>> from leepjax import task2vec_asymmetric
    >>> print(f"{task2vec_asymmetric([1.0, 2.0, 0.0], [1.0, 0.0, 4.0]):.4f}")
    0.7229

    Notes:
        The authors' embeddings add the precision λ² of a prior on the weights to the Fisher information. A trivial task
        has none of the latter, so its embedding is λ². Their code has that embedding, but no function for this
        distance. Here embeddings are the Fisher information only, so t takes the place of λ².

    Reference:
        As `task2vec`: the asymmetric distance.
    """
    a, b = _check_embeddings("task2vec_asymmetric", embedding, other)
    if not trivial > 0:
        raise InputError(f"task2vec_asymmetric: expected trivial > 0, got {trivial}; pass a prior's precision.")
    return task2vec_distance(a, b) - alpha * task2vec_distance(a, jnp.full_like(a, trivial))


def _check_embeddings(function, *embeddings):
    arrays = [jnp.asarray(embedding, float) for embedding in embeddings]
    if arrays[0].ndim != 1 or arrays[0].shape != arrays[1].shape:
        shapes = " and ".join(str(array.shape) for array in arrays)
        raise InputError(
            f"{function}: expected two embeddings of one length, got shapes {shapes}; embed both by the same source."
        )
    return arrays


def _is_weight(leaf):
    return jnp.ndim(leaf) > 1 and jnp.issubdtype(leaf.dtype, jnp.floating)


def _reaching(source: Source, image: np.ndarray) -> tuple[bool, ...]:
    """Which leaves of the parameters are weights that the features depend on: features change if it is set to NaN."""
    apply, params = source.opened
    leaves, structure = jax.tree.flatten(params)

    def features(spoilt):
        given = [jnp.full_like(leaf, jnp.nan) if i == spoilt else leaf for i, leaf in enumerate(leaves)]
        return np.asarray(forward(apply, structure.unflatten(given), image, source.card.pixels, source.dtype).features)

    whole = features(None)
    return tuple(_is_weight(leaf) and bool((features(i) != whole).any()) for i, leaf in enumerate(leaves))


@partial(jax.jit, static_argnums=(0, 1, 2, 3, 4))
def _fisher(apply, preprocessing, dtype, reaching, draws, params, head, images, counted, keys):
    """For each weight that the features depend on, the Fisher information of its filters, summed over images."""
    leaves, structure = jax.tree.flatten(params)
    weights = [leaf for leaf, reaches in zip(leaves, reaching, strict=True) if reaches]

    def log_probs(weights, image):
        given = iter(weights)
        merged = [next(given) if reaches else leaf for leaf, reaches in zip(leaves, reaching, strict=True)]
        features = forward(apply, structure.unflatten(merged), image[None], preprocessing, dtype).features
        return jax.nn.log_softmax(head.logits(features)[0])

    def of_image(sums, example):
        image, counts, key = example
        logs, pullback = jax.vjp(lambda weights: log_probs(weights, image), weights)

        if draws is None:
            labels, shares = jnp.arange(len(logs)), jnp.exp(logs)
        else:
            labels, shares = jax.random.categorical(key, logs, shape=(draws,)), jnp.full(draws, 1 / draws)

        def of_label(sums, label_and_share):
            label, share = label_and_share
            (gradient,) = pullback(jax.nn.one_hot(label, len(logs), dtype=logs.dtype))
            return jax.tree.map(lambda total, g: total + share * _by_filter(g), sums, gradient), None

        return jax.lax.scan(of_label, sums, (labels, jnp.where(counts, shares, 0)))[0], None

    nothing = [jnp.zeros(weight.shape[-1]) for weight in weights]
    return jax.lax.scan(of_image, nothing, (images, counted, keys))[0]


def _by_filter(gradient):
    return (gradient**2).mean(axis=tuple(range(gradient.ndim - 1)))
