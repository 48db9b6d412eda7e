"""What labels are, guessed and converted by one rule."""

import re

import numpy as np
import pytest

from leepjax.data.answers import labels_of
from leepjax.data.cells import typed, typed_together
from leepjax.types import InputError

AGES = [23.5, 61.2, 47.9, 30.1, 55.5, 70.2, 18.4, 39.9, 44.4, 66.6, 12.5]
INCOMES = [1000 + 37 * i * i for i in range(30)]


@pytest.mark.parametrize(
    ("labels", "task"),
    [
        ([0, 1, 2, 1], "classes"),
        ([0.0, 1.0, 2.0], "classes"),
        (["cat", "dog"], "classes"),
        (["tench, Tinca tinca", "goldfish, Carassius"], "classes"),
        (["a;b", "c;d"], "classes"),  # no name in two combinations
        (list(range(40)), "classes"),  # one example each, no gaps
        (np.repeat(np.arange(100), 5), "classes"),
        (np.arange(18, 91).repeat(9), "classes"),
        (AGES, "regression"),
        (np.array(AGES, np.float32), "regression"),
        (INCOMES, "regression"),
        (np.array([[0.5, 2.0], [1.0, 3.0]]), "regression"),
        ([[0.5, 2.0], [1.0, 3.0]], "regression"),
        ({"x": AGES, "y": AGES}, "regression"),
        (["cat;dog", "dog", ""], "multilabel"),
        (["cat|dog", "dog"], "multilabel"),
        (['["cat", "dog"]', "[]"], "multilabel"),
        (["['cat', 'dog']", "[]"], "multilabel"),
        ([["cat"], [], ["cat", "dog"]], "multilabel"),
        ([[3], [1, 3]], "multilabel"),
        ([[1, 1, 0], [0, 0, 1]], "multilabel"),
        (np.array([[1, 1, 0], [0, 0, 1]]), "multilabel"),
        ({"cat": [0, 1], "dog": [True, False]}, "multilabel"),
        ({"cat": ["0", "1"], "dog": ["no", "yes"]}, "multilabel"),
    ],
    ids=str,
)
def test_the_task_is_guessed_and_logged_unless_it_is_classes(labels, task, caplog):
    found = labels_of("x", labels)
    assert found.task == task
    assert found.labels.dtype == {"classes": np.int32, "regression": np.float32, "multilabel": np.uint8}[task]
    assert found.labels.ndim == (1 if task == "classes" else 2)
    assert [f"the task {task}" in record.getMessage() for record in caplog.records] == [True] * (task != "classes")


@pytest.mark.parametrize("task", [None, "classes"])
def test_labels_in_one_column_are_labels(task):
    for labels in (np.array([[0], [1], [1]]), [np.array([0]), np.array([1]), np.array([1])]):
        assert labels_of("x", labels, task)[1].tolist() == [0, 1, 1]
    for names in (np.array([["b"], ["a"], ["b"]]), np.array([["b"], ["a"], ["b"]], object)):
        assert labels_of("x", names, task)[1:][1] == ("a", "b")
    ages = labels_of("x", np.array(AGES)[:, None], None)
    assert (ages.task, ages.labels.shape, ages.names) == ("regression", (len(AGES), 1), ("number",))
    assert labels_of("x", np.array([[0], [1]]), "multilabel").labels.tolist() == [[0], [1]]
    assert labels_of("x", [["a"], ["b"]]).task == "multilabel"


def test_names_are_those_of_classes_or_of_numbers_with_a_fraction():
    assert labels_of("x", AGES, classes=["age"])[0::2] == ("regression", ("age",))
    assert labels_of("x", INCOMES, "regression", classes=["income"]).names == ("income",)


