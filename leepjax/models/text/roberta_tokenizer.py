"""Read RoBERTa's ``tokenizer.json`` and its configuration as transformers does."""

import json
import logging

from leepjax.models.text.tokenizer_config import TokenizerConfig

_log = logging.getLogger("leepjax")


def is_robertas(tokenizer_class: str | None, model_type: str) -> bool:
    """Whether transformers makes RoBERTa's tokenizer for a stated class, or else for a ``model_type``."""
    if tokenizer_class is None:
        return model_type == "roberta"
    return tokenizer_class.removesuffix("Fast") == "RobertaTokenizer"


def spaced_as_configured(content: bytes, config: TokenizerConfig, name: str) -> bytes:
    """A ``tokenizer.json`` that puts a space before a text where its configuration says so, and only there.

    A warning says where the two differ, and names a processor that is missing, which transformers 5 would make.
    """
    try:
        parts = json.loads(content)
        first, last = parts["pre_tokenizer"], parts["post_processor"]
        found = first["add_prefix_space"] if first["type"] == "ByteLevel" else config.add_prefix_space
    except (ValueError, KeyError, TypeError):  # another tokenizer, or none, which is reported when it is used
        return content
    if last is None:
        _log.warning("%s: tokenizer.json adds no special tokens, where transformers adds RoBERTa's.", name)
    if found == config.add_prefix_space:
        return content
    _log.warning(
        "%s: tokenizer.json has another add_prefix_space than tokenizer_config.json; as transformers, it takes %s.",
        name,
        str(config.add_prefix_space).lower(),
    )
    first["add_prefix_space"] = config.add_prefix_space
    return json.dumps(parts, ensure_ascii=False).encode()
