"""Find the tokenizer and the settings of a model of texts among its files."""

import json
import logging
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any, TypeVar

import msgspec

from leepjax.models.bridges.libraries import library
from leepjax.models.files.formats import read_content
from leepjax.models.files.json_files import JsonError, read_json
from leepjax.models.text.tokens import TextNetwork
from leepjax.types import InputError, Pooling

Find = Callable[[str], Path | None]
"""Name of a file → where it lies, or None if the model lacks it."""
T = TypeVar("T")

NEVER = 1_000_000
"""A maximum length from which on transformers means that there is none."""
_SPECIAL = ("[UNK]", "[SEP]", "[CLS]", "[PAD]", "[MASK]")


class _TokenizerConfig(msgspec.Struct, frozen=True):
    model_max_length: float | None = None
    truncation_side: str | None = None
    do_lower_case: bool = True
    strip_accents: bool | None = None
    tokenize_chinese_chars: bool = True


class _SentenceConfig(msgspec.Struct, frozen=True):
    max_seq_length: int | None = None
    do_lower_case: bool = False


class _Module(msgspec.Struct, frozen=True):
    type: str = ""


class _Prompts(msgspec.Struct, frozen=True):
    prompts: dict[str, str | None] | None = None
    default_prompt_name: str | None = None


class _PoolingConfig(msgspec.Struct, frozen=True):
    pooling_mode: str | None = None
    pooling_mode_cls_token: bool = False
    pooling_mode_mean_tokens: bool = False
    pooling_mode_max_tokens: bool = False
    pooling_mode_mean_sqrt_len_tokens: bool = False
    pooling_mode_weightedmean_tokens: bool = False
    pooling_mode_lasttoken: bool = False


def read_tokenizer(find: Find, name: str) -> bytes:
    """The content of ``tokenizer.json``, or one made from BERT's ``vocab.txt``.

    Raises:
        InputError: when the model has neither.
    """
    if path := find("tokenizer.json"):
        return read_content(path)
    if path := find("vocab.txt"):
        return _of_vocabulary(path, _settings(find, "tokenizer_config.json", _TokenizerConfig, name), name)
    raise InputError(
        f"{name}: expected tokenizer.json or vocab.txt beside the weights, got neither; save the tokenizer there."
    )


def longest(find: Find, positions: int | None, name: str) -> int:
    """Most tokens of a text: as sentence-transformers or else the tokenizer states, and at most as many as positions.

    Raises:
        InputError: for settings of a wrong type, or a length below 1.
    """
    stated = _settings(find, "sentence_bert_config.json", _SentenceConfig, name).max_seq_length
    if stated is None:
        limit = _settings(find, "tokenizer_config.json", _TokenizerConfig, name).model_max_length
        stated = int(limit) if limit is not None and limit < NEVER else None
    found = min(each for each in (stated, positions, _UNLIMITED) if each is not None)
    if found < 1:
        raise InputError(f"{name}: expected a maximum length >= 1, got {found}; correct the tokenizer's configuration.")
    return found


_UNLIMITED = 512
"""Most tokens where neither positions nor a configuration limit them, as in model2vec."""


def is_lowered(find: Find, name: str) -> bool:
    """Whether sentence-transformers lowercases texts before the tokenizer gets them."""
    return _settings(find, "sentence_bert_config.json", _SentenceConfig, name).do_lower_case


def is_cut_at_the_start(find: Find, content: bytes, name: str) -> bool:
    """Whether longer texts lose their start, as the tokenizer's configuration or else its ``tokenizer.json`` states.

    Raises:
        InputError: for settings of a wrong type.
    """
    if side := _settings(find, "tokenizer_config.json", _TokenizerConfig, name).truncation_side:
        return side == "left"
    try:
        return json.loads(content)["truncation"]["direction"] == "Left"
    except (ValueError, KeyError, TypeError):  # it states none, or isn't a tokenizer, which is reported when it is used
        return False


_COMPUTED = ("Transformer", "Pooling", "StaticEmbedding", "Dropout", "Normalize")
"""Modules of sentence-transformers that leepjax computes, that do nothing after training, or only scale a row."""


