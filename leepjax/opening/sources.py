"""The sources of a command: named, opened, told apart, and left out with a reason where they fail."""

import os
from collections import Counter
from collections.abc import Sequence
from dataclasses import replace
from functools import partial
from typing import Any, NamedTuple, NoReturn

import msgspec

from leepjax.data.target import Target
from leepjax.models.opening import find_source, sets
from leepjax.models.source import Source
from leepjax.printable import valid_unicode
from leepjax.storage.files import WriteError, digest
from leepjax.types import InputError

AnySource = str | os.PathLike | Source
"""What `load_source` takes, the name of a set of sources, or an opened source."""

NOT_OF_A_SOURCE = (WriteError,)
"""Errors that every source would meet: they end a command."""

SENTENCES = (InputError, FloatingPointError, MemoryError, OSError)
"""Errors whose text is a sentence for the user."""


class Failed(NamedTuple):
    """A source that couldn't be opened or measured, by the name in tables, and why."""

    source: str
    error: Exception


class Opened(NamedTuple):
    """Sources of different names, and those that couldn't be opened."""

    sources: list[Source]
    failed: list[Failed]


def open_sources(caller: str, sources: Sequence[AnySource] | AnySource | None) -> list[Source]:
    """Open sources, all that are shipped by default. Sources of one name are told apart by path, or by hash.

    Raises:
        InputError: when there is none, one can't be opened, or one stands there twice.
    """
    opened = open_each(caller, sources)
    for failed in opened.failed:
        raise failed.error
    return opened.sources


def open_each(caller: str, sources: Sequence[AnySource] | AnySource | None) -> Opened:
    """The same, but sources that can't be opened are left out. Names are checked before anything is opened.

    Raises:
        InputError: when there is none, one stands there twice, or a name isn't known.
    """
    opened, failed = [], []
    chosen = chosen_sources(caller, sources)
    openers = [partial(_itself, each) if isinstance(each, Source) else find_source(each) for each in chosen]
    for each, open_source in zip(chosen, openers, strict=True):
        try:
            opened.append((each, open_source()))
        except NOT_OF_A_SOURCE:
            raise
        except Exception as error:
            failed.append(Failed(valid_unicode(str(each)), error))
    return Opened(_told_apart(caller, opened), failed)


def chosen_sources(caller: str, sources: Sequence[AnySource] | AnySource | None) -> list[AnySource]:
    """What to open: names of sets stand for their members, and nothing for all that are shipped.

    Raises:
        InputError: when there is none, or one stands there twice.
    """
    chosen = several("shipped" if sources is None else sources)
    members = sets()
    all_of = [each for name in chosen for each in (members.get(name, (name,)) if isinstance(name, str) else (name,))]
    if not all_of:
        raise InputError(f"{caller}: expected at least one source, got none; name one or leave the choice out.")
    if name := twice([each for each in all_of if isinstance(each, str)]):
        raise InputError(f"{caller}: expected each source once, got {name!r} twice; drop one.")
    return all_of


def several(names: Any) -> Sequence[Any]:
    """A single name where several are asked for is a list of one, not of its letters."""
    return [names] if isinstance(names, (str, os.PathLike, Source, Target)) else names


def twice(names: Sequence[Any]) -> Any:
    """The first name that stands there more than once."""
    return next((name for name, count in Counter(names).items() if count > 1), None)


def reason_of(error: Exception) -> str:
    """An error in a line."""
    text = " ".join(str(error).split())
    if isinstance(error, SENTENCES) and text:
        return text
    return f"{type(error).__name__}: {text}" if text else type(error).__name__


def raise_for_all(caller: str, failed: Sequence[Failed]) -> NoReturn:
    """Raise what a command ends with when no source could be measured.

    Raises:
        InputError: with every source's reason; of a single source, its own error.
    """
    if len(failed) == 1 and isinstance(failed[0].error, SENTENCES):
        raise failed[0].error
    reasons = "; ".join(f"{name}: {reason_of(error)}" for name, error in failed)
    raise InputError(
        f"{caller}: expected at least one source that can be measured, got {len(failed)} that failed ({reasons})."
    ) from failed[0].error


def _itself(source: Source) -> Source:
    return source


def _told_apart(caller: str, opened: Sequence[tuple[AnySource, Source]]) -> list[Source]:
    """The sources under different names: those of one name get the path that they were named by, or their hash."""
    if again := twice([(source.name, _identity(source)) for _, source in opened]):
        raise InputError(f"{caller}: expected each source once, got {again[0]!r} twice; drop one.")
    given = [source.name for _, source in opened]
    by_place = [
        _with_place(name, _place(*each)) if given.count(name) > 1 else name
        for name, each in zip(given, opened, strict=True)
    ]
    names = [
        f"{name} ({digest(source.identity.encode())[:8]})" if by_place.count(name) > 1 else name
        for name, (_, source) in zip(by_place, opened, strict=True)
    ]
    return [
        source if name == source.name else replace(source, card=msgspec.structs.replace(source.card, name=name))
        for name, (_, source) in zip(names, opened, strict=True)
    ]


def _identity(source: Source) -> tuple[str, str]:
    """Two sources that agree in this are one: the same outputs, from the same file."""
    path = getattr(source.network, "path", None)
    return source.identity, os.path.realpath(path) if path else ""


def _place(given: AnySource, source: Source) -> str:
    if not isinstance(given, Source):
        return valid_unicode(os.fspath(given))
    path = getattr(source.network, "path", None)
    return valid_unicode(str(path)) if path else digest(source.identity.encode())[:8]


def _with_place(name: str, place: str) -> str:
    return name if name == place else f"{name} ({place})"
