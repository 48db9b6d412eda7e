"""Choose the columns of a table of texts: the text, a second text, the label; or the tokens and their tags."""

import logging
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, field

from leepjax.data.columns import LABELS, choose, choose_labels, split_columns
from leepjax.data.split_column import split_column
from leepjax.printable import printable
from leepjax.types import InputError

TEXTS = ("text", "texts", "sentence", "content", "review", "document", "query", "question", "utterance", "tweet")
TEXTS += ("comment", "body", "message", "description", "title")
"""Names, in any case, of columns that are used as texts by default; the first one found counts."""
PAIRS = (("sentence1", "sentence2"), ("premise", "hypothesis"), ("question1", "question2"), ("text1", "text2"))
PAIRS += (("text_a", "text_b"),)
"""Names of two columns that are used as pairs of texts by default, where no column has a name of `TEXTS`."""
TOKENS = ("tokens", "words")
"""Names of columns of lists of words."""
TAGS = ("tags", "ner_tags", "labels", "label", "pos_tags", "upos", "chunk_tags")
"""Names of columns of lists of labels, one for each word."""

_TEXT_ADVICE = "name it with --text-column, or text_column= in Python"
_TARGET_ADVICE = f"{_TEXT_ADVICE} (a column of paths of images with --image-column)"


@dataclass(frozen=True)
class Asked:
    """The columns that the caller names."""

    text: str | None = None
    pair: str | None = None
    label: str | None = None
    """Of several label columns, the names joined by commas."""
    groups: str | None = None

    @property
    def is_text(self) -> bool:
        """Whether a column of texts is among them."""
        return self.text is not None or self.pair is not None

    @property
    def names(self) -> tuple[str, ...]:
        """All names; of several label columns also each one."""
        labels = () if self.label is None else (self.label, *split_columns(self.label, ()))
        return tuple(dict.fromkeys(name for name in (self.text, self.pair, *labels, self.groups) if name is not None))


@dataclass(frozen=True)
class Available:
    """The columns of a table by what they can be."""

    names: Sequence[str]
    texts: Collection[str]
    """Columns of text."""
    labels: Collection[str]
    """Columns of scalars."""
    lists: Collection[str] = ()
    """Columns of lists of words."""
    tags: Collection[str] = ()
    """Columns of lists of scalars."""
    declared: Collection[str] = ()
    """Columns that the file declares as class labels, or as lists of them."""
    others: Mapping[str, str] = field(default_factory=dict)
    """The columns of values that are none of these → their type."""
    is_named: bool = True
    """Whether the names are those in the file; they are numbers otherwise."""


@dataclass(frozen=True)
class TextColumns:
    """The columns that are read."""

    text: str
    labels: tuple[str, ...]
    pair: str | None = None
    groups: str | None = None
    splits: str | None = None
    """The column that names the split of each row."""
    of_tokens: bool = False
    """Whether `text` holds lists of words, and the only one of `labels` a list of as many labels."""
    guessed: str | None = None
    """The label column, if neither the caller named it nor the file declares it."""
    names: tuple[str, ...] = field(init=False)

    def __post_init__(self) -> None:
        found = (self.text, *self.labels, self.pair, self.groups, self.splits)
        object.__setattr__(self, "names", tuple(dict.fromkeys(name for name in found if name is not None)))


def choose_columns(where: str, available: Available, asked: Asked) -> TextColumns:
    """Choose the columns by the names that the caller gives, or else by what is declared and by usual names.

    Raises:
        InputError: where a column isn't there, has another type, or none or several equally good ones are found.
    """
    _check_distinct(where, available, asked)
    if asked.groups is not None and asked.groups not in available.names:
        raise InputError(
            f"{where}: expected groups in the column {asked.groups!r}, got the columns {', '.join(available.names)}; "
            "name one."
        )
    splits = split_column(available.names, asked.names)
    if _is_of_tokens(available, asked):
        return _of_tokens(where, available, asked, splits)
    others = [
        name
        for name in (*available.labels, *available.tags)
        if name not in (asked.text, asked.pair, asked.groups, splits)
    ]
    declared = [name for name in available.declared if name in others]
    labels = choose_labels(
        where, available.names, declared=declared, possible=others, asked=asked.label, others=available.others
    )
    candidates = [name for name in available.texts if name not in (*labels, asked.groups, splits)]
    text, pair = choose_texts(where, candidates, asked, _TARGET_ADVICE)
    guessed = None if asked.label or labels[0] in declared else labels[0]
    return TextColumns(text, tuple(labels), pair, asked.groups, splits, guessed=guessed)


