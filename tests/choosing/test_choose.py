"""`leepjax.choose` on small sources: the answer, its records, a budget, interrupts, and resuming."""

import json
import logging
import re

import jax.numpy as jnp
import numpy as np
import pytest
from cheap_heads import least_squares

import leepjax
from leepjax.choosing.choose import ChoiceInterrupt, choose
from leepjax.choosing.passes import pass_part
from leepjax.choosing.read_choice import read_choice
from leepjax.choosing.rules import Rules
from leepjax.choosing.steps import STEPS, StepLine
from leepjax.report.make import make_report
from leepjax.storage.records import read_lines
from leepjax.types import InputError

RNG = np.random.default_rng(0)
N, SIDE, WIDTH = 120, 8, 6
LABELS = np.arange(N) % 3
# Class and noise are in different pixels, so that a source's weights decide which of the two it sees.
PIXELS = RNG.integers(0, 256, (N, SIDE, SIDE, 3), dtype=np.uint8)
PIXELS[:, :4] = (60 * LABELS + 40)[:, None, None, None] + RNG.integers(-30, 30, (N, 4, SIDE, 3))
RULES = Rules(least_first=30, inflation=1)


def apply(params, images):
    features = images.reshape(len(images), -1) @ params
    return features, features


def source(name, seed=0, informed=1.0):
    rng = np.random.default_rng(seed)
    weights = rng.normal(size=(SIDE, SIDE * 3, WIDTH)) / 10
    weights[:4] *= informed
    preprocessing = leepjax.Preprocessing(image_size=SIDE)
    params = jnp.asarray(weights.reshape(-1, WIDTH), jnp.float32)
    return leepjax.as_source(apply, params, name=name, preprocessing=preprocessing, num_classes=WIDTH)


GOOD, OTHER, BLIND = source("good"), source("other", 1), source("blind", 2, 0.0)
SOURCES = [BLIND, GOOD, OTHER]


def chosen(out=None, cache=None, **options):
    options = {"sources": SOURCES, "rules": RULES} | options
    return choose((PIXELS, LABELS), out=out, cache=cache, **options)


@pytest.fixture(autouse=True, scope="module")
def fast_heads():
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("leepjax.transfer.fit_by_task.retrain_head", least_squares)
        yield


def steady(*arguments, **options):
    """A pass that costs a millisecond per image, however busy the machine is."""
    for passed in pass_part(*arguments, **options):
        yield passed._replace(per_image=1e-3)


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    return tmp_path_factory.mktemp("choice")


@pytest.fixture(scope="module")
def choice(folder):
    return chosen(folder / "out", folder / "cache")


def test_the_answer_names_the_source_its_rivals_and_what_it_is_worth(choice):
    assert choice.source in ("good", "other")
    assert {row["source"]: row["state"] for row in choice.to_records()}["blind"] == "beaten"
    assert "blind" not in choice.leaders
    assert choice.value > 0.7
    assert choice.interval[0] <= choice.value <= choice.interval[1]
    assert sum(choice.p_best.values()) == pytest.approx(1)
    text = str(choice)
    assert text.startswith(f"Take {choice.source}")
    assert f"Expected accuracy of a new head: {choice.value:.3f}" in text


def test_the_blind_source_sees_only_the_first_part(choice):
    rows = {row["source"]: row["examples"] for row in choice.to_records()}
    assert rows["blind"] == 30
    assert {rows["good"], rows["other"]} == {N} or choice.race.ended == "few left"
    assert choice.passed < choice.spent


def test_each_step_is_a_line(choice, folder):
    lines = read_lines(folder / "out" / STEPS, StepLine, "a step")
    kinds = [type(line.step).__name__ for line in lines]
    assert kinds[:5] == ["Begun"] + ["Passed"] * 3 + ["Look"]
    assert kinds[-1] == "Chosen"
    assert lines[-1].step.source == choice.source
    assert len({line.run for line in lines}) == 1


