"""From records to conclusions: the best evidence orders the sources, and correlations are SciPy's."""

import math
import time
from dataclasses import replace

import msgspec
import numpy as np
import pytest
import scipy.stats
from small_records import record

from leepjax.agreement import Interval, kendall, pearson, significance_note, weighted_tau
from leepjax.ranking import Failure, Ranking, agree
from leepjax.ranking.answer import per_cent
from leepjax.ranking.draws import shares_of_best
from leepjax.ranking.show import share
from leepjax.storage.records import Cost

RNG = np.random.default_rng(0)
DRAWS = RNG.normal(scale=0.1, size=50)


def ranking(scores, accuracies=None, measure="leep", **fields):
    """A ranking of sources a, b, c … by one measure."""
    names = "abcdefghijkl"
    records = [record(name, measure, score, **fields) for name, score in zip(names, scores, strict=False)]
    records += [record(name, "head", value) for name, value in zip(names, accuracies or (), strict=False)]
    return Ranking(tuple(records), (measure,), "head" if accuracies else None)


@pytest.mark.parametrize("n", [2, 5, 30])
def test_correlations_are_those_of_scipy(n):
    x, y = RNG.normal(size=(2, n))
    y += x
    assert pearson(x, y) == pytest.approx(scipy.stats.pearsonr(x, y).statistic)
    assert kendall(x, y) == pytest.approx(scipy.stats.kendalltau(x, y).statistic)
    assert weighted_tau(x, y) == pytest.approx(scipy.stats.weightedtau(x, y).statistic)


@pytest.mark.parametrize("statistic", [pearson, kendall, weighted_tau])
def test_correlations_run_from_minus_one_to_one_and_are_undefined_for_constants(statistic):
    x = np.array([0.1, 0.5, 2.0, 7.0])
    assert statistic(x, 2 * x + 1) == pytest.approx(1)
    assert statistic(x, -x) == pytest.approx(-1)
    assert math.isnan(statistic(x, np.ones(4)))
    assert math.isnan(statistic(np.ones(4), x))
    assert math.isnan(statistic(x[:1], x[:1]))


def test_agreement_of_many_sources():
    scores = dict(zip("abcdefgh", [1, 2, 3, 4, 5, 6, 7, 8], strict=True))
    accuracies = dict(zip("abcdefgh", [0.1, 0.3, 0.2, 0.4, 0.6, 0.5, 0.8, 0.7], strict=True))
    found = agree("leep", scores, accuracies)
    for interval in (found.pearson, found.kendall, found.weighted):
        assert -1 <= interval.low <= interval.value <= interval.high <= 1
        assert interval.low < interval.high
    expected = scipy.stats.pearsonr(list(scores.values()), list(accuracies.values()))
    assert (found.measure, found.num_sources, found.ties) == ("leep", 8, 0)
    assert (found.pearson.value, found.p_value) == pytest.approx((expected.statistic, expected.pvalue))
    assert found == agree("leep", scores, accuracies)
    # Intervals of few sources resample nothing.
    assert found == agree("leep", scores, accuracies, seed=1)


def test_ties_in_score_or_accuracy_are_counted_once_a_pair():
    scores, accuracies = {"a": 1, "b": 1, "c": 2, "d": 3}, {"a": 0.5, "b": 0.5, "c": 0.5, "d": 0.7}
    assert agree("leep", scores, accuracies).ties == 3


def test_sources_without_score_or_accuracy_do_not_count():
    scores, accuracies = {"a": 1.0, "b": 2.0, "c": 3.0, "d": math.nan}, {"a": 0.1, "b": 0.2, "c": math.nan, "d": 0.9}
    found = agree("leep", scores, accuracies)
    assert (found.num_sources, found.pearson.value) == (2, pytest.approx(1))
    assert math.isnan(found.p_value)
    assert math.isnan(found.pearson.low)


