"""Task2Vec (Achille et al., ICCV 2019): a task as what a probe network's filters matter for it."""

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
    """How much each filter of a source matters for a target: the diagonal of the Fisher information, filter by filter.

    The source is the probe, with a head re-trained for the target. With θ its weights and p(y|x) what it predicts,

        F = (1/n) Σ_i Σ_y p(y|x_i) (∂ log p(y|x_i) / ∂θ)²,   embedding = the mean of F over each filter's weights

    Tasks are compared by `task2vec_distance` of embeddings by one source; which source suits a task is told by how near
    the tasks are that it is known to suit. The size of an embedding grows with how hard the task is for the probe.

    Args:
        source: the probe, the same for all tasks that are to be compared.
        target: labelled images; `Target.subset` takes fewer.
        draws: labels that are drawn from p(y|x_i) for each image, in place of the sum over all; the authors draw one.
        l2: of the head, as in `retrain_head`.
        seed: of the head's folds, and of the draws.
        batch_size: images that are read at once.

    Returns:
        [filters] numbers ≥ 0. A filter is what a weight of two or more axes keeps for one entry of the last: an output
        of a convolution or of a linear layer. A user's function that keeps the queries of attention as [d heads width]
        gives a filter to each entry of the width, a mean over heads: give it [d heads·width] for one an output. Weights
        that don't reach the features, as those of the source's own head, have none.

    Raises:
        InputError: for less than one draw, or where an image can't be decoded.

    >>> from leepjax import Preprocessing, as_source, read_target
    >>> def apply(params, images):
    ...     features = images[:, ::4, ::4].reshape(len(images), -1) @ params
    ...     return features, features
    >>> eight = Preprocessing(image_size=8)
    >>> probe = as_source(apply, jnp.ones((12, 5)), name="sum", preprocessing=eight, num_classes=5)
    >>> task2vec(probe, read_target("digits").subset(np.arange(20)), l2=1.0).shape
    (5,)

    Notes:
        The authors' code (awslabs/aws-cv-task2vec) squares the gradient of a batch's mean, which is F over the batch's
        size but for noise. It puts norms into training mode under a comment that says the opposite; here they use their
        running statistics. Scales of norms aren't filters here. Takes c gradients for each image, or as many as draws,
        one after another, and memory for one.

    Reference:
        Achille, Lam, Tewari, Ravichandran, Maji, Fowlkes, Soatto, Perona, *Task2Vec: Task Embedding for Meta-Learning*,
        ICCV 2019, arXiv:1902.03545.
    """
    if draws is not None and draws < 1:
        raise InputError(f"task2vec: expected draws >= 1, got {draws}; leave it out for the expectation.")
    preprocessing, (apply, params) = source.card.preprocessing, source.opened
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
    """How unlike two tasks are to a probe: one minus the cosine of their embeddings, each over the sum of both.

    Dividing by the sum brings filters of every layer to one scale.

    Args:
        embedding: [filters] of `task2vec`.
        other: [filters] by the same source.

    Returns:
        A scalar in [0, 1], lower is nearer; 0 for tasks whose embeddings are proportional. Filters that matter for
        neither have no part; NaN where one embedding is zero everywhere.

    Raises:
        InputError: for embeddings that aren't [filters] of one length.

    >>> print(f"{task2vec_distance([1.0, 2.0, 0.0], [1.0, 0.0, 4.0]):.4f}")
    0.8000

    Reference:
        As `task2vec`: the symmetric distance.
    """
    a, b = _check_embeddings("task2vec_distance", embedding, other)
    total = jnp.where(a + b > 0, a + b, 1)
    a, b = (share / jnp.sqrt(share @ share) for share in (a / total, b / total))
    # One minus the cosine, without the rounding of a difference of two ones; it may be a bit above one.
    return jnp.minimum(((a - b) ** 2).sum() / 2, 1)


def task2vec_asymmetric(
    embedding: ArrayLike, other: ArrayLike, *, alpha: float = ALPHA, trivial: float = 1.0
) -> jax.Array:
    """How far it is from one task to another, where what has been learned on a complex task goes further.

        d(a → b) = d(a, b) − α d(a, t)

    with d `task2vec_distance` and t the embedding of a trivial task, the same number for each filter.

    Args:
        embedding: [filters] of the task that is left, by `task2vec`.
        other: [filters] of the task that is gone to, by the same source.
        alpha: how much complexity counts.
        trivial: t > 0. d(a, t) depends on the size of a beside it: where a ≪ t, as it is with t = 1 for most probes, it
            tells how unevenly a task uses the filters, and not how complex it is.

    Returns:
        A scalar in [−α, 1], lower is nearer.

    Raises:
        InputError: for embeddings that aren't [filters] of one length, or a `trivial` that isn't positive.

    >>> print(f"{task2vec_asymmetric([1.0, 2.0, 0.0], [1.0, 0.0, 4.0]):.4f}")
    0.7229

    Notes:
        The authors' embeddings hold the precision λ² of a prior on the weights beside the Fisher information, of which
        a trivial task has none: its embedding is λ². Their code has that embedding, and no function of this distance.
        Here embeddings are of the Fisher information alone, so that no λ² is known: t stands for it.

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
            f"{function}: expected two embeddings of one length, got shapes {shapes}; embed both by one source."
        )
    return arrays


def _is_weight(leaf):
    return jnp.ndim(leaf) > 1 and jnp.issubdtype(leaf.dtype, jnp.floating)


def _reaching(source: Source, image: np.ndarray) -> tuple[bool, ...]:
    """Which leaves of the parameters are weights that the features depend on: they change where a leaf is spoilt."""
    apply, params = source.opened
    leaves, structure = jax.tree.flatten(params)

    def features(spoilt):
        given = [jnp.full_like(leaf, jnp.nan) if i == spoilt else leaf for i, leaf in enumerate(leaves)]
        return np.asarray(
            forward(apply, structure.unflatten(given), image, source.card.preprocessing, source.dtype).features
        )

    whole = features(None)
    return tuple(_is_weight(leaf) and bool((features(i) != whole).any()) for i, leaf in enumerate(leaves))


@partial(jax.jit, static_argnums=(0, 1, 2, 3, 4))
def _fisher(apply, preprocessing, dtype, reaching, draws, params, head, images, counted, keys):
    """For each weight that reaches the features, the sum over images of its filters' Fisher information."""
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