def test_the_same_command_answers_from_the_existing_files(choice, folder, monkeypatch):
    before = (folder / "out" / STEPS).read_bytes()

    def fail(*_):
        raise AssertionError("an image passed through a source again")

    monkeypatch.setattr("leepjax.extraction.extract.forward_batches", fail)
    again = chosen(folder / "out", folder / "cache")
    assert (again.source, again.leaders, again.race) == (choice.source, choice.leaders, choice.race)
    assert (folder / "out" / STEPS).read_bytes() == before


def test_the_choice_can_be_read_from_its_steps(choice, folder, tmp_path):
    steps = folder / "out" / STEPS
    read = read_choice(steps)
    assert str(read) == str(choice)
    assert (read.race, read.judged, read.leaders) == (choice.race, choice.judged, choice.leaders)
    assert (read.spent, read.passed) == (choice.spent, choice.passed)
    path = make_report(folder / "out", tmp_path)
    page = path.read_text("utf-8")
    assert f"Take {choice.source}" in page
    assert page.count('alt="Of class ') == 3 * choice.num_classes  # three images of each
    assert page.count(">Which source to take for ") == 2
    assert all(each.source in page for each in choice.judged)
    (link,) = set(re.findall(r'href="([^"#]*race.jsonl)"', page)) or {"../out/race.jsonl"}
    assert link.endswith("out/race.jsonl")


def test_of_a_killed_run_the_page_shows_the_looks(choice, folder, tmp_path):
    lines = (folder / "out" / STEPS).read_text("utf-8").splitlines(keepends=True)
    after_look = next(at for at, line in enumerate(lines) if '"kind":"look"' in line) + 1
    (tmp_path / STEPS).write_text("".join(lines[:after_look]), "utf-8")
    read = read_choice(tmp_path / STEPS)
    assert (read.finished, read.race.ended, read.judged) == (False, "stopped", ())
    assert set(read.leaders) == set(choice.race.looks[0].survivors)
    assert "it was interrupted" in make_report(tmp_path).read_text("utf-8")
    (tmp_path / STEPS).write_text("".join(lines[:2]), "utf-8")
    with pytest.raises(InputError, match=r"^report: expected a race with at least one look in .*race.jsonl, got none"):
        make_report(tmp_path)


def test_the_page_shows_the_latest_of_several_choices(tmp_path, folder):
    cache = folder / "cache"
    for seed in (0, 1, 0):
        latest = chosen(tmp_path, cache, seed=seed, sources=[GOOD, OTHER])
        assert str(read_choice(tmp_path / STEPS)) == str(latest)


def test_an_interrupt_answers_from_what_is_known_and_the_same_command_resumes(tmp_path):
    looks = []

    def stop(what, done, total):
        if "look" in what:
            looks.append(what)
            raise KeyboardInterrupt

    with pytest.raises(ChoiceInterrupt) as interrupt:
        chosen(tmp_path / "out", tmp_path / "cache", on_progress=stop)
    known = interrupt.value.choice
    assert not known.finished
    assert known.race.ended == "stopped"
    assert known.value is None
    assert "running the same command again resumes the choice" in str(known)
    assert "isn't known" in str(known)
    assert str(read_choice(tmp_path / "out" / STEPS)) == str(known)
    finished = chosen(tmp_path / "out", tmp_path / "cache")
    assert finished.finished
    lines = (tmp_path / "out" / STEPS).read_text("utf-8").splitlines()
    assert len(lines) == len(set(lines))
    with pytest.raises(ChoiceInterrupt):
        chosen(tmp_path / "out", tmp_path / "cache", on_progress=stop)
    assert str(chosen(tmp_path / "out", tmp_path / "cache")) == str(finished)
    assert read_choice(tmp_path / "out" / STEPS).finished
    passes = [line.step.key for line in read_lines(tmp_path / "out" / STEPS, StepLine, "a step")[1:4]]
    assert len(set(passes)) == 3


def test_an_interrupt_before_the_first_look_has_no_answer():
    def stop(what, done, total):
        raise KeyboardInterrupt

    with pytest.raises(ChoiceInterrupt) as interrupt:
        chosen(on_progress=stop)
    assert interrupt.value.choice is None