@pytest.mark.parametrize("scores", [[1.0, 1.0, 1.0], [None, None, None], [1.0]])
def test_constant_undefined_and_lone_scores_agree_with_nothing(scores):
    (found,) = ranking(scores, [0.1, 0.2, 0.3][: len(scores)]).agreement()
    for interval in (found.pearson, found.kendall, found.weighted):
        assert np.isnan(interval).all()
    assert math.isnan(found.p_value)


def test_without_verification_there_is_no_agreement():
    found = ranking([1.0, 2.0])
    assert found.agreement() == []
    assert found.accuracies == {}
    assert found.remarks() == []


@pytest.mark.parametrize(
    ("n", "note"),
    [
        (2, "With 2 sources no correlation or rank agreement can be significant: compare more sources."),
        (5, "With 5 sources |r| must exceed 0.88 for p < 0.05. That is too few to tell measures apart."),
        (9, "With 9 sources |r| must exceed 0.67 for p < 0.05. That is too few to tell measures apart."),
        (20, "With 20 sources |r| must exceed 0.44 for p < 0.05."),
    ],
)
def test_significance_note(n, note):
    assert significance_note(n) == note


@pytest.mark.parametrize("n", range(2, 12))
def test_the_note_is_true(n):
    """At the correlation that the note names, SciPy's p value is 0.05; where it names none, p is never below."""
    note = significance_note(n)
    if "no correlation" in note:
        x = np.arange(n) + 0.0
        assert not scipy.stats.pearsonr(x, x + 1e-3 * (-1) ** x).pvalue < 0.05
    else:
        r = float(note.split("exceed ")[1].split()[0])
        p = 2 * scipy.stats.t.sf(r * math.sqrt((n - 2) / (1 - r * r)), n - 2)
        assert p == pytest.approx(0.05, abs=0.005)


def test_sources_come_best_first_and_undefined_last():
    found = ranking([None, -2.0, -1.0, -2.0])
    assert found.sources == ("c", "b", "d", "a")
    assert found.best == "c"
    np.testing.assert_equal(found.scores("leep"), {"a": math.nan, "b": -2.0, "c": -1.0, "d": -2.0})


def test_the_first_measure_leads():
    records = [
        record(s, m, v) for s, m, v in [("a", "nce", 1.0), ("b", "nce", 2.0), ("a", "leep", 4.0), ("b", "leep", 3.0)]
    ]
    assert Ranking(tuple(records), ("nce", "leep")).best == "b"
    assert Ranking(tuple(records), ("leep", "nce")).best == "a"


def tied(*pairs):
    records = [record(s, "leep", value, draws=tuple(draws)) for s, (value, draws) in zip("abc", pairs, strict=False)]
    return Ranking(tuple(records), ("leep",)).tied_with_best


def test_ties_are_judged_on_the_same_resamples():
    """Draws that vary together distinguish sources whose separate intervals overlap."""
    assert tied((1.0, 1.0 + DRAWS), (0.95, 0.95 + DRAWS)) == ()
    assert tied((1.0, 1.0 + DRAWS), (0.95, 0.95 - DRAWS)) == ("b",)
    assert tied((1.0, 1.0 + DRAWS), (0.95, 0.95 - DRAWS), (0.0, DRAWS)) == ("b",)


def test_without_draws_equal_scores_alone_are_ties():
    assert tied((1.0, ()), (1.0, ()), (0.99, ())) == ("b",)


def test_a_source_without_a_score_is_not_tied_with_the_best():
    assert tied((1.0, 1.0 + DRAWS), (None, [None] * 50)) == ()


def drawn(*pairs):
    records = [record(s, "leep", value, draws=tuple(draws)) for s, (value, draws) in zip("abc", pairs, strict=False)]
    return Ranking(tuple(records), ("leep",))


def test_first_in_is_the_share_of_resamples_that_put_a_source_first():
    """Each source's draws are about its score, as its interval is; equals share."""
    found = drawn((1.0, [0, 2, 0, 2]), (1.0, [7, 5, 7, 5]), (0.9, [4, 4, 4, 4])).first_in()
    assert found == {"a": 0.5, "b": 0.5, "c": 0.0}
    assert drawn((1.0, [0, 2]), (1.0, [0, 2])).first_in() == {"a": 0.5, "b": 0.5}
    assert drawn((1.0, DRAWS), (0.0, DRAWS)).first_in() == {"a": 1.0, "b": 0.0}


