"""Make a source of a model: a pure JAX function, or a module of PyTorch, Keras, Equinox or Flax."""

from collections.abc import Callable, Sequence
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np

from leepjax.data.preprocessing import Preprocessing
from leepjax.models.bridges.bridged import Bridged, required, source_of
from leepjax.models.bridges.heads import AUTO
from leepjax.models.bridges.modules import bridge_module
from leepjax.models.source import Source, UserFunction
from leepjax.storage.files import digest
from leepjax.types import InputError


def as_source(
    apply: Any,
    params: Any = None,
    *,
    preprocessing: Preprocessing | None = None,
    tokenizer: Any = None,
    name: str | None = None,
    num_classes: int | None = None,
    head: str | None = AUTO,
    classes: Sequence[str] = (),
    revision: str = "",
    data: str = "",
    licence: str = "",
    accuracy: float | None = None,
) -> Source:
    """Make a source of any model: a module of another library, or a JAX function.

    A module returns logits, their softmax, features and logits, or, without a head, features. The head is the last
    linear layer that gives this output, or the one called `head`; its input is taken as features and its output as
    logits. A probe of two random images finds it. An output that no linear layer gives is taken as features, with a
    warning.
    PyTorch computes a module on the module's own device; modules of the JAX libraries are compiled with the
    preprocessing.

    Args:
        apply: a ``torch.nn.Module`` (of timm, torchvision, transformers, your own), a Keras 3 model with the JAX
            backend, an Equinox module, a Flax NNX module, a Flax Linen module; or a pure function of the parameters
            and of normalised images [n h w 3] float32 that returns features [n d], the input of the linear head, and
            logits [n z].
        params: the parameters of a function, any pytree of arrays; the variables of a Linen module; the state of an
            Equinox module that has one.
        preprocessing: the preprocessing that the model was trained with. Modules of timm have it in their
            ``pretrained_cfg``.
        tokenizer: for a PyTorch module of texts of transformers, its fast tokenizer. sentence-transformers' models have
            their own.
        name: name in tables; by default that of the module's class, or timm's.
        num_classes: z; only a function needs it.
        head: path of the linear head, such as ``fc``; None for a module without one, which is scored by its features.
        classes: names of the model's classes.
        revision: change this when code outside the model's classes changes; changed weights are detected.
        data: name of the training data.
        licence: licence of the weights.
        accuracy: accuracy on the model's own test set, in [0, 1].

    Returns:
        A `Source` for `leepjax.rank`, `leepjax.choose`, `leepjax.sweep` and `leepjax.extract`. It can be verified by a
        re-trained head; only leepjax's own networks can be fine-tuned.

    Raises:
        InputError: when features [n d] and logits [n z] aren't found, `accuracy` isn't a fraction, `classes` aren't z,
            or a function has neither parameters nor a revision.

    >>> import jax.numpy as jnp
    >>> from leepjax import Preprocessing, as_source
    >>> def apply(params, images):
    ...     features = images.mean(axis=(1, 2))
    ...     return features, features @ params
    >>> as_source(apply, jnp.ones((3, 5)), name="mean", preprocessing=Preprocessing(image_size=8), num_classes=5).name
    'mean'
    """
    if accuracy is not None and not 0 <= accuracy <= 1:
        raise InputError(f"as_source: expected accuracy in [0, 1], got {accuracy}; pass a fraction, not per cent.")
    bridged = bridge_module(apply, params, preprocessing, head, tokenizer)
    if bridged is None:
        if not callable(apply):
            raise InputError(
                "as_source: expected a module of PyTorch, Keras, Equinox or Flax, or a function of params and images, "
                f"got {type(apply).__name__}; pass the model itself."
            )
        bridged = _of_function(apply, params, preprocessing, name, num_classes, revision)
    elif revision:
        bridged = bridged._replace(weights_hash=digest(f"{revision} {bridged.weights_hash}".encode()))
    name = name or bridged.name
    if num_classes not in (None, bridged.num_classes):
        raise InputError(f"as_source: expected num_classes {bridged.num_classes} for {name}, got {num_classes}.")
    if len(classes) not in (0, bridged.num_classes):
        raise InputError(
            f"as_source: expected a name for each of the {bridged.num_classes} classes of {name}, got {len(classes)}; "
            "pass them in the order of the logits."
        )
    stated = {"name": name, "data": data, "accuracy": accuracy, "revision": revision}
    stated |= {"classes": tuple(classes)} if classes else {}
    stated |= {"licence": licence} if licence else {}
    return source_of(bridged, **stated)


def _of_function(
    apply: Callable[..., Any],
    params: Any,
    preprocessing: Preprocessing | None,
    name: str | None,
    num_classes: int | None,
    revision: str,
) -> Bridged:
    if name is None or num_classes is None:
        raise InputError("as_source: expected name and num_classes for a function, got only one or none; pass both.")
    images = jax.ShapeDtypeStruct((2, *required(preprocessing, name).shape), jnp.float32)
    shapes = jax.eval_shape(apply, params, images)
    got = [tuple(leaf.shape) for leaf in jax.tree.leaves(shapes)]
    are_two = isinstance(shapes, tuple | list) and len(got) == 2
    if not are_two or len(got[0]) != 2 or got[0][0] != 2 or got[1] != (2, num_classes):
        raise InputError(
            f"as_source: expected features [n d] and logits [n {num_classes}] from {name}'s apply, got shapes {got} "
            "for two images; return the head's input and its output."
        )
    leaves, structure = jax.tree.flatten(params)
    if not leaves and not revision:
        raise InputError(
            f"as_source: expected params or a revision of {name}, got neither; pass the weights as params, or a "
            "revision, by which changed weights are detected."
        )
    arrays = [np.asarray(leaf) for leaf in leaves]
    weights_hash = digest(
        f"{revision} {structure} {[(array.shape, array.dtype) for array in arrays]}".encode(),
        *(array.tobytes() for array in arrays),
    )
    num_parameters = sum(array.size for array in arrays)
    return Bridged(
        name, UserFunction(apply, params), num_classes, num_parameters, weights_hash, required(preprocessing, name)
    )
