"""Labels that a file holds as text become numbers or stay class names, by one rule for every reader.

All labels of a target are decided together, over its files and its splits:

- **whole numbers** where each label is written as Python writes its number (``7``, not ``07`` or ``1_0``);
- else **numbers with a fraction** where each is written as one (``1.0``, ``-2.5e-3``);
- else **names**, as they are written.

Among numbers a word such as ``NA`` or ``NULL`` isn't a name: it stays as it is, and is refused as a missing label.
Numbers too large for class numbers are names, and so are those of which two spellings mean the same (other than a whole
number's with and without ``.0``, as pandas writes labels beside missing ones), unless they are measurements
(`leepjax.data.guessed_task`).
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
    """The labels of a column, of which none are in other files: see `typed_together`.

    >>> typed(["1", "2"]), typed(["1", "2.5"]), typed(["1", "cat"]), typed(["1", "01"])
    ([1, 2], [1.0, 2.5], ['1', 'cat'], ['1', '01'])
    """
    return typed_together([cells], task)[0]


def typed_together(columns: Sequence[Sequence[Any]], task: Task | None = None) -> Sequence[Sequence[Any]]:
    """The labels of a column in each of several files, all as numbers or all as names.

    Columns without text have types of their own and stay as they are; beside text, numbers are text, too.

    Args:
        columns: labels; None where one is missing, which among numbers an empty text is as well.
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
    if task == "multilabel":  # several labels may be one for all these examples; 0 and 1 are no and yes
        return numbers if set(numbers.values()) <= {0, 1} else None
    if _share_a_number(distinct) or any(abs(number) > LARGEST_CLASS_NUMBER for number in numbers.values()):
        measured = task is None and guessed_task([numbers[text] for text in texts]) == "regression"
        return numbers if measured else None
    return numbers


def _share_a_number(texts: Iterable[str]) -> bool:
    """Whether two texts are one number in two spellings that may be two names, such as 2.5 and 2.50."""
    spellings = {re.sub(r"\.0*$", "", text) for text in texts}
    return len(set(map(float, spellings))) < len(spellings)