def test_first_in_is_undefined_where_nothing_was_drawn_or_a_score_is_undefined():
    assert all(map(math.isnan, ranking([1.0, 2.0]).first_in().values()))
    found = drawn((None, [None, None]), (1.0, [1.0, 1.2])).first_in()
    np.testing.assert_equal(found, {"a": math.nan, "b": 1.0})


def test_a_resample_in_which_a_source_is_undefined_is_left_out_for_all():
    a, b = [0.8, 0.7, 0.9, 0.8, None], [0.7, 0.8, 0.8, 0.86, 0.1]
    found = verified([3.0, 2.0], [0.8, 0.79], [a, b], metric="auroc")
    whole = verified([3.0, 2.0], [0.8, 0.79], [a[:4], b[:4]], metric="auroc")
    assert (found.p_best(), found.leaders) == (whole.p_best(), ("a", "b"))
    remark = "AUROC is undefined in 20 % of the resamples of the test images; intervals and P(best) are of the others."
    assert remark in found.remarks()
    assert remark not in whole.remarks()
    assert (
        drawn((1.0, a), (0.9, b)).remarks()[-1].startswith("leep is undefined in 20 % of the resamples of the images;")
    )


def test_where_most_resamples_are_undefined_nothing_tells_the_sources_apart():
    draws = [[0.9, 0.9, None, None, None], [0.5] * 5]
    for found in (verified([3.0, 2.0], [0.9, 0.5], draws, metric="auroc"), drawn((0.9, draws[0]), (0.5, draws[1]))):
        assert found.leaders == ("a", "b")
        assert (
            {row["p_best"] for row in found.to_records()} == {row["first_in"] for row in found.to_records()} == {None}
        )
        said = " ".join(found.remarks())
        assert "undefined in 60 % of the resamples" in said
        assert "so there is no interval, and nothing tells the sources apart." in said
        assert "= b can't be distinguished from a." in said
        assert "% confidence" not in said


def test_what_rounding_tells_apart_is_equal():
    """As scores of a measure that saturates are."""
    noise = [2 + 1e-7 * RNG.normal(size=50) for _ in range(3)]
    found = drawn((2 - 1e-7, noise[0]), (2.0, noise[1]), (2 + 2e-7, noise[2]))
    assert (found.sources, found.best_by("leep"), found.leaders) == (("a", "b", "c"), "a", ("a", "b", "c"))
    assert list(found.first_in().values()) == pytest.approx([1 / 3] * 3)
    assert set(found.ranks("leep").values()) == {1}
    assert drawn((2.0, ()), (2.0001, ())).leaders == ("b",)


@pytest.mark.parametrize(("gap", "leaders"), [(0.29, ("a", "b")), (0.31, ("a",))])
def test_a_source_leads_unless_the_best_is_further_ahead_than_by_chance_at_the_confidence(gap, leaders):
    """In a fifth of the resamples a is ahead of b by more than 0.3 of chance alone."""
    draws = {"a": (1.0,) * 101, "b": tuple(np.linspace(-0.5, 0.5, 101))}
    values = {"a": 1.0, "b": 1.0 - gap}
    records = (record(name, "leep", values[name], draws=of, confidence=0.8) for name, of in draws.items())
    assert Ranking(tuple(records), ("leep",)).leaders == leaders


def test_first_in_stands_in_the_table_and_in_the_records():
    found = drawn((1.0, 1.0 + DRAWS), (0.99, 0.99 - DRAWS))
    shares = found.first_in()
    assert sum(shares.values()) == pytest.approx(1)
    assert all(0.1 < share < 0.9 for share in shares.values())
    assert [(row["first_in"], row["p_best"]) for row in found.to_records()] == [(s, None) for s in shares.values()]
    assert "first in" in str(found)
    assert "first in" not in str(ranking([1.0, 2.0]))


