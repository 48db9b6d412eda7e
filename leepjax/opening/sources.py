"""Open the sources of a command, give them distinct names, and collect those that fail."""

import os
from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import replace
from typing import Any, NamedTuple, NoReturn

import msgspec

from leepjax.data.target import Target
from leepjax.models.opening import find_source
from leepjax.models.source import Source
from leepjax.models.tapped import AS_IT_IS, Layers, candidates_of
from leepjax.opening.names import expand, is_search
from leepjax.opening.tables import TableFile
from leepjax.printable import valid_unicode
from leepjax.storage.files import WriteError, digest
from leepjax.types import DType, InputError

AnySource = str | os.PathLike | Source | TableFile
"""An argument of `load_source`, a set, pattern or filter of sources (`expand`), an opened source, or embeddings."""

NOT_OF_A_SOURCE = (WriteError,)
"""Errors that would occur with every source, and therefore end a command."""

SENTENCES = (InputError, FloatingPointError, MemoryError, OSError)
"""Errors whose message is meant for the user."""


class Failed(NamedTuple):
    """The name of a source that couldn't be opened or measured, and its error."""

    source: str
    error: Exception


class Opened(NamedTuple):
    """Opened sources with distinct names, and those that couldn't be opened."""

    sources: list[Source]
    failed: list[Failed]


def open_sources(caller: str, sources: Sequence[AnySource] | AnySource | None) -> list[Source]:
    """Open sources, by default all that are shipped. Sources of the same name get their path or hash appended to it.

    Raises:
        InputError: when no source is given, one can't be opened, or one is given twice.
    """
    opened = open_each(caller, sources)
    for failed in opened.failed:
        raise failed.error
    return opened.sources


def open_each(
    caller: str,
    sources: Sequence[AnySource] | AnySource | None,
    dtype: DType | None = None,
    layers: Layers = AS_IT_IS,
) -> Opened:
    """Open sources as `open_sources` does, but leave out those that can't be opened. Names are checked first.

    With a `dtype`, the sources compute in it. Each of their `layers` is a source; a source without one of the layers
    is left out.

    Raises:
        InputError: when no source is given, one is given twice, or a name is unknown.
    """
    opened, failed = [], []
    chosen = chosen_sources(caller, sources)
    openers = [_opener(each) for each in chosen]
    for each, open_sources in zip(chosen, openers, strict=True):
        try:
            for source in open_sources():
                found = candidates_of(replace(source, dtype=dtype) if dtype else source, layers)
                opened += [(each, candidate) for candidate in found]
        except NOT_OF_A_SOURCE:
            raise
        except Exception as error:
            name = each.name if isinstance(each, Source) else valid_unicode(os.fspath(each))
            failed.append(Failed(name, error))
    return Opened(_distinguished(caller, opened), failed)


def chosen_sources(caller: str, sources: Sequence[AnySource] | AnySource | None) -> list[AnySource]:
    """Replace sets, patterns and filters of the hub by the sources they stand for, and None by all shipped sources.

    A source that a pattern or filter finds isn't repeated if it is also named.

    Raises:
        InputError: when no source is given, one is named twice, or a pattern or filter finds none.
    """
    all_of, found = [], []
    for name in several("shipped" if sources is None else sources):
        members = expand(caller, name) if isinstance(name, str) else (name,)
        (found if isinstance(name, str) and is_search(name) else all_of).extend(members)
    if name := twice([each for each in all_of if isinstance(each, str)]):
        raise InputError(f"{caller}: expected each source once, got {name!r} twice; drop one.")
    all_of += [name for name in dict.fromkeys(found) if name not in all_of]
    if not all_of:
        raise InputError(f"{caller}: expected at least one source, got none; name one, or leave out the option.")
    return all_of


def several(names: Any) -> Sequence[Any]:
    """Wrap a single name in a list, so that it isn't iterated over by characters."""
    return [names] if isinstance(names, (str, os.PathLike, Source, Target)) else names


def twice(names: Sequence[Any]) -> Any:
    """The first name that occurs more than once, None if all are distinct."""
    return next((name for name, count in Counter(names).items() if count > 1), None)


def reason_of(error: Exception) -> str:
    """Describe an error on one line."""
    text = " ".join(str(error).split())
    if isinstance(error, SENTENCES) and text:
        return text
    return f"{type(error).__name__}: {text}" if text else type(error).__name__


def raise_for_all(caller: str, failed: Sequence[Failed]) -> NoReturn:
    """Raise the error of a command for which no source could be measured.

    Raises:
        InputError: with the reason of every source; for a single source, its own error is raised instead.
    """
    if len(failed) == 1 and isinstance(failed[0].error, SENTENCES):
        raise failed[0].error
    reasons = "; ".join(f"{name}: {reason_of(error)}" for name, error in failed)
    raise InputError(
        f"{caller}: expected at least one source that can be measured, got {len(failed)} that failed ({reasons})."
    ) from failed[0].error


def _opener(each: AnySource) -> Callable[[], Sequence[Source]]:
    """A function that opens a source, or the sources in a folder of tables; a name is checked at once."""
    if isinstance(each, TableFile):
        return lambda: each.sources
    if isinstance(each, Source):
        return lambda: (each,)
    open_source = find_source(each)
    return lambda: (open_source(),)


def _distinguished(caller: str, opened: Sequence[tuple[AnySource, Source]]) -> list[Source]:
    """Make the names distinct: if several sources have a name, append the path that the caller gave, or the hash."""
    if again := twice([(source.name, _identity(source)) for _, source in opened]):
        raise InputError(f"{caller}: expected each source once, got {again[0]!r} twice; drop one.")
    given = [source.name for _, source in opened]
    by_origin = [
        _with_origin(name, _origin(*each)) if given.count(name) > 1 else name
        for name, each in zip(given, opened, strict=True)
    ]
    names = [
        f"{name} ({digest(source.identity.encode())[:8]})" if by_origin.count(name) > 1 else name
        for name, (_, source) in zip(by_origin, opened, strict=True)
    ]
    return [
        source if name == source.name else replace(source, card=msgspec.structs.replace(source.card, name=name))
        for name, (_, source) in zip(names, opened, strict=True)
    ]


def _identity(source: Source) -> tuple[str, str]:
    """Sources with equal identities are the same: the same outputs, from the same file."""
    path = getattr(source.network, "path", None)
    return source.identity, os.path.realpath(path) if path else ""


def _origin(given: AnySource, source: Source) -> str:
    if not isinstance(given, Source):
        return valid_unicode(os.fspath(given))
    path = getattr(source.network, "path", None)
    return valid_unicode(str(path)) if path else digest(source.identity.encode())[:8]


def _with_origin(name: str, origin: str) -> str:
    return name if name == origin else f"{name} ({origin})"
