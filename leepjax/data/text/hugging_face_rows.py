"""Targets of texts from a table of Hugging Face `datasets`."""

from dataclasses import replace
from typing import Any

from leepjax.data.cells import typed
from leepjax.data.target import Target
from leepjax.data.text.columns import Asked, choose_columns
from leepjax.data.text.sheets import available_in, cells_of
from leepjax.data.text.target import TextRows, text_target, word_target
from leepjax.printable import printable
from leepjax.types import InputError, Task


def from_table(where: str, name: str, table: Any, asked: Asked, *, task: Task | None, strict: bool) -> Target:
    """Make a target of a `datasets.Dataset` of texts.

    Raises:
        InputError: when its columns can't be chosen, or hold no labelled texts.
    """
    features = table.features
    declared = [key for key, feature in features.items() if _names(feature) is not None]
    available = replace(available_in(features.arrow_schema, {}), declared=declared)
    if not (asked.is_text or available.texts or available.lists):
        listed = ", ".join(f"{key} ({shown_type(feature)})" for key, feature in features.items())
        raise InputError(
            f"{where}: expected a column of texts, or of images with the feature Image, got {printable(listed)}; give "
            "the column of images this feature."
        )
    columns = choose_columns(where, available, asked)
    found = table.select_columns(list(columns.names)).with_format("arrow")[:]
    labels = {label: typed(cells_of(found.column(label)), task) for label in columns.labels}
    rows = TextRows(
        found.column(columns.text),
        labels[columns.labels[0]] if len(labels) == 1 else labels,
        None if columns.pair is None else found.column(columns.pair),
        None if columns.groups is None else found.column(columns.groups).to_pylist(),
    )
    classes = _names(features[columns.labels[0]]) if len(labels) == 1 else None
    if columns.of_tokens:
        return word_target(name, rows, where=where, classes=classes, strict=strict)
    return text_target(name, rows, where=where, task=task, classes=classes, guessed=columns.guessed, strict=strict)


def shown_type(feature: Any) -> str:
    """The type of a feature, as messages show it."""
    kind = type(feature).__name__
    return str(feature.dtype) if kind == "Value" else kind


def _names(feature: Any) -> list[str] | None:
    """The class names of a feature, or of the elements of one of lists."""
    if isinstance(feature, list) and feature:  # the older form of a list
        return _names(feature[0])
    return getattr(feature, "names", None) or getattr(getattr(feature, "feature", None), "names", None)
