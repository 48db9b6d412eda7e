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


Token = str | AddedToken


class TokenizerConfig(msgspec.Struct, frozen=True):
    """What a configuration states, by default what transformers takes."""

    tokenizer_class: str | None = None
    model_max_length: float | None = None
    truncation_side: str | None = None
    do_lower_case: bool = True
    strip_accents: bool | None = None
    tokenize_chinese_chars: bool = True
    add_prefix_space: bool = False
    unk_token: Token | None = None
    sep_token: Token | None = None
    cls_token: Token | None = None
    pad_token: Token | None = None
    mask_token: Token | None = None
    added_tokens_decoder: dict[int, AddedToken] | None = None
    """Number → token"""
    additional_special_tokens: tuple[Token, ...] | None = None
    extra_special_tokens: tuple[Token, ...] | dict[str, Token] | None = None
    """transformers 5's name of the former, with names of the tokens or without."""

    @property
    def further(self) -> tuple[AddedToken, ...]:
        """Special tokens that have no stated number."""
        extra = self.extra_special_tokens or ()
        extra = tuple(extra.values()) if isinstance(extra, dict) else extra
        found = (*(self.additional_special_tokens or ()), *extra)
        return tuple(AddedToken(each, special=True) if isinstance(each, str) else each for each in found)
