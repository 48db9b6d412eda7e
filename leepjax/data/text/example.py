"""A text as an example of a target."""

from typing import NamedTuple


class Text(NamedTuple):
    """A text, or a word in its sentence."""

    text: str | tuple[str, ...]
    """The text; a tuple holds the words of a sentence, one of which has the label."""
    pair: str | None = None
    """A second text, of a target whose labels are of pairs."""
    word: int | None = None
    """Which word of `text` the label is of, where it is a tuple."""