def test_numbers_keep_their_values_and_their_columns_names():
    found = labels_of("x", {"age": [1, 2.5], "mass": ["3", "-4e1"]}, "regression")
    np.testing.assert_array_equal(found.labels, [[1, 3], [2.5, -40]])
    assert found.names == ("age", "mass")
    assert labels_of("x", [1, 2], "regression", name="age").names == ("age",)
    assert labels_of("x", [1, 2], "regression").names == ("number",)


@pytest.mark.parametrize(
    "labels",
    [
        ["b;a", "", "a"],
        ["b | a", "", "a"],
        [["b", "a"], [], ["a"]],
        ['["b", "a"]', "", "a"],
        ["['b', 'a']", "", "['a']"],
    ],
)
def test_several_labels_of_every_form_are_the_same(labels):
    found = labels_of("x", labels, "multilabel")
    assert found.names == ("a", "b")
    np.testing.assert_array_equal(found.labels, [[1, 1], [0, 0], [1, 0]])


def test_label_numbers_take_the_names_given():
    found = labels_of("x", [[0, 2], []], classes=["cat", "dog", "cow"])
    assert (found.task, found.names, found.labels.tolist()) == (
        "multilabel",
        ("cat", "dog", "cow"),
        [[1, 0, 1], [0] * 3],
    )
    assert labels_of("x", [[7], [3, 7]]).names == ("3", "7")


def test_cells_of_text_files_are_typed_only_where_all_are_numbers():
    assert typed(["1", " 2 "]) == [1, 2]
    assert typed(["1", "", "2"]) == [1, None, 2]
    assert typed(["a", "", None]) == ["a", "", None]
    assert typed(["1.0", "2", ".5", "-2.5e3", "1e-05"]) == [1, 2, 0.5, -2500, 1e-05]


@pytest.mark.parametrize(
    "cells",
    [
        ["1", "01", "2"],
        ["1_11", "11_1", "2_3"],
        ["1e5", "100000"],
        ["2e5", "3e7"],
        ["2.5", "2.50"],
        ["01.5", "2.5"],
        ["٣", "4"],
        ["20000000001", "20000000002"],
        ["9" * 5000, "8" * 5000],
    ],
)
def test_names_that_resemble_numbers_stay_as_they_are_written(cells):
    assert typed(cells) == cells
    assert len(labels_of("x", typed(cells)).names) == len(cells)


@pytest.mark.parametrize("word", ["NA", "N/A", "#N/A", "nan", "NULL", "None", "<NA>", "\\N", "na", "none"])
@pytest.mark.parametrize("task", [None, "classes", "multilabel", "regression"])
def test_a_word_for_a_missing_label_among_numbers_is_no_class(word, task):
    assert typed(["0", word, "1.0"]) == [0, word, 1]
    with pytest.raises(InputError, match=rf"x: expected .*, got (none|{re.escape(repr(word))}) for example 1"):
        labels_of("x", typed(["0", word, "1"], task), task)


def test_a_word_for_a_missing_label_among_names_is_reported(caplog):
    assert labels_of("x", ["a", "none", "b"]).names == ("a", "b", "none")
    assert not caplog.records
    assert labels_of("x", ["a", "NaN", "b", "NaN"]).names == ("NaN", "a", "b")
    assert "x: 'NaN' is read as a class, of 2 examples; remove them if" in caplog.text


def test_a_word_that_makes_names_of_numbers_is_reported(caplog):
    assert labels_of("x", typed(["1", "2", "?", "3"])).names == ("1", "2", "3", "?")
    assert "x: labels are read as names, not as numbers, because of '?'; correct or remove it" in caplog.text


def test_names_that_differ_in_case_are_reported(caplog):
    assert labels_of("x", ["TRUE", "true", "a", "A"]).names == ("A", "TRUE", "a", "true")
    assert [each.getMessage() for each in caplog.records] == [
        "x: 'TRUE' and 'true' are two classes; write them alike if they are one."
    ]