def verified(scores, accuracies, draws=None, measure="leep", **fields):
    """A ranking whose verification has draws: by default without any spread."""
    draws = draws or [(value,) * 4 for value in accuracies]
    found = ranking(scores, measure=measure)
    heads = [
        record(name, "head", value, draws=tuple(of), **{"metric": "accuracy"} | fields)
        for name, value, of in zip("abcdefghijkl", accuracies, draws, strict=False)
    ]
    return Ranking((*found.records, *heads), (measure,), "head")


def test_accuracy_orders_the_sources_where_it_was_verified():
    found = verified([3.0, 2.0, 1.0], [0.7, 0.9, 0.8])
    assert found.sources == ("b", "c", "a")
    assert (found.best, found.decided_by, found.best_by("leep"), found.best_by("head")) == ("b", "head", "a", "b")
    assert found.leaders == ("b",)
    assert str(found).startswith(
        "Take b: accuracy 90.0 % on 40 test images, 10.0 points better than c. "
        "leep alone would have taken a, 20.0 points worse.\n\nSources for pets, highest test accuracy first"
    )


def test_equal_accuracies_are_ordered_by_the_leading_measure():
    found = verified([1.0, 2.0, 0.0], [0.9, 0.9, 0.5])
    assert found.sources == ("b", "a", "c")
    assert found.answer() == (
        "Take b (or a: the two can't be distinguished on 40 test images). leep alone would have taken it, too."
    )


def test_what_was_not_verified_comes_after_what_was():
    found = verified([1.0, 2.0, 3.0], [0.6, 0.7])
    assert found.sources == ("b", "a", "c")
    assert "Not verified, and so behind the others: c." in found.remarks()
    assert "leep alone" not in found.answer()  # what its choice would have reached isn't known


def test_of_log_loss_the_lowest_is_best_and_printed_as_it_is():
    found = verified([1.0, 2.0], [0.5, 0.7], [[0.5, 0.6], [0.7, 0.8]], metric="log_loss")
    assert found.sources == ("a", "b")
    assert found.accuracies == {"a": 0.5, "b": 0.7}
    assert found.ranks("head") == {"a": 1, "b": 2}
    assert found.p_best() == {"a": 1.0, "b": 0.0}
    assert found.answer().startswith("Take a: log-loss 0.500 on 40 test images, 0.200 nats better than b.")
    assert "lowest test log-loss first" in str(found)
    assert found.agreement()[0].pearson.value == pytest.approx(-1)  # the higher score has the worse loss


def test_p_best_is_of_verified_draws_alone():
    found = verified([3.0, 2.0], [0.8, 0.79], [[0.8, 0.7, 0.9, 0.8], [0.7, 0.8, 0.8, 0.86]])
    assert found.p_best() == {"a": 0.5, "b": 0.5}
    assert found.tied_with_best == ("b",)
    assert "P(best)" in str(found)
    shares = [(row["kind"], row["p_best"]) for row in found.to_records()]
    assert shares == [("score", None), ("score", None), ("verify", 0.5), ("verify", 0.5)]
    unverified = drawn((1.0, DRAWS), (0.0, DRAWS))
    assert unverified.p_best() == {}
    assert "P(best)" not in str(unverified)
    assert "P(best)" not in str(ranking([1.0, 2.0], [0.5, 0.6]))  # accuracies of older records have no draws


def test_p_best_is_one_number_in_tables_and_records():
    heads = [[0.8, 0.7, 0.9, 0.8], [0.77, 0.77, 0.74, 0.8]]
    found = verified([3.0, 2.0], [0.8, 0.77], heads)
    rows = {row["source"]: row["p_best"] for row in found.to_records() if row["kind"] == "verify"}
    assert rows == found.p_best()
    assert (
        rows["a"]
        < shares_of_best([record("a", "head", 0.8, draws=heads[0]), record("b", "head", 0.77, draws=heads[1])])[0]
    )


