"""One rule for labels: what numbers and names of any type become, and which are refused."""

import unicodedata

import numpy as np
import pytest

from leepjax.data.labels import class_numbers
from leepjax.types import InputError

NUMBERS = [0, 2, 1, 2]


@pytest.mark.parametrize(
    "labels",
    [
        NUMBERS,
        np.array(NUMBERS, np.uint8),
        np.array(NUMBERS, np.int64),
        np.array(NUMBERS, np.uint64),
        np.array(NUMBERS, np.float32),
        [float(number) for number in NUMBERS],
        [np.int16(number) for number in NUMBERS],
        [np.array(number) for number in NUMBERS],
    ],
    ids=["int", "uint8", "int64", "uint64", "float32", "float", "int16", "array"],
)
def test_whole_numbers_of_any_type(labels):
    numbers, classes = class_numbers("x", labels)
    assert numbers.dtype == np.int32
    assert (numbers.tolist(), classes) == (NUMBERS, ("0", "1", "2"))


@pytest.mark.parametrize(
    "labels",
    [["b", " a", "é\t"], [b"b", b"a", "é".encode()], np.array(["b", "a", "é"]), [np.str_("b"), np.str_("a"), "é"]],
    ids=["str", "bytes", "array", "numpy"],
)
def test_names_of_any_type_are_sorted(labels):
    numbers, classes = class_numbers("x", labels)
    assert (numbers.tolist(), classes) == ([1, 0, 2], ("a", "b", "é"))


@pytest.mark.parametrize("labels", [[True, False, True], np.array([True, False, True])])
def test_booleans_are_two_classes(labels):
    numbers, classes = class_numbers("x", labels)
    assert (numbers.tolist(), classes) == ([1, 0, 1], ("False", "True"))


def test_a_name_is_the_same_in_both_normal_forms():
    forms = [unicodedata.normalize(form, "café") for form in ("NFC", "NFD")]
    numbers, classes = class_numbers("x", [*forms, "tea"])
    assert (numbers.tolist(), classes) == ([0, 0, 1], ("café", "tea"))


def test_names_that_are_not_utf_8_stay_distinct():
    assert class_numbers("x", [b"caf\xe9", b"caf\xe8"])[1] == ("caf\\xe8", "caf\\xe9")


def test_large_gaps_are_closed_and_reported(caplog):
    numbers, classes = class_numbers("x", [5, 999_999, 5])
    assert (numbers.tolist(), classes) == ([0, 1, 0], ("5", "999999"))
    assert "x: labels go up to 999999, but only 2 numbers occur; these become the classes." in caplog.text


def test_small_gaps_stay(caplog):
    assert class_numbers("x", [0, 9])[1] == tuple(map(str, range(10)))
    assert not caplog.text


class NAType:
    """Like pandas.NA, whose comparisons are neither true nor false."""

    def __bool__(self):
        raise TypeError("boolean value of NA is ambiguous")

    def __ne__(self, other):
        return self


@pytest.mark.parametrize(
    ("labels", "classes", "message"),
    [
        ([0, None], None, "expected a label for every example, got none for example 1"),
        ([0, NAType()], None, "expected a label for every example, got none for example 1"),
        ([0, np.ma.masked], None, "expected a label for every example, got none for example 1"),
        (["a", float("nan")], None, "expected a label for every example, got none for example 1"),
        (["a", " "], None, "expected a label for every example, got none for example 1"),
        (np.array([0, np.nan]), None, "expected a label for every example, got none for example 1"),
        (
            np.array([0, np.inf]),
            None,
            "expected class numbers .* got inf for example 1; remap them, or .*--task regression",
        ),
        ([[0, 1], [1, 0]], None, "expected one label per example, got list for example 0; pass class numbers"),
        (np.eye(2), None, "expected one label per example, got ndarray for example 0"),
        ([object()], None, "expected labels that are all integers or all strings, got object"),
        ([True, 2], None, "expected labels that are all integers or all strings, got bool, int"),
        ([0], "ab", "expected a list of class names, got 'ab'"),
        ([0], ["a", "a"], "expected distinct class names, got 'a' twice"),
        ([-1, 0], ["a"], "expected class numbers from zero, got -1 for example 0; .*--task regression"),
    ],
)
def test_what_is_refused(labels, classes, message):
    with pytest.raises(InputError, match=f"^x: {message}"):
        class_numbers("x", labels, classes)
