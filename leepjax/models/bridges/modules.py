"""Which library a module is of, and its bridge."""

from typing import Any

from leepjax.data.preprocessing import Preprocessing
from leepjax.models.bridges.bridged import Bridged
from leepjax.models.bridges.libraries import is_instance
from leepjax.models.text.tokenization import Tokenization
from leepjax.types import InputError


def bridge_module(
    module: Any, params: Any, preprocessing: Preprocessing | None, head: str | None, tokenizer: Any = None
) -> Bridged | None:
    """Describe a module of another library and find its head; None for anything else.

    A PyTorch module with a `tokenizer`, its own or one that is given, takes texts.

    Raises:
        InputError: without preprocessing, or when the module takes no images, or its head isn't found.
    """
    is_torch = is_instance(module, "torch.nn", "Module")
    if is_torch and is_instance(module, "sentence_transformers", "SentenceTransformer"):
        tokenizer = tokenizer or module.tokenizer
    if tokenizer is not None:
        if not is_torch:
            raise InputError(
                f"as_source: expected a PyTorch module with a tokenizer, got {type(module).__name__}; leave the "
                "tokenizer out, or rank tables of its features."
            )
        from leepjax.models.bridges.torch_modules import copied
        from leepjax.models.bridges.torch_texts import bridge_texts, tokenization_of

        _no_params(module, params)
        is_ours = isinstance(tokenizer, Tokenization)
        return bridge_texts(copied(module), tokenizer if is_ours else tokenization_of(tokenizer, module), head=head)
    if is_torch:
        from leepjax.models.bridges.torch_modules import bridge_torch, copied

        _no_params(module, params)
        return bridge_torch(copied(module), preprocessing, head)
    if is_instance(module, "keras", "Model"):
        from leepjax.models.bridges.keras_models import bridge_keras

        _no_params(module, params)
        return bridge_keras(module, preprocessing, head)
    if is_instance(module, "equinox", "Module"):
        from leepjax.models.bridges.equinox_modules import bridge_equinox

        return bridge_equinox(module, params, preprocessing, head)
    if is_instance(module, "flax.linen", "Module"):
        from leepjax.models.bridges.flax_modules import bridge_linen

        return bridge_linen(module, params, preprocessing, head)
    if is_instance(module, "flax.nnx", "Module"):
        from leepjax.models.bridges.flax_modules import bridge_nnx

        _no_params(module, params)
        return bridge_nnx(module, preprocessing, head)
    return None


def _no_params(module: Any, params: Any) -> None:
    if params is not None:
        raise InputError(
            f"as_source: expected no params beside {type(module).__name__}, which holds its own, got some; leave them "
            "out."
        )
