"""Find the tokenizer of a model of texts, and how long its texts are, among its files."""

import json
from collections.abc import Mapping
from typing import Any

import msgspec

from leepjax.models.files.formats import read_content
from leepjax.models.text.added_tokens import with_added_tokens
from leepjax.models.text.bert_tokenizer import as_configured, is_berts, of_vocabulary
from leepjax.models.text.config import STATIC
from leepjax.models.text.roberta_tokenizer import is_robertas, spaced_as_configured
from leepjax.models.text.settings import Find, read_settings
from leepjax.models.text.tokenizer_config import TokenizerConfig
from leepjax.types import InputError

NEVER = 1_000_000
"""A maximum length from which on transformers means that there is none."""
_UNLIMITED = 512
"""Most tokens where neither positions nor a configuration limit them, as in model2vec."""


def tokenizer_config(find: Find, fields: Mapping[str, Any], name: str) -> TokenizerConfig:
    """The tokenizer's configuration; the class that it leaves out is that of ``config.json``, if any.

    Raises:
        InputError: for settings of a wrong type.
    """
    config = read_settings(find, "tokenizer_config.json", TokenizerConfig, name)
    stated = fields.get("tokenizer_class")
    if config.tokenizer_class or not isinstance(stated, str):
        return config
    return msgspec.structs.replace(config, tokenizer_class=stated)


def read_tokenizer(find: Find, config: TokenizerConfig, model_type: str, name: str) -> bytes:
    """The content of ``tokenizer.json``, or one made from BERT's ``vocab.txt``, as configured.

    Static embeddings take ``tokenizer.json`` as it is, as model2vec and sentence-transformers do.

    Raises:
        InputError: when the model has neither, or a tokenizer that leepjax doesn't have.
    """
    if path := find("tokenizer.json"):
        content = read_content(path)
        if model_type in STATIC:
            return content
        if is_berts(config.tokenizer_class, model_type):
            content = as_configured(content, config, name)
        elif is_robertas(config.tokenizer_class, model_type):
            content = spaced_as_configured(content, config, name)
        return with_added_tokens(content, find, config, name)
    if path := find("vocab.txt"):
        content = of_vocabulary(read_content(path).decode("utf-8", errors="replace"), config, name)
        return with_added_tokens(content, find, config, name, config.further)
    raise InputError(
        f"{name}: expected tokenizer.json or vocab.txt beside the weights, got neither; save the tokenizer there."
    )


def longest(stated: int | None, config: TokenizerConfig, positions: int | None, name: str) -> int:
    """Most tokens of a text: as sentence-transformers or else the tokenizer states, and at most as many as positions.

    Raises:
        InputError: for a length below 1.
    """
    if stated is None:
        limit = config.model_max_length
        stated = int(limit) if limit is not None and limit < NEVER else None
    found = min(each for each in (stated, positions, _UNLIMITED) if each is not None)
    if found < 1:
        raise InputError(f"{name}: expected a maximum length >= 1, got {found}; correct the tokenizer's configuration.")
    return found


def is_cut_at_the_start(content: bytes, config: TokenizerConfig) -> bool:
    """Whether longer texts lose their start, as the tokenizer's configuration or else its ``tokenizer.json`` states."""
    if side := config.truncation_side:
        return side == "left"
    try:
        return json.loads(content)["truncation"]["direction"] == "Left"
    except (ValueError, KeyError, TypeError):  # it states none, or isn't a tokenizer, which is reported when it is used
        return False