def test_a_source_that_fails_is_left_out(choice, folder, caplog):
    broken = leepjax.as_source(
        apply,
        jnp.full((SIDE * SIDE * 3, WIDTH), jnp.nan),
        name="broken",
        preprocessing=leepjax.Preprocessing(image_size=SIDE),
        num_classes=WIDTH,
    )
    with caplog.at_level(logging.WARNING, "leepjax"):
        found = chosen(cache=folder / "cache", sources=[broken, GOOD])
    assert found.source == "good"
    assert [failure.source for failure in found.failures] == ["broken"]
    assert "broken is left out" in caplog.text
    with pytest.raises(InputError, match=r"^choose: expected at least one source that can be looked at, got 1 that"):
        chosen(sources=[broken])


def test_a_budget_of_seconds_that_is_too_short_looks_at_one_source(folder):
    found = chosen(cache=None, budget=1e-6)
    states = {row["source"]: row["state"] for row in found.to_records()}
    assert sorted(states.values()) == ["budget", "budget", "chosen"]
    assert ", the best of the sources that were looked at; the budget didn't pay for a look at " in str(found)
    assert "a larger budget would look longer at " in str(found)
    assert found.race.ended == "few left"


def test_a_share_of_the_passes_is_used_up_and_not_exceeded_by_passes(monkeypatch):
    monkeypatch.setattr("leepjax.choosing.passes.pass_part", steady)
    found = chosen(budget="60%", sources=[GOOD, OTHER])
    batch = 15  # half of the first look
    assert 0.6 * found.race.full_cost - 2 * batch * 1e-3 < found.passed <= 0.6 * found.race.full_cost * 1.001
    assert found.race.ended == "budget"
    assert len(found.judged) == 2


def test_what_a_pass_cost_is_kept_with_its_table(choice, folder):
    """A second race reads the tables, and decides by the cost at which they were computed."""
    again = chosen(cache=folder / "cache")
    assert again.passed == pytest.approx(choice.passed)
    assert again.race.full_cost == pytest.approx(choice.race.full_cost)


def test_a_users_function_is_chosen_but_not_written(choice, folder):
    assert choice.path is None
    assert not (folder / "out" / "chosen.safetensors").exists()


def test_a_network_of_another_command_is_not_replaced(tmp_path):
    card = leepjax.load_source("random").card
    (tmp_path / "chosen.json").write_text(json.dumps({"name": "x", "model": card.model, "num_classes": 2,
        "preprocessing": {"image_size": 8}, "num_parameters": 1, "weights_hash": ""}))  # fmt: skip
    with pytest.raises(InputError, match=r"^choose: expected no other network at .*, got one made by 'others'"):
        chosen(tmp_path)


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"budget": "soon"}, r"choose: expected a budget such as 30s, 10m, 2h or 25%, got 'soon'"),
        ({"finetune": -1}, r"choose: expected finetune >= 0, got -1"),
        ({"metric": "acuracy"}, r"metric: .*'acuracy'; did you mean accuracy\?"),
        ({"confidence": 1.5, "rules": None}, r"choose: expected a confidence from 0.5 to below 1, got 1.5"),
        ({"engine": "threads"}, r"engine: .*'threads'"),
        ({"limit": 1}, r"choose: limit must be at least 2, got 1"),
    ],
)
def test_wrong_arguments_are_refused(options, message):
    with pytest.raises(InputError, match=message):
        chosen(**options)


def test_what_rank_has_extracted_choose_does_not_pass_again(choice, tmp_path, monkeypatch):
    options = {"test": (PIXELS[:30], LABELS[:30]), "cache": tmp_path}  # rank joins it to the training set
    leepjax.rank((PIXELS, LABELS), SOURCES, ["h_score"], verify="ridge", resamples=0, **options)
    monkeypatch.setattr("leepjax.extraction.extract.forward_batches", None)
    found = chosen(**options)
    assert found.num_test == 30
    for look, expected in zip(found.race.looks, choice.race.looks, strict=True):
        losses = [{each.source: each.loss for each in of.standings} for of in (look, expected)]
        assert losses[0] == pytest.approx(losses[1], rel=1e-4)
