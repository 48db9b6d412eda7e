"""Texts without labels: files with a column of texts, files or folders of one text each, or strings in memory."""

import os
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from leepjax.data.columns import LABELS
from leepjax.data.folder_tree import is_hidden
from leepjax.data.target import Target
from leepjax.data.text.columns import Asked, choose_texts
from leepjax.data.text.in_memory import are_texts
from leepjax.data.text.sheets import SUFFIXES, open_sheet
from leepjax.data.text.target import TextRows, text_target
from leepjax.data.text.utf8 import read_utf8
from leepjax.printable import printable, valid_unicode
from leepjax.types import InputError

AnyTexts = str | os.PathLike | Sequence[str | os.PathLike] | Sequence[tuple[str, str]]
"""A path or several; or texts, or pairs of texts, in a list, where paths aren't strings."""

_NONE = Asked()


def open_texts(caller: str, texts: AnyTexts, asked: Asked = _NONE, *, strict: bool = False) -> Target:
    """Open texts as a target whose examples are all of one class; empty ones are left out.

    Args:
        caller: begins messages.
        texts: a ``.csv``, ``.tsv``, ``.jsonl`` or ``.parquet`` with a column of texts; a ``.txt`` of one text; a folder
            of these, at any depth; or a list of paths, strings, or pairs of strings.
        asked: the columns that the caller names.
        strict: whether an empty text is an error; otherwise a warning counts them.

    Raises:
        InputError: when there are no texts, or the column can't be chosen.
    """
    several: list[Any] = [texts] if isinstance(texts, (str, os.PathLike)) else list(texts)
    if not isinstance(texts, (str, os.PathLike)) and several and are_texts(several):
        return _unlabelled("texts", *_first_and_second(several), ids=None, strict=strict)
    files = [(file, root) for root in map(Path, several) for file in _files(caller, root)]
    if not files:
        shown = valid_unicode(", ".join(map(str, several[:3]))) or "an empty list"
        raise InputError(f"{caller}: expected texts in {shown}, got none; pass a file or a folder of texts.")
    firsts, seconds, ids = [], [], []
    for file, root in files:
        shown = valid_unicode(str(file.relative_to(root) if root.is_dir() else file))
        if file.suffix.lower() == ".txt":
            firsts.append(read_utf8(file))
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


def _first_and_second(texts: Sequence[Any]) -> tuple[list[str], list[str] | None]:
    if isinstance(texts[0], str):
        return list(texts), None
    return [first for first, _ in texts], [second for _, second in texts]


def _files(caller: str, path: Path) -> list[Path]:
    known = (*SUFFIXES, ".parquet", ".txt")
    if path.is_dir():
        return sorted(file for file in path.rglob("*") if file.suffix.lower() in known and not is_hidden(file.name))
    if not path.is_file() or path.suffix.lower() not in known:
        got = "another file" if path.exists() else "nothing there"
        raise InputError(
            f"{caller}: expected {', '.join(known)} or a folder at {printable(str(path))}, got {got}; check the path."
        )
    return [path]


def _columns(file: Path, asked: Asked) -> tuple[list[str], list[str]]:
    """The texts of a file, and the second ones, if it has pairs."""
    sheet = open_sheet(file, asked)
    candidates = [name for name in sheet.available.texts if name.lower() not in LABELS or name in asked.names]
    text, pair = choose_texts(printable(str(file)), candidates, asked)
    table = sheet.read([text] if pair is None else [text, pair])
    return table.column(text).to_pylist(), [] if pair is None else table.column(pair).to_pylist()
