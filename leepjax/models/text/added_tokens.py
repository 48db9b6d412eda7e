"""Tokens that transformers keeps beside a vocabulary, in ``tokenizer_config.json`` or ``added_tokens.json``."""

from collections.abc import Mapping
from typing import Any

import msgspec

from leepjax.models.bridges.libraries import library
from leepjax.models.text.settings import Find, read_settings
from leepjax.models.text.tokenizer_config import AddedToken, TokenizerConfig
from leepjax.models.text.tokenizers import tokenizer_of
from leepjax.types import InputError


def with_added_tokens(
    content: bytes, find: Find, config: TokenizerConfig, name: str, further: tuple[AddedToken, ...] = ()
) -> bytes:
    """A ``tokenizer.json`` with all tokens that its configuration, or else ``added_tokens.json``, adds to it.

    `further` special tokens, which have no stated numbers, have the next ones.

    Raises:
        InputError: where the stated number of such a token isn't the next one of the vocabulary.
    """
    stated: Mapping[int, AddedToken] | None = config.added_tokens_decoder
    if stated is None:
        numbers = read_settings(find, "added_tokens.json", dict[str, int], name)
        stated = {number: AddedToken(token) for token, number in numbers.items()}
    if not stated and not further:
        return content
    tokenizers = library(name, "tokenizers", "text")
    tokenizer = tokenizer_of(content)
    known = {each.content for each in tokenizer.get_added_tokens_decoder().values()}
    lacking = {number: token for number, token in sorted(stated.items()) if token.content not in known}
    numbered = known | {each.content for each in stated.values()}
    unnumbered = [token for token in further if token.content not in numbered]
    if not lacking and not unnumbered:
        return content
    for number, token in lacking.items():
        tokenizer.add_tokens([_added(tokenizers, token)])
        if (got := tokenizer.token_to_id(token.content)) != number:
            raise InputError(
                f"{name}: expected the added token {token.content[:80]!r} to have the number {number}, got {got} from "
                "the vocabulary; put the files of one tokenizer together."
            )
    tokenizer.add_special_tokens([_added(tokenizers, token) for token in unnumbered])
    return tokenizer.to_str().encode()


def _added(tokenizers: Any, token: AddedToken) -> Any:
    fields = msgspec.structs.asdict(token)
    return tokenizers.AddedToken(fields.pop("content"), **fields)
