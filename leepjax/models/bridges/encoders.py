"""Encoders of transformers: features are the pooled output, or else the mean of the tokens or the class token."""

from functools import partial
from typing import Any

from leepjax.data.preprocessing import Preprocessing
from leepjax.models.bridges.bridged import Bridged
from leepjax.models.bridges.heads import check_output, check_repeated, probe_images
from leepjax.models.bridges.torch_modules import of_route, output_of, probed
from leepjax.models.bridges.torch_network import array_of


def bridge_encoder(name: str, module: Any, preprocessing: Preprocessing, *, has_pooler: bool) -> Bridged:
    """Describe an encoder in evaluation mode: a source without classes.

    Args:
        name: the encoder's name in messages.
        module: a model of transformers.
        preprocessing: preprocessing of its images.
        has_pooler: whether the weights of its pooler were trained; otherwise its class token is taken.

    Raises:
        InputError: when it doesn't take images alone, or its features differ from call to call.
    """
    route = partial(encoded, has_pooler)
    images = probe_images(preprocessing.image_size)
    first, again = (array_of(probed(name, module, images, route)[0]) for _ in range(2))
    check_output(name, first)
    check_repeated(name, first, again)
    return of_route(name, module, route, 0, preprocessing)


def encoded(has_pooler: bool, module: Any, images: Any) -> tuple[Any, Any]:
    """The route of an encoder: its features, and no logits."""
    of_images = getattr(module, "get_image_features", None)  # CLIP and other models that also encode text
    returned = of_images(pixel_values=images) if of_images else module(pixel_values=images)
    features = _features(returned, has_pooler)
    return features, features[:, :0]


def _features(returned: Any, has_pooler: bool) -> Any:
    tokens = getattr(returned, "last_hidden_state", None)
    if tokens is None or (has_pooler and getattr(returned, "pooler_output", None) is not None):
        return output_of(returned)
    if tokens.ndim == 4:
        return tokens.mean((2, 3))
    return tokens.mean(1) if has_pooler else tokens[:, 0]