def _check_distinct(where: str, available: Available, asked: Asked) -> None:
    labels = [] if asked.label is None else split_columns(asked.label, available.names)
    columns = [name for name in (asked.text, asked.pair, *labels) if name is not None]
    for name in columns:
        if columns.count(name) > 1:
            raise InputError(
                f"{where}: expected different columns of texts and labels, got {printable(name)!r} twice; name another."
            )


def _is_of_tokens(available: Available, asked: Asked) -> bool:
    if asked.text is not None:
        return asked.text in available.lists
    if asked.label is not None:
        return asked.label in available.tags and bool(available.lists)
    words = usual_columns(available.lists, TOKENS) or ([] if available.texts else list(available.lists))
    has_label = bool(usual_columns(available.labels, LABELS) or set(available.declared) & set(available.labels))
    return bool(words and set(available.tags) - set(words[:1])) and not (has_label and available.texts)


def _of_tokens(where: str, available: Available, asked: Asked, splits: str | None) -> TextColumns:
    if asked.pair is not None:
        raise InputError(f"{where}: expected no second text of labelled words, got {asked.pair!r}; leave it out.")
    usual = usual_columns(available.lists, TOKENS)
    text = choose(where, "column of words", list(available.lists), asked.text, usual, _TEXT_ADVICE)
    tags = [name for name in available.tags if name != text]
    if asked.label is None:
        declared = [name for name in tags if name in available.declared]
        among = usual_columns(tags, TAGS) or declared or tags
        _report_others(where, "labels of words", among)
        label = choose(where, "column of labels of words", tags, None, among, "name it with --label-column")
    else:
        label = choose(where, "column of labels of words", tags, asked.label, (), "name a list of labels, one per word")
    return TextColumns(text, (label,), None, asked.groups, splits, of_tokens=True)


def choose_texts(
    where: str, candidates: Sequence[str], asked: Asked, advice: str = _TEXT_ADVICE
) -> tuple[str, str | None]:
    """The column of texts and that of second texts; the message ends with `advice` if there is no such column of texts.

    Raises:
        InputError: as `choose_columns`.
    """
    usual = usual_columns(candidates, TEXTS)
    if asked.text is None and asked.pair is None and not usual:
        for first, second in PAIRS:
            if found := usual_columns(candidates, (first, second))[1:]:
                text = usual_columns(candidates, (first,))[0]
                logging.getLogger("leepjax").warning(
                    "%s: pairs of texts are read from the columns %r and %r (choose one with --text-column).",
                    where,
                    text,
                    found[0],
                )
                return text, found[0]
    firsts = [name for name in candidates if name != asked.pair]
    text = choose(where, "text column", firsts, asked.text, [name for name in usual if name in firsts], advice)
    if asked.text is None:
        _report_others(where, "texts", [name for name in usual if name in firsts])
    if asked.pair is None:
        return text, None
    seconds = [name for name in candidates if name != text]
    advice = "name a column of texts with --text-pair-column"
    return text, choose(where, "column of second texts", seconds, asked.pair, (), advice)


def _report_others(where: str, what: str, usual: Sequence[str]) -> None:
    if len(usual) > 1:
        logging.getLogger("leepjax").warning(
            "%s: %s are read from the column %r; other candidates are %s.", where, what, usual[0], ", ".join(usual[1:])
        )


def usual_columns(names: Collection[str], usual: Sequence[str]) -> list[str]:
    """The columns with a usual name in any case, in the order of the usual names."""
    return sorted((name for name in names if name.lower() in usual), key=lambda name: usual.index(name.lower()))
