"""The facts in the tables of measures; laws of the functions themselves are in test_laws.py."""

import pytest

from leepjax.measures import DEFAULT_MEASURES, FURTHER, MEASURES
from leepjax.measures.rows import compute
from leepjax.report.captions import measure_name

ROWS = {**MEASURES, **FURTHER}


def test_each_row_has_a_title_of_its_own_which_captions_use():
    titles = [row.title for row in ROWS.values()]
    assert len(set(titles)) == len(titles)
    assert [measure_name(name) for name in ROWS] == titles
    assert measure_name("neg_log_classes") == "−log c"
    assert measure_name("of_a_plugin") == "of a plugin"


def test_the_default_measures_are_the_papers_and_related_ones():
    names = ["logme", "leep", "em_leep", "loo_leep", "leep_lift", "soft_nce", "nce", "h_score", "shrunk_h_score"]
    assert list(DEFAULT_MEASURES) == names


@pytest.mark.parametrize("name", MEASURES)
def test_memory_is_a_formula_of_what_the_measure_reads(name):
    row, width = MEASURES[name], "d" if MEASURES[name].reads == "features" else "z"
    small, large = (row.numbers_held(n=n, c=3, **{width: 8}) for n in (20, 40))
    assert 0 < small <= large


def test_a_formula_is_computed_as_it_is_read():
    assert compute("n·(d + min(5·c, n)) + d²", n=7, d=3, c=2) == 7 * (3 + 7) + 9
    assert compute("m·n + c·z", m=2, n=5, c=3, z=4) == 22
