"""Names and cards may hold any character; what is stored is valid Unicode, and what is printed moves no cursor."""

import os

import pytest
from hypothesis import given
from hypothesis import strategies as st

from leepjax.printable import printable, valid_unicode


@pytest.mark.parametrize(
    ("text", "shown"),
    [
        ("café", "café"),
        ("caf\udce9", "caf\\xe9"),
        ("\ud800", "\\ud800"),
        ("a\x1b[2Jb\x07", "a\\x1b[2Jb\\x07"),
        ("a\nb\tc", "a\\nb\\tc"),
        ("\u202egnp.exe", "\\u202egnp.exe"),
    ],
)
def test_what_acts_on_a_terminal_is_shown_escaped(text, shown):
    assert printable(text) == shown


@given(st.text(st.characters()))
def test_any_text_becomes_one_line_that_can_be_encoded(text):
    shown = printable(text)
    shown.encode()
    assert shown.splitlines() == [shown][: len(shown)]


@given(st.binary())
def test_any_file_name_becomes_valid_unicode(name):
    assert valid_unicode(os.fsdecode(name)) == name.decode(errors="backslashreplace")
