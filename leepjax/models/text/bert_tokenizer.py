"""Make BERT's tokenizer as transformers does, from ``vocab.txt`` or a ``tokenizer.json``, and its configuration."""

import io
import json
import logging
from collections.abc import Mapping
from typing import Any

from leepjax.models.bridges.libraries import library
from leepjax.models.text.tokenizer_config import AddedToken, Token, TokenizerConfig
from leepjax.types import InputError

_log = logging.getLogger("leepjax")
_CLASSES = ("Bert", "DistilBert", "Electra", "MobileBert", "ConvBert", "SqueezeBert", "LayoutLM", "RetriBert")
_FAMILIES = ("bert", "distilbert")
"""Values of ``model_type`` whose tokenizer is BERT's where no class is stated."""
_SPECIAL = ("unk", "sep", "cls", "pad", "mask")
_PARTS: Mapping[str, tuple[str | None, ...]] = {
    "model": ("WordPiece", None),  # old files don't name it
    "normalizer": ("BertNormalizer",),
    "pre_tokenizer": ("BertPreTokenizer",),
    "post_processor": ("TemplateProcessing", "BertProcessing"),
}
"""Part of the ``tokenizer.json`` of BERT's tokenizer → its types."""


def is_berts(tokenizer_class: str | None, model_type: str) -> bool:
    """Whether transformers makes BERT's tokenizer for a stated class, or else for a ``model_type``."""
    if tokenizer_class is None:
        return model_type in _FAMILIES
    return tokenizer_class.removesuffix("Fast").removesuffix("Tokenizer") in _CLASSES


def of_vocabulary(text: str, settings: TokenizerConfig, name: str) -> bytes:
    """The ``tokenizer.json`` of BERT's tokenizer, WordPiece between [CLS] and [SEP], from its ``vocab.txt``.

    Raises:
        InputError: for a class of tokenizers that isn't BERT's, or a vocabulary without its special tokens.
    """
    if settings.tokenizer_class and not is_berts(settings.tokenizer_class, ""):
        raise InputError(
            f"{name}: expected the vocab.txt of BertTokenizer, got that of {settings.tokenizer_class[:80]}; save the "
            "tokenizer as tokenizer.json, or open the model as transformers:…."
        )
    tokenizers: Any = library(name, "tokenizers", "text")
    # Only newlines end a token: str.splitlines would also split at U+2028 and others, and shift all later ids.
    words = [line.removesuffix("\n") for line in io.StringIO(text, newline=None)]
    vocabulary = {word: number for number, word in enumerate(words)}
    special = {each: _content(getattr(settings, f"{each}_token")) or f"[{each.upper()}]" for each in _SPECIAL}
    unk, sep, cls = (special[each] for each in _SPECIAL[:3])
    if missing := [each for each in (unk, sep, cls) if each not in vocabulary]:
        raise InputError(
            f"{name}: expected {unk}, {sep}, {cls} in vocab.txt, got no {missing[0]}; save the tokenizer as "
            "tokenizer.json."
        )
    made = tokenizers.Tokenizer(tokenizers.models.WordPiece(vocabulary, unk_token=unk))
    made.add_special_tokens([each for each in special.values() if each in vocabulary])
    made.normalizer = tokenizers.normalizers.BertNormalizer(clean_text=True, **_normaliser(settings))
    made.pre_tokenizer = tokenizers.pre_tokenizers.BertPreTokenizer()
    made.post_processor = tokenizers.processors.TemplateProcessing(
        single=[f"{cls}:0", "$A:0", f"{sep}:0"],
        pair=[f"{cls}:0", "$A:0", f"{sep}:0", "$B:1", f"{sep}:1"],
        special_tokens=[(each, vocabulary[each]) for each in (cls, sep)],
    )
    made.decoder = tokenizers.decoders.WordPiece(prefix="##")
    return made.to_str().encode()


def as_configured(content: bytes, settings: TokenizerConfig, name: str) -> bytes:
    """A ``tokenizer.json`` of BERT's tokenizer with the normaliser of its configuration, as transformers reads the two.

    The normaliser that the configuration doesn't state is transformers' default. A warning says where it differs, and
    names other parts that transformers 5 would replace.
    """
    try:
        parts = json.loads(content)
        kinds = {part: (parts[part] or {}).get("type") for part in _PARTS}
    except (ValueError, KeyError, TypeError, AttributeError):  # not a tokenizer, which is reported when it is used
        return content
    if others := [f"{part} {kind or 'none'}" for part, kind in kinds.items() if kind not in _PARTS[part]]:
        _log.warning(
            "%s: tokenizer.json has %s, where transformers makes %s's; it is used as it is.",
            name,
            ", ".join(others)[:200],
            settings.tokenizer_class or "BERT",
        )
    stated = _normaliser(settings)
    if kinds["normalizer"] != "BertNormalizer" or not (other := _differing(parts["normalizer"], stated)):
        return content
    _log.warning(
        "%s: tokenizer.json has other settings than tokenizer_config.json; as transformers, it takes %s.",
        name,
        ", ".join(f"{each} {str(value).lower()}" for each, value in other.items()),
    )
    parts["normalizer"] |= stated
    return json.dumps(parts, ensure_ascii=False).encode()


def _differing(normaliser: Mapping[str, Any], stated: Mapping[str, Any]) -> dict[str, Any]:
    """The settings that differ in effect: without one of its own, `strip_accents` is that of `lowercase`."""
    found, wanted = (
        {**each, "strip_accents": each["lowercase"] if each.get("strip_accents") is None else each["strip_accents"]}
        for each in ({"lowercase": True, "handle_chinese_chars": True} | dict(normaliser), stated)
    )
    return {each: value for each, value in wanted.items() if found[each] != value}


def _content(token: Token | None) -> str | None:
    return token.content if isinstance(token, AddedToken) else token


def _normaliser(settings: TokenizerConfig) -> dict[str, bool | None]:
    """The settings of ``BertNormalizer``, by their names in ``tokenizer.json``."""
    return {
        "handle_chinese_chars": settings.tokenize_chinese_chars,
        "strip_accents": settings.strip_accents,
        "lowercase": settings.do_lower_case,
    }
