"""Find the features and logits of a PyTorch module of texts: one of transformers or of sentence-transformers."""

from functools import partial
from typing import Any

import numpy as np

from leepjax.models.bridges.bridged import Bridged
from leepjax.models.bridges.heads import AUTO, HeadCall, check_output, check_repeated, find_head
from leepjax.models.bridges.libraries import is_instance
from leepjax.models.bridges.torch_modules import hooked, output_of
from leepjax.models.bridges.torch_network import Route, TorchNetwork, array_of, device_and_dtype, identity_of
from leepjax.models.text.sentence_files import warn_of_prompt
from leepjax.models.text.tokenization import Tokenization
from leepjax.models.text.tokenizer_files import NEVER
from leepjax.models.text.tokens import Tokens
from leepjax.types import DType, InputError, Outputs, Pooling

_PROBE = np.array([[5, 6, 7, 8], [9, 5, 0, 0]])
"""Token ids of two texts; 0 is padding"""


class TorchTexts(TorchNetwork):
    """A PyTorch module of texts in evaluation mode; its route takes ids, types and a mask as one tensor [n 3 t]."""

    def compute(self, inputs: Tokens, dtype: DType) -> Outputs:  # pyright: ignore[reportIncompatibleMethodOverride]
        if inputs.at is not None:
            raise InputError(
                f"source: expected labels of whole texts for {self.kind}, got labels of words; open the model as "
                "local-dir:… or hf-hub:…."
            )
        module = self.module if dtype == "float32" else self._in_bfloat16
        return self.passed(module, np.stack([inputs.ids, inputs.types, inputs.mask], axis=1))

    def passed(self, module: Any, packed: np.ndarray) -> Outputs:
        """Run the route, and return arrays."""
        import torch  # pyright: ignore[reportMissingImports]

        with torch.inference_mode():
            features, logits = self.route(module, torch.from_numpy(packed).long().to(device_and_dtype(module)[0]))
        return Outputs(array_of(features), array_of(logits))


def called(pool: Pooling, module: Any, packed: Any) -> Any:
    """The output of a module for ids, types and a mask as one tensor [n 3 t]; states of tokens are pooled."""
    ids, types, mask = packed.unbind(1)
    named = {"input_ids": ids, "attention_mask": mask}
    if is_instance(module, "sentence_transformers", "SentenceTransformer"):
        return module(named)["sentence_embedding"]
    if getattr(getattr(module, "config", None), "type_vocab_size", 0) > 1:
        named["token_type_ids"] = types
    returned = module(**named)
    states = getattr(returned, "last_hidden_state", None)
    return output_of(returned) if states is None else _pooled(states, mask, pool)


def bridge_texts(
    module: Any, tokenization: Tokenization, *, head: str | None = AUTO, pool: Pooling = "mean"
) -> Bridged:
    """Describe a module of texts in evaluation mode, and find its head; states of tokens are pooled by `pool`.

    Raises:
        InputError: when the module takes no tokens, or its head isn't found.
    """
    import torch  # pyright: ignore[reportMissingImports]

    name = type(module).__name__
    call = partial(called, pool)
    packed = np.stack([_PROBE, 0 * _PROBE, _PROBE > 0], axis=1)
    calls: list[HeadCall] = []
    try:
        with torch.inference_mode():
            probe = torch.from_numpy(packed).to(device_and_dtype(module)[0])
            output, again = array_of(_recorded(call, module, probe, calls)), array_of(call(module, probe))
    except Exception as error:  # a module may raise any type
        raise InputError(
            f"as_source: expected {name} to take input_ids and attention_mask [n t], got {type(error).__name__}: "
            f"{str(error).partition(chr(10))[0].rstrip('.')}; pass an encoder or a classifier of texts."
        ) from error
    check_output(name, output)
    check_repeated(name, output, again)
    is_classifier = hasattr(module, "config") and "ForSequenceClassification" in name
    paths = find_head(name, calls, output, head) if is_classifier or head not in (AUTO, None) else ()
    route: Route = partial(hooked, paths, call=call) if paths else partial(_headless, call)
    num_parameters = sum(each.numel() for each in module.parameters())
    network = TorchTexts(module, route)
    num_classes = output.shape[1] if paths else 0
    hash_ = identity_of(module, route)
    return Bridged(name, network, num_classes, num_parameters, hash_, None, tokenization=tokenization)


def tokenization_of(tokenizer: Any, model: Any) -> Tokenization:
    """The tokenization by a fast tokenizer of transformers, and by the longest text of a model.

    Raises:
        InputError: for a tokenizer that isn't one of the library ``tokenizers``.
    """
    inner = getattr(tokenizer, "backend_tokenizer", None)
    if inner is None or not hasattr(inner, "to_str"):
        raise InputError(
            f"as_source: expected a tokenizer of the library tokenizers, got {type(tokenizer).__name__}; pass "
            "transformers' fast one."
        )
    config = getattr(model, "config", None)
    positions = getattr(config, "max_position_embeddings", None)
    if positions and "roberta" in str(getattr(config, "model_type", "")).lower():
        positions -= getattr(config, "pad_token_id", 1) + 1
    limits = [getattr(model, "max_seq_length", None), tokenizer.model_max_length, positions]
    longest = min([int(each) for each in limits if each and each < NEVER], default=512)
    from_start = getattr(tokenizer, "truncation_side", "right") == "left"
    warn_of_prompt(getattr(model, "prompts", None), getattr(model, "default_prompt_name", None), type(model).__name__)
    return Tokenization.of(inner.to_str().encode(), max_length=longest, from_start=from_start)


def _headless(call: Any, module: Any, packed: Any) -> tuple[Any, Any]:
    features = call(module, packed)
    return features, features[:, :0]


def _recorded(call: Any, module: Any, packed: Any, calls: list[HeadCall]) -> Any:
    """The output of a module, whose linear layers of vectors are appended to `calls` as they are computed."""
    import torch  # pyright: ignore[reportMissingImports]

    def record(path: str, layer: Any, inputs: Any, output: Any) -> None:
        if output.ndim == 2:
            calls.append(HeadCall(path, array_of(inputs[0]), array_of(output)))

    linear = [(path, each) for path, each in module.named_modules() if isinstance(each, torch.nn.Linear)]
    handles = [each.register_forward_hook(partial(record, path)) for path, each in linear]
    try:
        return call(module, packed)
    finally:
        for handle in handles:
            handle.remove()


def _pooled(states: Any, mask: Any, pool: Pooling) -> Any:
    import torch  # pyright: ignore[reportMissingImports]

    if pool == "cls":
        return states[:, 0]
    if pool == "max":
        return states.masked_fill(mask[..., None] == 0, torch.finfo(states.dtype).min).max(1).values
    return (states * mask[..., None]).sum(1) / mask.sum(1, keepdim=True).clamp(min=1)
