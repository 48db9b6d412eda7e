"""Open a network of texts from the files of transformers, sentence-transformers or model2vec."""

from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import msgspec

from leepjax.models import architectures, weights
from leepjax.models.card import Card
from leepjax.models.files.formats import read_tensors
from leepjax.models.files.readme import licence_of
from leepjax.models.files.shards import read_weights
from leepjax.models.source import Source, WeightsFile
from leepjax.models.text import static
from leepjax.models.text.config import STATIC, TextConfig, read_text_config
from leepjax.models.text.sentence_files import pooling_of, sentence_config, warn_of_further_steps
from leepjax.models.text.settings import Find
from leepjax.models.text.tokenization import Tokenization
from leepjax.models.text.tokenizer_files import is_cut_at_the_start, longest, read_tokenizer, tokenizer_config
from leepjax.models.text.tokenizers import unknown_token, vocabulary_size
from leepjax.storage.files import digest
from leepjax.types import InputError


def open_text(fields: Mapping[str, Any], find: Find, find_weights: Callable[[], Path], name: str) -> Source:
    """Open a source of texts.

    Args:
        fields: of ``config.json``.
        find: finds the other files of the model.
        find_weights: returns the path of the weights; called after the configuration and the tokenizer are read.
        name: of the source.

    Raises:
        InputError: for a missing tokenizer, a model type or option that leepjax lacks, or weights that don't fit.
    """
    card = describe_text(fields, find, name)
    if not card.num_classes:
        warn_of_further_steps(find, name)
    path = find_weights()
    if fields["model_type"] in STATIC and card.tokenization:
        card = msgspec.structs.replace(card, **_static(fields, _table_shape(path, name), card.tokenization, name))
    card = msgspec.structs.replace(card, weights_hash=digest(read_weights(path)))
    return Source(card, WeightsFile(card.model, card.num_classes, path, card.weights_hash))


def describe_text(fields: Mapping[str, Any], find: Find, name: str) -> Card:
    """The card of a source of texts, without the digest of its weights, which needn't be there yet.

    Raises:
        InputError: as `open_text`, except for the weights.
    """
    is_static = fields["model_type"] in STATIC
    config = None if is_static else read_text_config(fields, pooling_of(find, name), name)
    stated, sentence = tokenizer_config(find, fields, name), sentence_config(find, name)
    tokenizer = read_tokenizer(find, stated, fields["model_type"], name)
    tokenization = Tokenization.of(
        tokenizer,
        max_length=longest(sentence.max_seq_length, stated, config and config.positions, name),
        lower=sentence.do_lower_case,
        special=not is_static,
        from_start=is_cut_at_the_start(tokenizer, stated),
    )
    if config is None:
        dropped = unknown_token(tokenization.digest)
        tokenization = msgspec.structs.replace(tokenization, dropped=dropped)
        width = fields.get("hidden_dim")
        shape = vocabulary_size(tokenization.digest), width if isinstance(width, int) and width > 0 else 1
        made = _static(fields, shape, tokenization, name)
    else:
        made = _of_config(config, tokenization, name)
    readme = find("README.md")
    licence = licence_of(readme.read_text("utf-8", errors="replace")) if readme else ""
    return Card(name=name, reads="text", tokenization=tokenization, weights_hash="", licence=licence, **made)


def _of_config(config: TextConfig, tokenization: Tokenization, name: str) -> dict[str, Any]:
    """The fields of a card that depend on the network."""
    network = architectures.abstract(config.model, config.num_classes)
    _check_vocabulary(network.num_tokens, tokenization, name)
    return {
        "model": config.model,
        "num_classes": config.num_classes,
        "classes": config.classes,
        "num_parameters": weights.num_parameters(network),
    }


def _static(fields: Mapping[str, Any], shape: tuple[int, int], tokenization: Tokenization, name: str) -> dict[str, Any]:
    """The fields of a card that depend on the table [vocabulary d] of static embeddings."""
    _check_vocabulary(shape[0], tokenization, name)
    arguments = {"vocab_size": shape[0], "hidden_dim": shape[1]}
    if fields.get("normalize") is True:
        arguments["normalize"] = True
    return {
        "model": architectures.with_arguments("static-embeddings", arguments),
        "num_classes": 0,
        "num_parameters": shape[0] * shape[1],
    }


def _check_vocabulary(size: int, tokenization: Tokenization, name: str) -> None:
    if (needed := vocabulary_size(tokenization.digest)) > size:
        raise InputError(
            f"{name}: expected embeddings of all {needed:,} tokens of the tokenizer, got {size:,}; put the tokenizer "
            "and the weights of one model together."
        )


def _table_shape(path: Path, name: str) -> tuple[int, int]:
    """The number of tokens and of features in a file of static embeddings."""
    tensors = read_tensors(path)
    table = next((tensors[each] for each in static.NAMES if each in tensors), None)
    if table is None or table.ndim != 2:
        raise InputError(
            f"{name}: expected a table embeddings [tokens features] in {path}, got {', '.join(sorted(tensors))[:80]}; "
            "save the model by model2vec."
        )
    return len(tensors.get("mapping", table)), table.shape[1]