def test_the_leaders_hold_the_best_with_their_confidence():
    """Of sources whose accuracies vary by the test images and as much by the training images."""
    rng, held = np.random.default_rng(1), []
    for _ in range(300):
        truth = 3 * rng.normal(size=12)
        values = truth + np.sqrt(2) * rng.normal(size=12)
        heads = [
            record(f"s{i}", "head", value, draws=tuple(value + rng.normal(size=200))) for i, value in enumerate(values)
        ]
        held.append(f"s{truth.argmax()}" in Ranking(tuple(heads), ("leep",), "head").leaders)
    assert 0.92 < np.mean(held) < 0.99


@pytest.mark.parametrize("accuracies", [None, (0.9, 0.9)])
def test_few_examples_give_no_confidence(accuracies):
    named = f"{'test ' if accuracies else ''}images are too few to tell sources apart, so no confidence is claimed."
    for count, few in ((12, True), (20, False)):
        found = ranking((0.5, 0.5), accuracies)
        drawn = {"num_examples": count, "draws": tuple(0.5 + DRAWS)}
        records = tuple(msgspec.structs.replace(each, **drawn) for each in found.records)
        found = Ranking(records, found.measures, found.verified_by)
        said = "\n".join(found.remarks())
        assert said.count(f"{count} {named}") == int(few)
        assert ("% confidence" in said) is not few


def test_answers_without_verification_or_with_one_source():
    found = drawn((1.0, 1.0 + DRAWS), (0.0, DRAWS))
    assert found.answer() == (
        "leep puts a first, in 100 % of resamples of the 40 images. "
        "Whether it transfers best isn't known: verify by training heads."
    )
    assert verified([1.0], [0.75]).answer() == "Take a, the only source: accuracy 75.0 % on 40 test images."
    assert ranking([1.0]).answer().startswith("a is the only source; how well it transfers isn't known")
    many = verified([1.0, 2.0, 3.0, 4.0, 5.0, 6.0], [0.9] * 6, metric="macro_f1")
    assert many.answer().startswith("Take f (or e, d, c, b or 1 more: the 6 can't be distinguished on 40 test images).")
    nothing = Ranking((), ("leep",), "head", (Failure("a", "pets", "a: expected weights, got none."),))
    assert nothing.answer() == "No source could be measured for pets."


def with_costs(accuracies, seconds, draws=None):
    found = verified([0.0] * len(accuracies), accuracies, draws)
    costs = {s: Cost(seconds_per_image=t, weight_bytes=8) for s, t in zip("abcdef", seconds, strict=False)}
    return replace(
        found, records=tuple(msgspec.structs.replace(each, cost=costs[each.source]) for each in found.records)
    )


def test_the_pareto_front_is_what_no_source_dominates():
    found = with_costs([0.9, 0.8, 0.7, 0.9, 0.6], [1.0, 0.5, 0.6, 1.05, 0.1])
    assert found.dominated_by == {"c": "b"}  # d is as good as a, and 5 % of time are no difference
    assert with_costs([0.9, 0.8], [1.0, 1.05]).dominated_by == {"b": "a"}
    assert with_costs([0.8, 0.8], [1.0, 0.5]).dominated_by == {"a": "b"}
    lines = found.render("md").splitlines()
    assert "| 4 | c | 0.700 | 0.00 | 0.000 | 600.00 | b | – | – |" in lines
    assert any("Dominated by: another source" in remark for remark in found.remarks())
    assert (found.to_records()[0]["seconds_per_image"], found.to_records()[0]["weight_bytes"]) == (1.0, 8)


def test_a_much_faster_leader_is_named():
    draws = [[0.9, 0.7, 0.9, 0.7], [0.78, 0.8, 0.78, 0.8]]
    assert "b is 2.5 times as fast." in with_costs([0.8, 0.79], [1.0, 0.4], draws).answer()
    assert "as fast" not in with_costs([0.8, 0.79], [1.0, 0.6], draws).answer()
    assert "as fast" not in with_costs([0.9, 0.5], [1.0, 0.1]).answer()  # b isn't among the leaders


