"""The answer of a race: how draws are judged, its wording, and its page."""

import re

import msgspec
import numpy as np
import pytest

from leepjax.choosing.best import probabilities_of_best
from leepjax.choosing.choice import Choice, last_standings
from leepjax.choosing.evidence import Replay
from leepjax.choosing.outcomes import outcomes_of
from leepjax.choosing.race import race
from leepjax.choosing.steps import Judged, Tuned
from leepjax.choosing.tune import epochs_of_rounds
from leepjax.choosing.words import _images_needed
from leepjax.ranking.draws import TRAINING_PART, fewest, shares_of_first
from leepjax.report.page import Origin, render_page
from leepjax.report.race_chart import race_chart
from leepjax.report.race_page import race_report
from leepjax.storage.records import Failure


def judged(source, value, metric="accuracy", spread=0.01, shared=0):
    draws = value + spread * np.random.default_rng(shared).normal(size=100)
    interval = {"low": value - 2 * spread, "high": value + 2 * spread}
    return Judged(
        source=source, metric=metric, value=value, **interval, num_examples=400, l2=1.0, seconds=1.0, draws=tuple(draws)
    )


def made(**fields):
    right = np.random.default_rng(1).random((4, 400)) < np.array([0.82, 0.8, 0.4, 0.79])[:, None]
    names = ["a", "b", "<script>", "slow"]
    answer = race(
        Replay(names, lambda s, m: (right[s, :m].mean(), 1.0 - right[s, :m]), [1.0, 1, 1, 9], 400, 2), budget=900
    )
    defaults = {"target": "photos", "num_examples": 400, "num_classes": 2, "metric": "accuracy", "confidence": 0.95}
    return Choice(**defaults | {"race": answer, "spent": answer.spent, "passed": answer.spent} | fields)


def test_shares_of_best_follow_the_paired_draws():
    shares = probabilities_of_best([judged("a", 0.80), judged("b", 0.79)])
    assert shares.tolist() == [1, 0]  # the same resamples: a is better in each
    shares = probabilities_of_best([judged("a", 0.80), judged("b", 0.79, shared=1)])
    assert 0.6 < shares[0] < 0.95
    assert probabilities_of_best([judged("a", 0.8), judged("b", 0.8)]).tolist() == [0.5, 0.5]
    lower = probabilities_of_best([judged("a", 0.5, "log_loss"), judged("b", 0.4, "log_loss")])
    assert lower.tolist() == [0, 1]


def test_the_leaders_are_the_fewest_that_hold_the_best_with_confidence():
    shares = np.array([0.1, 0.6, 0.3])
    assert fewest(shares, 0.6).tolist() == [False, True, False]
    assert fewest(shares, 0.9).tolist() == [False, True, True]
    assert fewest(shares, 0.95).all()
    assert fewest(np.array([0.4, 0.4, 0.2]), 0.3).tolist() == [True, True, False]


def test_where_the_metric_is_undefined_nothing_is_claimed_and_the_steps_can_be_read():
    """Of AUROC, which a resample without one of two classes doesn't have."""
    rare = [
        msgspec.structs.replace(judged(s, v, "auroc"), draws=(v, v, None, None, None))
        for s, v in (("a", 0.8), ("b", 0.4))
    ]
    rare = [msgspec.structs.replace(each, low=None, high=None) for each in rare]
    found = made(judged=tuple(rare), metric="auroc")
    assert set(found.leaders) >= {"a", "b"}
    assert found.interval is None
    assert np.isnan(list(found.p_best.values())).all()
    assert "confidence" not in str(found).split("\n")[0]
    assert "Expected AUROC of a new head: 0.800.\nAUROC is undefined in 60 % of the resamples of the images, so" in str(
        found
    )
    assert "NaN" not in found.render("json")
    tuned = Tuned(source="a", epochs=1, metric="auroc", value=None, head=None, num_examples=80, seconds=1.0)
    assert made(judged=tuple(rare), tuned=(tuned,), metric="auroc").trained == "head"
    undefined = msgspec.structs.replace(rare[0], value=None)
    assert msgspec.json.decode(msgspec.json.encode(undefined), type=Judged) == undefined
    assert "Its AUROC is undefined on 400 images." in str(made(judged=(undefined,), metric="auroc"))


def test_what_would_change_the_answer():
    close = made(judged=(judged("a", 0.80), judged("b", 0.799, shared=1)))
    assert close.leaders[:2] == ("a", "b")
    assert "more labelled images would tell the leaders apart (about " in str(close)
    clear = made(judged=(judged("a", 0.80), judged("b", 0.7, shared=1)))
    assert clear.source == "a"
    assert "Take a" in str(clear)
    # Heads don't distinguish them: the smaller losses of the race decide.
    swapped = made(judged=(judged("b", 0.801, shared=1), judged("a", 0.80)))
    assert (swapped.judged[0].source, swapped.leaders[:2]) == ("b", ("a", "b"))
    alone = made(
        judged=(judged("a", 0.8),),
        race=race(Replay(["a", "z"], lambda s, m: (1.0 - s, np.full(m, float(s))), [1, 1], 400, 2)),
    )
    assert "Take a: every other source is worse for photos, at a confidence of 95 %." in str(alone)
    assert "better sources may" in str(alone)


