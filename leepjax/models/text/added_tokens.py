"""Tokens that transformers keeps beside a vocabulary, in ``tokenizer_config.json`` or ``added_tokens.json``."""

from collections.abc import Mapping

import msgspec

from leepjax.models.bridges.libraries import library
from leepjax.models.text.settings import Find, read_settings
from leepjax.models.text.tokenizer_config import AddedToken, TokenizerConfig
from leepjax.models.text.tokenizers import tokenizer_of
from leepjax.types import InputError


def with_added_tokens(content: bytes, find: Find, config: TokenizerConfig, name: str) -> bytes:
    """A ``tokenizer.json`` that has all tokens that its configuration, or else ``added_tokens.json``, adds.

    Raises:
        InputError: where the number of such a token isn't the next one of the vocabulary.
    """
    stated: Mapping[int, AddedToken] | None = config.added_tokens_decoder
    if stated is None:
        numbers = read_settings(find, "added_tokens.json", dict[str, int], name)
        stated = {number: AddedToken(token) for token, number in numbers.items()}
    if not stated:
        return content
    tokenizers = library(name, "tokenizers", "text")
    tokenizer = tokenizer_of(content)
    known = {each.content for each in tokenizer.get_added_tokens_decoder().values()}
    lacking = {number: token for number, token in sorted(stated.items()) if token.content not in known}
    if not lacking:
        return content
    for number, token in lacking.items():
        fields = msgspec.structs.asdict(token)
        tokenizer.add_tokens([tokenizers.AddedToken(fields.pop("content"), **fields)])
        if (got := tokenizer.token_to_id(token.content)) != number:
            raise InputError(
                f"{name}: expected the added token {token.content[:80]!r} to have the number {number}, got {got} from "
                "the vocabulary; put the files of one tokenizer together."
            )
    return tokenizer.to_str().encode()