def test_columns_arrow_and_html_hold_what_the_records_do():
    found = verified([3.0, 2.0], [0.7, 0.9])
    rows = found.to_records()
    columns = found.to_columns()
    assert [dict(zip(columns, values, strict=True)) for values in zip(*columns.values(), strict=True)] == rows
    assert found.to_arrow().select(["source", "value", "rank"]).to_pylist() == [
        {name: row[name] for name in ("source", "value", "rank")} for row in rows
    ]
    html = Ranking((record("<b>", "leep", 1.0),), ("leep",))._repr_html_()
    assert "&lt;b&gt;" in html
    assert "<b>" not in html
    assert found._repr_html_().count("<tr>") == 3


@pytest.mark.parametrize(
    ("value", "said"), [(0.0, "0.00"), (1.0, "1.00"), (0.002, "<.01"), (0.998, ">.99"), (0.5, "0.50"), (math.nan, "–")]
)
def test_a_share_is_never_rounded_to_certainty(value, said):
    assert share(value) == said


@pytest.mark.parametrize(
    ("value", "text"), [(0.0, "0 %"), (1.0, "100 %"), (0.002, "<1 %"), (0.998, ">99 %"), (0.5, "50 %"), (math.nan, "–")]
)
def test_per_cent_is_certain_only_where_it_is(value, text):
    assert per_cent(value) == text


def test_many_measures_are_rows():
    names = [f"m{i}" for i in range(13)]
    records = [record(source, name, i / 8) for i, name in enumerate(names) for source in "ab"]
    few, many = Ranking(tuple(records), tuple(names[:3])), Ranking(tuple(records), tuple(names))
    assert "| source | m0 | m1 | m2 |" in few.render("md")
    assert "| measure | a | b |" in many.render("md")
    assert "| m12 | 1.500 | 1.500 |" in many.render("md")


def test_a_source_called_measure_has_a_column_of_its_own():
    names = [f"measure {i}" for i in range(13)]
    records = [record(source, name, at) for source, at in (("measure", 1.0), ("source", 2.0)) for name in names]
    text = Ranking(tuple(records), tuple(names)).render("md")
    assert "| measure | source | measure |" in text
    assert "| measure 0 | 2.000 | 1.000 |" in text


def test_many_sources_by_many_measures_show_the_first_and_say_so():
    names = [f"m{i}" for i in range(13)]
    records = [record(f"s{i:02}", name, -i) for i in range(40) for name in names]
    text = Ranking(tuple(records), tuple(names)).render("md")
    assert "of 40 sources the first 12, all in --format csv" in text
    assert "| measure | s00 | s01 | s02 | s03 | s04 | s05 | s06 | s07 | s08 | s09 | s10 | s11 |" in text


def test_thousands_of_sources_are_ranked_in_a_moment():
    records = [record(f"s{i:05}", "leep", i // 2, draws=tuple(DRAWS[:20] + i // 2)) for i in range(6000)]
    started = time.process_time()
    found = Ranking(tuple(records), ("leep",))
    rows = found.to_records()
    assert (rows[-1]["rank"], rows[-2]["rank"], rows[-3]["rank"]) == (1, 1, 3)
    assert found.tied_with_best == ("s05999",)
    assert found.first_in()["s05999"] == 0.5
    assert time.process_time() - started < 5  # one by one took half a minute


def test_to_records_ranks_within_each_measure():
    rows = ranking([None, -2.0, -1.0, -2.0], [0.5, 0.6, 0.7, 0.8]).to_records()
    ranks = {(row["measure"], row["source"]): row["rank"] for row in rows}
    leep, head = ({name: ranks[measure, name] for name in "abcd"} for measure in ("leep", "head"))
    assert leep == {"a": None, "b": 2, "c": 1, "d": 2}
    assert head == {"a": 4, "b": 3, "c": 2, "d": 1}
    assert all(row["target"] == "pets" and "draws" not in row for row in rows)


def test_interval_is_a_triple():
    assert Interval(1, 0, 2).low == 0