@pytest.mark.parametrize("confidence", [0.8, 0.95, 0.99])
def test_so_many_more_images_would_give_the_first_source_the_confidence(confidence):
    of_400 = [judged("a", 0.80), judged("b", 0.799, shared=1)]
    choice = made(judged=of_400, confidence=confidence)
    found = re.search(r"\(about ([\d,]+) for the closest\)", str(choice))
    assert found
    needed = int(found[1].replace(",", ""))
    assert needed == _images_needed(choice)
    spread = np.sqrt(400 / needed)
    normal = np.random.default_rng(2).normal(size=(2, 100_000)) * 0.01 * spread
    normal *= np.std(np.subtract(of_400[0].draws, of_400[1].draws)) / (0.01 * np.sqrt(2))
    shares = shares_of_first(np.array([0.80, 0.799]), normal, TRAINING_PART)
    assert shares[0] == pytest.approx(confidence, abs=0.01)


def test_few_images_give_no_confidence():
    right = np.arange(8) % 4 != 0
    few = race(Replay(["a", "b"], lambda s, m: (1.0 - s, np.full(m, float(s))), [1, 1], 8, 2))
    for choice in (
        made(race=few, num_examples=8),
        made(
            judged=[
                msgspec.structs.replace(judged(name, value), num_examples=12)
                for name, value in (("a", 0.8), ("b", 0.6))
            ]
        ),
    ):
        count = 12 if choice.judged else 8
        text = str(choice)
        assert text.count(f"{count} images are too few to tell sources apart, so no confidence is claimed.") == 1
        assert "at a confidence" not in text
        assert "more labelled images would tell the" in text
    assert "with confidence" not in str(made(race=few, num_examples=8))
    alone = race(Replay(["a"], lambda s, m: (right[:m].mean(), 1.0 - right[:m]), [1], 8, 2))
    assert "too few" not in str(made(race=alone, num_examples=8))
    assert "too few" not in str(made())


def test_rows_of_tables_are_counted():
    assert "; 1,000 of the 2,000 rows of all tables were read." in str(made(num_test=100, rows_read=1000))
    assert "Passing images took" in str(made(race=msgspec.structs.replace(made().race, full_cost=1e-6)))


@pytest.mark.parametrize(
    ("metric", "task", "column", "heading"),
    [
        ("log_loss", "classes", "probe_accuracy", "Probe&#39;s accuracy"),
        ("macro_f1", "classes", "probe_balanced_accuracy", "Probe&#39;s balanced accuracy"),
        ("mae", "regression", "probe_mae", "Probe&#39;s MAE"),
    ],
)
def test_what_the_probe_shows_is_called_by_its_name(metric, task, column, heading):
    choice = made(metric=metric, task=task)
    assert column in choice.to_records()[0]
    assert column in str(choice)
    assert heading in render_page(race_report(choice, [Origin("leepjax choose")]))


def test_a_source_dropped_for_the_budget_is_named():
    choice = made()
    assert "a larger budget would look longer at" in str(choice)
    assert {last.standing.dropped for last in last_standings(choice.race)} >= {"budget", "beaten"}


def test_fine_tuning_counts_where_it_is_better_than_the_head():
    def tuned(source, value, head):
        return Tuned(source=source, epochs=10, metric="accuracy", value=value, head=head, num_examples=80, seconds=1.0)

    heads = (judged("a", 0.80), judged("b", 0.79))
    better = made(judged=heads, tuned=(tuned("a", 0.82, 0.8), tuned("b", 0.9, 0.79)))
    assert (better.source, better.trained, better.value) == ("b", "finetune", 0.9)
    assert "Take b, fine-tuned" in str(better)
    spoiled = made(judged=heads, tuned=(tuned("a", 0.5, 0.8), tuned("b", 0.6, 0.79)))
    assert (spoiled.source, spoiled.trained, spoiled.value) == ("a", "head", 0.80)


@pytest.mark.parametrize(("epochs", "sources", "rounds"), [(10, 1, [10]), (10, 4, [5, 10]), (10, 5, [2, 5, 10])])
def test_epochs_double_from_round_to_round(epochs, sources, rounds):
    assert epochs_of_rounds(epochs, sources) == rounds


def test_outcomes_for_balanced_accuracy_weigh_classes_alike(monkeypatch):
    labels = np.array([0] * 9 + [1])
    correct = (labels == 0) * 1.0
    monkeypatch.setattr("leepjax.choosing.outcomes.probe_outcomes", lambda *_: (correct, 1 - correct))
    for metric, value in (("accuracy", 0.9), ("balanced_accuracy", 0.5), ("log_loss", 0.9)):
        accuracy, losses = outcomes_of(metric, correct, labels, 2)
        assert (accuracy, losses.mean()) == pytest.approx((value, 1 - value))


def test_the_page_has_the_answer_first_and_escapes_names():
    choice = made(judged=(judged("a", 0.8), judged("b", 0.79)), failures=(Failure("bad", "photos", "no weights"),))
    page = render_page(race_report(choice, [Origin("leepjax choose photos")]))
    assert page.index("Take a") < page.index("The race") < page.index("New heads") < page.index("Looks")
    assert "no weights" in page
    assert "<script>" not in page.replace("<script>'use strict'", "").split("</main>")[0].split("<body>")[1]
    assert ">Passes<" in page
    chart_of_tables = made(examples="embeddings", rows_read=900)
    page = render_page(race_report(chart_of_tables, [Origin("leepjax choose")]))
    assert ">Passes<" not in page
    assert "Examples" in page.split("What each look cost and decided")[-1]
    assert "Images" not in page
    standings = last_standings(choice.race)
    chart = race_chart(choice, standings)
    assert chart.count("<text") >= 2 * len(standings)
    assert "beaten, " in chart
    assert "&lt;script&gt;" in chart
