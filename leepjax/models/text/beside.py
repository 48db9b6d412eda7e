"""The tokenizer of a source of texts in a file beside its weights."""

from pathlib import Path

from leepjax.models.card import Card
from leepjax.models.files.formats import read_content
from leepjax.models.text.tokenizers import content_of, keep
from leepjax.storage.files import write_atomically
from leepjax.types import InputError


def write_tokenizer(card: Card, weights: Path) -> None:
    """Write the tokenizer of a source of texts beside its weights; of any other source, nothing."""
    if card.tokenization and (content := content_of(card.tokenization.digest)):
        write_atomically(_beside(weights), content)


def read_tokenizer_of(card: Card, weights: Path) -> None:
    """Keep the tokenizer that lies beside the weights of a source of texts; of any other source, do nothing.

    Raises:
        InputError: when it is missing, or another than the card's.
    """
    if card.tokenization is None:
        return
    path = _beside(weights)
    if keep(read_content(path)) != card.tokenization.digest:
        raise InputError(
            f"source: expected the tokenizer of {card.name} in {path}, got another; put weights, card and tokenizer of "
            "the same training run together."
        )


def _beside(weights: Path) -> Path:
    return weights.with_suffix(".tokenizer.json")
