"""The fields of transformers' ``tokenizer_config.json`` that tokens depend on."""

import msgspec


class AddedToken(msgspec.Struct, frozen=True):
    """A token that is found in a text before its words are, with the fields of tokenizers' ``AddedToken``."""

    content: str
    single_word: bool = False
    lstrip: bool = False
    rstrip: bool = False
    normalized: bool = False
    special: bool = False


class TokenizerConfig(msgspec.Struct, frozen=True):
    """What a configuration states, by default what transformers takes."""

    tokenizer_class: str | None = None
    model_max_length: float | None = None
    truncation_side: str | None = None
    do_lower_case: bool = True
    strip_accents: bool | None = None
    tokenize_chinese_chars: bool = True
    added_tokens_decoder: dict[int, AddedToken] | None = None
    """Number → token"""
