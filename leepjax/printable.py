"""Make text from a file's name or content safe to store and print."""

import re
from pathlib import Path

_SURROGATE = re.compile("[\ud800-\udfff]")
# C0 and C1 controls, line and paragraph separators, and the marks that reverse the direction of writing.
_CONTROL = re.compile("[\x00-\x1f\x7f-\x9f\u2028\u2029\u202a-\u202e\u2066-\u2069]")
_SHORT = {"\n": "\\n", "\r": "\\r", "\t": "\\t"}


def valid_unicode(name: str) -> str:
    r"""Turn a file's name into valid Unicode: a byte that isn't UTF-8 becomes, for example, ``\\xe9``."""
    return _SURROGATE.sub(_escaped_surrogate, name)


def shown_path(path: Path) -> str:
    """A path as a user would write it: relative if it is below the working folder, and printable."""
    here = Path.cwd()
    return printable(str(path.relative_to(here) if path.is_relative_to(here) else path))


def printable(text: str) -> str:
    r"""Escape the characters that control a terminal, and newlines: ESC becomes ``\x1b``, a newline ``\n``."""
    return _CONTROL.sub(_escaped_control, valid_unicode(text))


def _escaped_surrogate(match: re.Match[str]) -> str:
    # Python reads the byte 0xE9 of a name that isn't UTF-8 as U+DCE9.
    code = ord(match[0])
    return f"\\x{code - 0xDC00:02x}" if 0xDC80 <= code <= 0xDCFF else f"\\u{code:04x}"


def _escaped_control(match: re.Match[str]) -> str:
    code = ord(match[0])
    return _SHORT.get(match[0]) or (f"\\x{code:02x}" if code < 0x100 else f"\\u{code:04x}")
