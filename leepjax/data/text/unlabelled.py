"""Texts without labels: files with a column of texts, files or folders of one text each, or strings in memory."""

import os
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from leepjax.data.columns import LABELS, in_rows
from leepjax.data.folder import is_text, unlabelled
from leepjax.data.target import Target
from leepjax.data.text.columns import Asked, choose_texts
from leepjax.data.text.folders import read_texts
from leepjax.data.text.in_memory import are_texts
from leepjax.data.text.sheets import SUFFIXES, open_sheet
from leepjax.data.text.target import TextRows, text_target
from leepjax.printable import printable, valid_unicode
from leepjax.types import NOUNS, InputError, check_no_url

AnyTexts = str | os.PathLike | Sequence[str | os.PathLike] | Sequence[tuple[str, str]]
"""A path or several; or texts, or pairs of texts, in a list, where paths aren't strings."""

_NONE = Asked()
_TABLES = (*SUFFIXES, ".parquet")


def open_texts(caller: str, texts: AnyTexts, asked: Asked = _NONE, *, strict: bool = False) -> Target:
    """Open texts as a target whose examples are all of one class; empty and unreadable ones are left out.

    Args:
        caller: begins messages.
        texts: a ``.csv``, ``.tsv``, ``.jsonl`` or ``.parquet`` with a column of texts; a ``.txt`` of one text; a folder
            of these, at any depth; or a list of paths, strings, or pairs of strings.
        asked: the columns that the caller names.
        strict: whether an empty text, or a file that isn't used, is an error; otherwise a warning counts them.

    Raises:
        InputError: when there are no texts, the column can't be chosen, or what is given is no text.
    """
    is_path = isinstance(texts, (str, os.PathLike))
    several = [texts] if is_path else in_rows(caller, texts, "texts")
    if not is_path and are_texts(several):
        return _unlabelled("texts", *_first_and_second(caller, several), ids=None, strict=strict)
    for at, each in enumerate(several):
        if not isinstance(each, (str, os.PathLike)):
            raise InputError(
                f"{caller}: expected texts, pairs of texts or paths, got {type(each).__name__} at {at}; pass strings, "
                "or tuples of two strings."
            )
    files = [(file, root) for root in map(Path, several) for file in _files(caller, root, strict=strict)]
    if not files:
        shown = valid_unicode(", ".join(map(str, several[:3]))) or "an empty list"
        raise InputError(f"{caller}: expected texts in {shown}, got none; pass a file or a folder of texts.")
    alone = [file for file, _ in files if file.suffix.lower() == ".txt"]
    text_of = dict(zip(alone, read_texts(caller, alone, strict=strict, alone=len(alone) == len(files)), strict=True))
    firsts, seconds, ids = [], [], []
    for file, root in files:
        shown = valid_unicode(str(file.relative_to(root) if root.is_dir() else file))
        if file in text_of:
            if (text := text_of[file]) is not None:
                firsts.append(text)
                ids.append(shown)
            continue
        first, second = _columns(file, asked)
        firsts += first
        seconds += second
        ids += [str(row) if len(files) == 1 else f"{shown}:{row}" for row in range(len(first))]
    if seconds and len(seconds) != len(firsts):
        raise InputError(f"{caller}: expected pairs of texts in all files, got single ones too; name one kind of file.")
    return _unlabelled(valid_unicode(Path(several[0]).stem) or "texts", firsts, seconds or None, ids, strict)


def _unlabelled(name: str, texts: Any, pairs: Any, ids: Sequence[str] | None, strict: bool) -> Target:
    rows = TextRows(texts, ["unlabelled"] * len(texts), pairs, ids=ids)
    return text_target(name, rows, task="classes", strict=strict)


def _first_and_second(caller: str, texts: list[Any]) -> tuple[list[str], list[str] | None]:
    if not any(isinstance(each, (list, tuple)) for each in texts):
        return texts, None
    for row, each in enumerate(texts):
        if not isinstance(each, (list, tuple)) or len(each) != 2:
            got = f"{len(each)} strings" if isinstance(each, (list, tuple)) else type(each).__name__
            raise InputError(
                f"{caller}: expected pairs of texts, got {got} in row {row}; pass a tuple of two strings for each."
            )
    return [first for first, _ in texts], [second for _, second in texts]


def _files(caller: str, path: Path, *, strict: bool) -> list[Path]:
    check_no_url(caller, path)
    known = (*_TABLES, ".txt")
    if path.is_dir():
        return unlabelled(path, NOUNS["text"], _holds_texts, strict=strict)
    if not path.is_file() or path.suffix.lower() not in known:
        got = "another file" if path.exists() else "nothing there"
        raise InputError(
            f"{caller}: expected {', '.join(known)} or a folder at {printable(str(path))}, got {got}; check the path."
        )
    return [path]


def _holds_texts(path: Path) -> bool:
    return is_text(path) or path.suffix.lower() in _TABLES


def _columns(file: Path, asked: Asked) -> tuple[list[str], list[str]]:
    """The texts of a file, and the second ones, if it has pairs."""
    sheet = open_sheet(file, asked)
    candidates = [name for name in sheet.available.texts if name.lower() not in LABELS or name in asked.names]
    text, pair = choose_texts(printable(str(file)), candidates, asked)
    table = sheet.read([text] if pair is None else [text, pair])
    return table.column(text).to_pylist(), [] if pair is None else table.column(pair).to_pylist()
