"""Convert labels that a file holds as text to numbers, or keep them as class names, by one rule for every reader.

All labels of a target are decided together, over its files and its splits:

- **whole numbers** where each label is written as Python writes its number (``7``, not ``07`` or ``1_0``);
- else **numbers with a fraction** where each is written as one (``1.0``, ``-2.5e-3``);
- else **names**, as they are written.

A word such as ``NA`` or ``NULL`` among numbers isn't a name: it stays a text, and is refused later as a missing label.
Numbers are names if one is too large for a class number, or if two spellings mean the same number (except ``1`` and
``1.0``: pandas writes ``1.0`` where other labels are missing), unless `leepjax.data.guessed_task` takes them for
measurements.
"""

import re
from collections.abc import Collection, Iterable, Mapping, Sequence
from typing import Any

from leepjax.data.guessed_task import guessed_task
from leepjax.data.label_forms import SETS
from leepjax.data.labels import LARGEST_CLASS_NUMBER, is_missing_word
from leepjax.types import Task

_WHOLE = re.compile(r"0|-?[1-9][0-9]{0,17}")
# An exponent needs a sign or a fraction: 1e5 is as likely the name of a class, as in hexadecimal codes.
_NUMBER = re.compile(
    r"-?(0|[1-9][0-9]*)(e[+-][0-9]+)?|[+-]?((0|[1-9][0-9]*)\.[0-9]*|\.[0-9]+)(e[+-]?[0-9]+)?|nan|[+-]?inf(inity)?",
    re.IGNORECASE,
)


def typed(cells: Sequence[Any], task: Task | None = None) -> Sequence[Any]:
    """Apply `typed_together` to a column that is in a single file.

    >>> typed(["1", "2"]), typed(["1", "2.5"]), typed(["1", "cat"]), typed(["1", "01"])
    ([1, 2], [1.0, 2.5], ['1', 'cat'], ['1', '01'])
    """
    return typed_together([cells], task)[0]


def typed_together(columns: Sequence[Sequence[Any]], task: Task | None = None) -> Sequence[Sequence[Any]]:
    """Convert the labels of one column in several files, either all to numbers or all to names.

    If no file holds text in this column, the labels keep their types; if some do, numbers are read as text, too.

    Args:
        columns: the labels of each file; None for a missing one. Among numbers, an empty text is missing as well.
        task: what the labels are; None where it will be guessed.
    """
    cells = [cell for column in columns for cell in column]
    if not any(isinstance(cell, str) for cell in cells) or any(isinstance(cell, SETS) for cell in cells):
        return columns
    texts = [[_text(cell) for cell in column] for column in columns]
    numbers = _numbers([text for column in texts for text in column if text and not is_missing_word(text)], task)
    if numbers is None:
        return texts
    return [[text if is_missing_word(text) else numbers.get(text) for text in column] for column in texts]


def _text(cell: Any) -> str | None:
    if isinstance(cell, str):
        return cell.strip()
    if cell is None or cell != cell:
        return None
    return str(int(cell) if isinstance(cell, float) and cell.is_integer() else cell)


def _numbers(texts: Collection[str], task: Task | None) -> Mapping[str | None, Any] | None:
    """Text → its number, where all are numbers; else None."""
    if task == "regression" or not texts:  # `leepjax.data.answers` reads any spelling of a number
        return None
    distinct = set(texts)
    if all(map(_WHOLE.fullmatch, distinct)):
        numbers: dict[str | None, Any] = {text: int(text) for text in distinct}
    elif all(map(_NUMBER.fullmatch, distinct)):
        numbers = {text: float(text) for text in distinct}
    else:
        return None
    if task == "multilabel":  # 0 and 1 mean no and yes; any other number is the name of a label
        return numbers if set(numbers.values()) <= {0, 1} else None
    if _share_a_number(distinct) or any(abs(number) > LARGEST_CLASS_NUMBER for number in numbers.values()):
        measured = task is None and guessed_task([numbers[text] for text in texts]) == "regression"
        return numbers if measured else None
    return numbers


def _share_a_number(texts: Iterable[str]) -> bool:
    """Whether two texts spell the same number differently, such as 2.5 and 2.50, and so may be two names."""
    spellings = {re.sub(r"\.0*$", "", text) for text in texts}
    return len(set(map(float, spellings))) < len(spellings)
