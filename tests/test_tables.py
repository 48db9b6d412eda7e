"""Rows as text: a ranking and a list in every format, without losing any part of a name."""

import csv
import io
import json
import re

import pytest

from leepjax.ranking import Ranking
from leepjax.storage.records import Record
from leepjax.tables import FORMATS, render, text_of_csv_cell

ROWS = [{"source": "a", "score": -0.123456789, "note": None}, {"source": "b", "score": 2.0, "note": "x"}]


def record(source, measure, value):
    return Record(
        key=source + measure,
        kind="score" if measure != "head" else "verify",
        target="pets",
        target_hash="t",
        num_examples=40,
        num_classes=4,
        source=source,
        weights_hash="w",
        measure=measure,
        value=value,
        low=None if value is None else value - 0.125,
        high=None if value is None else value + 0.125,
        confidence=0.95,
        seed=0,
        seconds=0.5,
        versions={"jax": "0"},
    )


RANKING = Ranking(
    tuple(
        record(source, measure, value)
        for source, values in {"a": (-1.0, 2.0, 0.75), "b": (-0.5, None, 0.25), "c": (-0.25, 1.0, 0.5)}.items()
        for measure, value in zip(("leep", "logme", "head"), values, strict=True)
    ),
    ("leep", "logme"),
    "head",
)


def test_json_keeps_every_digit_and_null():
    assert json.loads(render(ROWS, "json")) == ROWS


def test_csv_keeps_every_digit_and_leaves_the_undefined_empty():
    rows = list(csv.DictReader(io.StringIO(render(ROWS, "csv"))))
    assert rows == [{"source": "a", "score": "-0.123456789", "note": ""}, {"source": "b", "score": "2.0", "note": "x"}]


def test_markdown_has_a_header_and_a_line_for_each_row():
    lines = render(ROWS, "md", "Title").splitlines()
    assert lines[:2] == ["### Title", ""]
    assert lines[2:6] == ["| source | score | note |", "| --- | --- | --- |", "| a | -0.123 | – |", "| b | 2.000 | x |"]


def test_a_table_shows_three_decimals_and_a_dash_for_the_undefined():
    text = render([*ROWS, {"source": "c", "score": float("nan"), "note": ""}], "table", "Title")
    assert text.splitlines()[0] == "Title"
    assert [line.split() for line in text.splitlines()[-3:]] == [["a", "-0.123", "–"], ["b", "2.000", "x"], ["c", "–"]]


@pytest.mark.parametrize("format", FORMATS)
def test_no_rows_are_no_error(format):
    assert isinstance(render([], format), str)


@pytest.mark.parametrize("name", ["net[v2]", "net[/v2]", "[bold]net", ":cat:", "a|b", "naïve 🐈", "x" * 150, 'a"b,c'])
@pytest.mark.parametrize("format", FORMATS)
def test_a_name_is_shown_as_it_is(name, format):
    text = render([{"source": name, "score": 1.0}], format)
    if format == "json":
        assert json.loads(text)[0]["source"] == name
    elif format == "csv":
        assert next(csv.DictReader(io.StringIO(text)))["source"] == name
    else:
        assert name in text.replace("\\|", "|")


CONTROL = ["\x1b]0;taken\x07", "\x9b2J", "a\rb", "a\nb", "\u202egnp", "\x00", "a\u2028b", "caf\udce9"]


@pytest.mark.parametrize("name", CONTROL)
@pytest.mark.parametrize("format", FORMATS)
def test_no_character_that_acts_on_a_terminal_is_in_any_format(name, format):
    """Neither from a cell, a column nor a title; JSON keeps the text itself, by its own escapes."""
    rows = [{"source": name, name: 1.0}]
    text = render(rows, format, f"Sources for {name}")
    acting = [c for c in text if c != "\n" and not c.isprintable()]
    assert not acting
    assert len(text.splitlines()) == len(render([{"source": "x", "y": 1.0}], format, "z").splitlines())
    if format == "json":
        assert json.loads(text) == rows


@pytest.mark.parametrize("name", ["=1+1", "+1-cmd", "-x", "@SUM(A1)", "\t=1", " =1", "＝1", "'=1"])
def test_no_cell_of_csv_is_a_formula_and_verify_reads_the_name_back(name):
    rows = list(csv.reader(io.StringIO(render([{name: name, "n": -1.5}], "csv"))))
    for cell in (rows[0][0], rows[1][0]):
        assert cell.lstrip()[0] not in "=+-@＝"
    assert rows[1][1] == "-1.5"
    if name.strip() == name:
        assert text_of_csv_cell(rows[1][0]) == name


@pytest.mark.parametrize("text", ["-1.5", "+3", "-inf", "a=b", "-", "1"])
def test_numbers_and_plain_texts_stand_in_csv_as_they_are(text):
    (row,) = csv.DictReader(io.StringIO(render([{"a": text}], "csv")))
    assert row["a"] == ("'-" if text == "-" else text)


def test_a_mapping_in_csv_is_json():
    (row,) = csv.DictReader(io.StringIO(render([{"versions": {"jax": "0.9", "a'b": '"'}}], "csv")))
    assert json.loads(row["versions"]) == {"jax": "0.9", "a'b": '"'}


@pytest.mark.parametrize("name", ["a|b", "a\\|b", "a\\", "a\n| b |", "<img src=x>"])
def test_a_row_of_markdown_has_as_many_cells_as_its_header(name):
    """As GitHub reads them: a backslash escapes the character after it."""
    header, _, row = render([{"source": name, "score": 1.0}], "md").splitlines()
    cells = [re.findall(r"(?:\\.|[^|\\])+", line.strip("| ")) for line in (header, row)]
    assert [len(line) for line in cells] == [2, 2]
    assert "<" not in row


@pytest.mark.parametrize("format", ["table", "md"])
def test_a_title_is_one_line_and_shown_as_it_is(format):
    title = "Sources for birds[new], a long name in front of narrow columns"
    assert title in render([{"a": 1}], format, title)


def test_a_ranking_as_json_and_csv_holds_its_records():
    rows = json.loads(RANKING.render("json"))
    assert rows == RANKING.to_records()
    assert len(rows) == 9
    read = list(csv.DictReader(io.StringIO(RANKING.render("csv"))))
    assert [(row["source"], row["measure"]) for row in read] == [(row["source"], row["measure"]) for row in rows]
    assert [float(row["value"]) if row["value"] else None for row in read] == [row["value"] for row in rows]


def test_a_ranking_as_markdown_has_three_tables():
    lines = RANKING.render("md").splitlines()
    assert "| 2 | c | 0.500 [0.375, 0.625] | -0.250 [-0.375, -0.125] | – | – |" in lines
    assert "| b | -0.500 | – |" in lines
    assert sum(line.startswith("### ") for line in lines) == 3
    assert lines[-1].startswith("With 3 sources ")


def test_a_ranking_as_a_table_is_what_print_shows():
    text = str(RANKING)
    assert text == RANKING.render("table")
    assert "Sources for pets, highest test accuracy first" in text
    assert "Agreement with head accuracy" in text
    assert [line.split()[1] for line in text.splitlines() if line[1:2].isdigit()] == ["a", "c", "b"]