def warn_of_further_steps(find: Find, name: str) -> None:
    """Name the modules and the prompt of sentence-transformers that leepjax leaves out.

    Raises:
        InputError: for settings of a wrong type.
    """
    kinds = [each.type.rpartition(".")[2] for each in _settings(find, "modules.json", list[_Module], name)]
    if not kinds:
        return
    if further := [each for each in kinds if each not in _COMPUTED]:
        logging.getLogger("leepjax").warning(
            "%s: modules.json has %s, which leepjax doesn't compute; its features are those without it.",
            name,
            ", ".join(dict.fromkeys(further))[:200],
        )
    stated = _settings(find, "config_sentence_transformers.json", _Prompts, name)
    warn_of_prompt(stated.prompts, stated.default_prompt_name, name)


def warn_of_prompt(prompts: Mapping[str, str | None] | None, default: str | None, name: str) -> None:
    """Say that the prompt that a model puts before texts by default is left out."""
    if prompt := (prompts or {}).get(default or ""):
        logging.getLogger("leepjax").warning(
            "%s: its default prompt %r is left out; put it into the texts if they need it.", name, prompt[:80]
        )


def pooling_of(find: Find, name: str) -> Pooling:
    """The pooling that sentence-transformers' ``1_Pooling/config.json`` states, ``mean`` without one.

    Raises:
        InputError: for a pooling that leepjax doesn't have.
    """
    config = _settings(find, "1_Pooling/config.json", _PoolingConfig, name)
    modes = msgspec.structs.asdict(config)
    mode = modes.pop("pooling_mode") or "+".join(
        each.removeprefix("pooling_mode_").removesuffix("_tokens").removesuffix("_token")
        for each, is_on in modes.items()
        if is_on
    )
    if mode not in ("", *TextNetwork.POOLINGS):
        raise InputError(
            f"{name}: expected pooling {', '.join(TextNetwork.POOLINGS)} in 1_Pooling/config.json, got {mode[:80]!r}; "
            "choose another model, or remove that file to pool by mean."
        )
    return mode or "mean"


def _settings(find: Find, filename: str, kind: type[T], name: str) -> T:
    """The content of a JSON file; its defaults without one."""
    if (path := find(filename)) is None:
        return kind()
    try:
        return read_json(read_content(path), kind)
    except JsonError as error:
        raise InputError(f"{name}: expected settings in {filename}, got {error}; save it again.") from None


def _of_vocabulary(path: Path, settings: _TokenizerConfig, name: str) -> bytes:
    """BERT's tokenizer: WordPiece between [CLS] and [SEP]."""
    tokenizers: Any = library(name, "tokenizers", "text")
    words = read_content(path).decode("utf-8", errors="replace").splitlines()
    vocabulary = {word: number for number, word in enumerate(words)}
    if missing := [each for each in _SPECIAL[:3] if each not in vocabulary]:
        raise InputError(
            f"{name}: expected {', '.join(_SPECIAL[:3])} in vocab.txt, got no {missing[0]}; save the tokenizer as "
            "tokenizer.json."
        )
    made = tokenizers.Tokenizer(tokenizers.models.WordPiece(vocabulary, unk_token="[UNK]"))
    made.add_special_tokens([each for each in _SPECIAL if each in vocabulary])
    made.normalizer = tokenizers.normalizers.BertNormalizer(
        clean_text=True,
        handle_chinese_chars=settings.tokenize_chinese_chars,
        strip_accents=settings.strip_accents,
        lowercase=settings.do_lower_case,
    )
    made.pre_tokenizer = tokenizers.pre_tokenizers.BertPreTokenizer()
    made.post_processor = tokenizers.processors.TemplateProcessing(
        single="[CLS]:0 $A:0 [SEP]:0",
        pair="[CLS]:0 $A:0 [SEP]:0 $B:1 [SEP]:1",
        special_tokens=[(each, vocabulary[each]) for each in ("[CLS]", "[SEP]")],
    )
    made.decoder = tokenizers.decoders.WordPiece(prefix="##")
    return made.to_str().encode()