@pytest.mark.parametrize("labels", [["3,25", "4"], ["['a' 'b']", "['c']"], ["[UNK]", "[PAD]"]])
def test_other_forms_are_names_where_the_task_says_so(labels):
    assert labels_of("x", labels, "classes").names == tuple(sorted(labels))


def test_large_numbers_are_measurements_or_names():
    amounts = [10**10 + 10**8 * i * i for i in range(30)]
    assert typed(list(map(str, amounts))) == amounts
    assert typed(list(map(str, amounts)), "classes") == list(map(str, amounts))


def test_columns_of_one_target_are_typed_alike():
    assert typed_together([["1", "N"], ["1"], [2, 3.0, None]]) == [["1", "N"], ["1"], ["2", "3", None]]
    assert typed_together([["1.0"], ["1"]]) == [[1.0], [1.0]]
    assert typed_together([[1], [2]]) == [[1], [2]]


def test_labels_of_a_test_part_are_found_among_the_training_part_s_by_name():
    assert labels_of("x", [5, 1], "classes", known=["1", "3", "5"]).labels.tolist() == [2, 0]
    assert labels_of("x", [True], "classes", known=["False", "True"]).labels.tolist() == [1]
    assert labels_of("x", ["1", "0"], "multilabel", known=["0", "1"]).labels.tolist() == [[0, 1], [1, 0]]
    assert labels_of("x", [[5], []], "multilabel", known=["3", "5"]).labels.tolist() == [[0, 1], [0, 0]]
    with pytest.raises(InputError, match=r"x: expected the same classes in both sets, got '2' in the test set alone; "):
        labels_of("x", [2], "classes", known=["1", "3"])


@pytest.mark.parametrize(
    ("labels", "task", "message"),
    [
        ([], None, "expected at least one example, got none"),
        ([1.5, None], "regression", "expected a number, got none for example 1"),
        (["1.5", "x"], "regression", "expected a number, got 'x' for example 1"),
        ([1.5, float("nan")], "regression", "expected finite numbers, got none for example 1"),
        ([1.5, 1e39], "regression", "expected finite numbers, got 1e\\+39 for example 1"),
        ([[1, 2], [3]], "regression", "expected equally many numbers for each example"),
        ({"a": [0, 1], "b": [0, 2]}, "multilabel", "expected 0 or 1 in the column 'b', got 2 for example 1"),
        ({"a": [0, 1], "b": [0]}, None, "expected label columns of one length, got 2 in a, 1 in b"),
        ({"a": [0, 1], "b": [0, 1]}, "classes", "expected one column of classes, got a, b"),
        (np.array([[0, 2]]), "multilabel", "expected rows of 0 and 1"),
        ([["a"], None], "multilabel", "expected a list of labels, or names joined by ';', got none for example 1"),
        ([3, 4], "multilabel", "expected a list of labels, or names joined by ';', got 3 for example 0"),
        ([[], []], None, "expected an example with a label, got none"),
        ([[-1], [0, 1]], None, "expected label numbers from zero, each with a name, got -1"),
        (np.eye(3), None, "expected one label per example, got ndarray for example 0"),
        ([0.5, 1], None, "expected class numbers that are whole"),
        (["3,25", "1", "NA", "0,5"], None, "expected numbers with a decimal point, or names of classes, got '3,25'; "),
        (["1.234,5", "2"], None, "expected numbers with a decimal point, or names of classes, got '1.234,5'; "),
        (["['a' 'b']", "['c']"], None, "expected names of classes, or a list of labels .*, got \"\\['a' 'b'\\]\"; "),
        (["{'a', 'b'}", "set()"], None, "expected names of classes, or a list of labels .*, got \"{'a', 'b'}\"; "),
        (["['a']", "['b']", "nan"], None, "expected names of classes, or a list of labels .*, got 'nan'; "),
    ],
    ids=str,
)
def test_what_does_not_fit_is_refused_in_a_sentence(labels, task, message):
    with pytest.raises(InputError, match=f"x: {message}"):
        labels_of("x", labels, task)
