"""Running studies: outcomes are those of the transfers, nothing is computed twice, and engines agree."""

import json
import os
import re
import sys
from dataclasses import replace

import numpy as np
import pytest
from small_source import coloured, small_source

from leepjax.data.target import Target
from leepjax.extraction.extract import extract
from leepjax.measures import DEFAULT_MEASURES, MEASURES
from leepjax.studies import datasets, ledger, plan, run
from leepjax.studies.config import Config
from leepjax.studies.cost import cost_of_study
from leepjax.studies.outcome import OUTCOMES, PROVENANCE, TASKS, read_outcomes, read_studies, write_outcomes
from leepjax.studies.paper.catalogue import STUDIES
from leepjax.studies.run import run_study
from leepjax.studies.scoring import score_names
from leepjax.studies.tasks import Each, Profile, read_tasks
from leepjax.transfer.finetune import fine_tune, from_scratch
from leepjax.transfer.head import retrain_head
from leepjax.transfer.metrics import metrics
from leepjax.transfer.recipe import FineTuning
from leepjax.types import InputError

TRAIN, TEST = coloured(20, 1), coloured(10, 2, name="coloured-test")
PARTS = ("train_rows", "test_rows")
RECIPE = FineTuning(epochs=2, batch_size=8, learning_rate=0.05)
CONFIG = Config(
    study="small-balanced",
    sources=(small_source(0, "first"), small_source(1, "second")),
    targets=((TRAIN, TEST),),
    profiles=(Profile(num_classes=(3, 3), sizes=Each(8)),),
    num_tasks=3,
    num_trained=1,
    measures=("leep", "nce", "h_score"),
    methods=("head", "finetune", "scratch"),
    recipe=RECIPE,
)


@pytest.fixture(scope="module")
def made(tmp_path_factory):
    """The outcomes of a study, and the folder above it."""
    out = tmp_path_factory.mktemp("studies")
    return run_study(CONFIG, scale="smoke", out=out, command="leepjax study small-balanced"), out


def of(outcomes, method):
    return [outcome for outcome in outcomes if outcome.method == method]


def parts(task):
    names = [TRAIN.classes[label] for label in task.classes]
    return [
        target.subset(rows).of_classes(names) for target, rows in ((TRAIN, task.train_rows), (TEST, task.test_rows))
    ]


def test_every_transfer_has_an_outcome_that_a_file_keeps(made):
    outcomes, out = made
    assert [len(of(outcomes, method)) for method in CONFIG.methods] == [6, 2, 2]
    assert read_outcomes(out / "small-balanced" / OUTCOMES) == outcomes
    tasks = list(read_tasks(out / "small-balanced" / TASKS))
    assert (
        {outcome.task for outcome in outcomes} == {task.name for task in tasks} == {f"coloured-00{i}" for i in range(3)}
    )
    for outcome in outcomes:
        assert (outcome.num_classes, outcome.num_train, outcome.num_test) == (3, 24, 30)
        assert set(outcome.scores) == (set() if outcome.method == "scratch" else set(score_names(CONFIG.measures)))


def test_heads_are_those_of_each_task(made):
    outcomes, out = made
    tasks = {task.name: task for task in read_tasks(out / "small-balanced" / TASKS)}
    sources = {source.name: source for source in CONFIG.sources}
    for outcome in of(outcomes, "head"):
        train, test = (extract(sources[outcome.source], part) for part in parts(tasks[outcome.task]))
        head = retrain_head(train.features, train.labels, 3).head
        expected = metrics(head.logits(test.features), test.labels)
        assert outcome.accuracy == pytest.approx(expected.accuracy)
        assert outcome.macro_f1 == pytest.approx(expected.macro_f1)
        assert outcome.log_loss == pytest.approx(expected.log_loss, rel=1e-2)


def test_trainings_are_those_of_the_task_under_its_own_seed(made):
    outcomes, out = made
    task = next(read_tasks(out / "small-balanced" / TASKS))
    recipe = replace(RECIPE, seed=task.seed)
    for method, train in (("finetune", fine_tune), ("scratch", from_scratch)):
        outcome = of(outcomes, method)[0]
        trained = train(CONFIG.sources[0], *parts(task), recipe=recipe)
        assert outcome.accuracy == pytest.approx(metrics(trained.logits, parts(task)[1].labels).accuracy)
        assert outcome.curve == pytest.approx([epoch.accuracy for epoch in trained.curve], abs=1e-6)


def test_provenance_tells_what_to_run_again(made):
    (study,) = read_studies(made[1])
    told = study.provenance
    assert (told.study, told.scale, told.command) == ("small-balanced", "smoke", "leepjax study small-balanced")
    assert told.config["sources"] == ["first", "second"]
    assert told.config["profiles"][0]["sizes"] == "Each(count=8)"
    assert told.seconds > 0
    assert told.hardware
    assert study.outcomes == made[0]


def test_provenance_keeps_the_commands_of_all_runs(made, tmp_path):
    config = replace(CONFIG, methods=("head",), num_tasks=1)
    for command in ("leepjax study a", "leepjax study a", "leepjax study a --tasks 2"):
        run_study(config, scale="smoke", out=tmp_path, command=command)
    (study,) = read_studies(tmp_path)
    assert study.provenance.command == "leepjax study a && leepjax study a --tasks 2"
    assert study.provenance.commit.count(",") == 0


def test_nothing_is_made_twice(made, monkeypatch):
    outcomes, out = made
    monkeypatch.setattr(run, "transfer_heads", None)
    monkeypatch.setattr(run, "outputs_of", None)
    assert run_study(CONFIG, scale="smoke", out=out) == outcomes


def test_studies_share_what_is_the_same(made, monkeypatch):
    outcomes, out = made
    monkeypatch.setattr(run, "outputs_of", None)
    other = replace(CONFIG, study="convergence", methods=("finetune", "scratch"))
    shared = run_study(other, scale="smoke", out=out)
    assert [(o.key, o.accuracy) for o in shared] == [(o.key, o.accuracy) for o in outcomes if o.method != "head"]
    assert {outcome.study for outcome in shared} == {"convergence"}


def test_an_interrupted_study_resumes(made, tmp_path, monkeypatch):
    outcomes, _ = made
    config = replace(CONFIG, sources=CONFIG.sources[:1])

    def interrupted(*args):
        raise KeyboardInterrupt

    with monkeypatch.context() as patch:
        patch.setattr(run, "train", interrupted)
        with pytest.raises(KeyboardInterrupt):
            run_study(config, scale="smoke", out=tmp_path)
    assert len(read_outcomes(tmp_path / "small-balanced" / OUTCOMES)) == 3
    monkeypatch.setattr(run, "transfer_heads", None)
    resumed = run_study(config, scale="smoke", out=tmp_path)
    assert [o.accuracy for o in resumed] == [o.accuracy for o in outcomes if o.source == "first"]


def test_a_new_measure_is_scored_without_another_transfer(made, tmp_path, monkeypatch):
    outcomes, out = made
    lines = (out / "small-balanced" / OUTCOMES).read_text().splitlines()
    folder = tmp_path / "small-balanced"
    folder.mkdir()
    without = [json.loads(line) for line in lines]
    for outcome in without:
        outcome["scores"].pop("h_score", None)
    (folder / OUTCOMES).write_text("".join(json.dumps(outcome) + "\n" for outcome in without))
    monkeypatch.setattr(run, "transfer_heads", None)
    assert run_study(CONFIG, scale="smoke", out=tmp_path) == outcomes


def test_further_measures_join_the_scores_that_there_are(made, tmp_path, monkeypatch):
    outcomes, _ = made
    path = tmp_path / "small-balanced" / OUTCOMES
    path.parent.mkdir()
    write_outcomes(path, outcomes)
    monkeypatch.setattr(run, "transfer_heads", None)
    further = replace(CONFIG, measures=("leep", "lfc"), methods=("head",), sources=CONFIG.sources[:1])
    grown = run_study(further, scale="smoke", out=tmp_path)
    assert {len(outcome.scores) for outcome in grown} == {len(score_names(CONFIG.measures)) + 1}
    for before, after in zip(of(outcomes, "head"), grown, strict=False):
        assert after.scores == pytest.approx(before.scores | {"lfc": after.scores["lfc"]})
    # By the measures that the others have, nothing is missing, and nothing that was scored is lost.
    monkeypatch.setattr(run, "outputs_of", None)
    assert run_study(replace(further, measures=("lfc",)), scale="smoke", out=tmp_path) == grown
    assert len(read_outcomes(path)) == len(outcomes)


def test_a_smaller_study_loses_nothing_and_other_choices_replace_their_outcomes(made, tmp_path):
    outcomes, _ = made
    path = tmp_path / "small-balanced" / OUTCOMES
    path.parent.mkdir()
    write_outcomes(path, outcomes)
    run_study(replace(CONFIG, methods=("head",), num_tasks=1), scale="smoke", out=tmp_path)
    assert sorted(o.key for o in read_outcomes(path)) == sorted(o.key for o in outcomes)
    stronger = replace(CONFIG, methods=("head",), num_tasks=1, l2=1.0)
    anew = run_study(stronger, scale="smoke", out=tmp_path)
    kept = read_outcomes(path)
    assert len(kept) == len(outcomes)
    assert {o.key for o in anew} == {o.key for o in kept} - {o.key for o in outcomes}


def test_a_training_that_diverges_is_reported_and_the_others_continue(made, tmp_path, caplog):
    wild = replace(CONFIG, methods=("head", "finetune"), num_tasks=1, recipe=replace(RECIPE, learning_rate=1e30))
    assert {o.method for o in run_study(wild, scale="smoke", out=tmp_path)} == {"head"}
    assert "first on coloured-000, finetune: " in caplog.text
    assert "second on coloured-000, finetune: " in caplog.text


def test_more_tasks_keep_the_outcomes_that_there_are(made, tmp_path, monkeypatch):
    outcomes, out = made
    keys = {outcome.key for outcome in outcomes}
    more = run.Ledger(out / "small-balanced", CONFIG, [], lambda *at: None)
    assert more.outcomes == []  # a ledger holds its own transfers only
    grown = replace(CONFIG, num_tasks=4, methods=("head",), sources=CONFIG.sources[:1])
    made_now = run_study(grown, scale="smoke", out=tmp_path)
    assert len(made_now) == 4
    assert len([outcome for outcome in made_now if outcome.key in keys]) == 3


@pytest.mark.skipif((os.cpu_count() or 1) < 2, reason="one core has no use for processes")
def test_processes_give_what_one_gives(made, tmp_path):
    outcomes, _ = made
    config = replace(CONFIG, methods=("finetune",))
    apart = run_study(config, scale="smoke", out=tmp_path, engine="processes", workers=2)
    for here, there in zip(of(outcomes, "finetune"), apart, strict=True):
        assert (here.key, here.accuracy) == (there.key, there.accuracy)


def test_larger_sources_are_fine_tuned_at_the_size_asked_for(tmp_path):
    config = replace(
        CONFIG, sources=(small_source(image_size=16),), image_size=8, num_tasks=1, methods=("head", "finetune")
    )
    head, tuned = run_study(config, scale="smoke", out=tmp_path)
    assert (head.image_size, tuned.image_size) == (16, 8)
    assert head.scores["leep"] != tuned.scores["leep"]


def test_tasks_of_a_fixed_number_of_classes_are_smaller_in_small_sets():
    few = plan._sample(replace(CONFIG, profiles=(), few_classes=2), Profile(num_classes=(5, 5), sizes=Each(3)), pair())
    assert {len(task.classes) for task in few} == {2}
    wide = plan._sample(CONFIG, Profile(num_classes=(2, 100), sizes=Each(3)), pair())
    assert max(len(task.classes) for task in wide) <= 6


def pair():
    return datasets.open_pair(TRAIN, TEST)


def test_halves_of_one_set_are_disjoint():
    both = datasets.open_pair(TRAIN, TRAIN)
    assert (both.name, len(both.train), len(both.test)) == ("coloured", 60, 60)
    pixels = [np.asarray(part.read(i)).tobytes() for part in (both.train, both.test) for i in range(60)]
    assert len(set(pixels)) == 120


def test_a_set_that_comes_in_splits_keeps_them():
    both = datasets.open_pair(*[replace(TRAIN, test=TEST)] * 2)
    assert (len(both.train), len(both.test)) == (len(TRAIN), len(TEST))


def test_sets_of_other_classes_are_refused(tmp_path):
    with pytest.raises(InputError, match="study: expected the same classes in both sets"):
        datasets.open_pair(TRAIN, coloured(5, 0, num_classes=5))
    with pytest.raises(InputError, match="study: expected workers >= 1, got 0"):
        run_study(CONFIG, scale="smoke", out=tmp_path, workers=0)
    with pytest.raises(InputError, match="engine: expected one of 3 known names, got 'ry'; did you mean ray"):
        run_study(CONFIG, scale="smoke", out=tmp_path, engine="ry")
    with pytest.raises(InputError, match="study: expected targets of different names, got 'coloured' twice"):
        run_study(replace(CONFIG, targets=2 * CONFIG.targets), scale="smoke", out=tmp_path)


def test_ray_is_missed_before_anything_is_made(monkeypatch):
    monkeypatch.setitem(sys.modules, "ray", None)
    with pytest.raises(InputError, match="study: expected Ray for engine 'ray', got none; pip install"):
        run_study(CONFIG, scale="smoke", out=None, engine="ray")


@pytest.mark.parametrize(
    ("choice", "message"),
    [
        ({"methods": ("head", "fine-tune")}, "study: methods: expected one of 4 known names, got 'fine-tune'; did you"),
        ({"methods": ()}, "study: expected at least one method, got none; name one or leave the choice out."),
        ({"targets": ()}, "study: expected at least one target, got none"),
        ({"measures": ()}, "study: expected distinct measures, got []; name each once."),
        ({"measures": ("leap",)}, "measures: expected one of 28 known names, got 'leap'; did you mean leep"),
        ({"num_tasks": 0}, "study: expected num_tasks >= 1, got 0; raise it."),
        ({"num_trained": -1}, "study: expected num_trained >= 0, got -1; raise it."),
        ({"tests_per_class": 0}, "study: expected tests_per_class >= 1, got 0; raise it."),
        ({"image_size": 0}, "study: expected image_size >= 1, got 0; raise it."),
        ({"seed": -1}, "study: expected seed >= 0, got -1; raise it."),
    ],
    ids=str,
)
def test_invalid_choices_of_a_study_are_refused(choice, message):
    with pytest.raises(InputError, match=re.escape(message)):
        replace(CONFIG, **choice)


def test_all_measures_are_those_that_rank_sources_by_classes():
    assert replace(CONFIG, measures=("all",)).measures == tuple(MEASURES)
    assert Config(CONFIG.study, CONFIG.sources, CONFIG.targets, CONFIG.profiles).measures == DEFAULT_MEASURES


def test_every_study_has_every_scale_and_its_own_name():
    for name, scales in STUDIES.items():
        assert set(scales) == {"paper", "desk", "smoke"}
        assert {config.study for config in scales.values()} == {name}
        assert all(isinstance(target, str | Target) for pair in scales["paper"].targets for target in pair)
    assert PROVENANCE == "study.json"
    assert ledger.OUTCOMES == OUTCOMES


def test_the_cost_is_stated_before_anything_is_computed(tmp_path, monkeypatch):
    config = replace(CONFIG, sources=CONFIG.sources[:1])
    stated = []
    monkeypatch.setattr("leepjax.studies.run._score_and_retrain", lambda *_: pytest.fail("began") if not stated else {})
    monkeypatch.setattr("leepjax.studies.run._train", lambda *_: None)
    run_study(config, scale="smoke", out=tmp_path, on_cost=stated.append)
    (cost,) = stated
    assert (cost.heads, cost.trainings) == (3, 2)
    tasks = list(read_tasks(tmp_path / "small-balanced" / "tasks.jsonl.gz"))
    extracted = sum(len(set(np.concatenate([getattr(task, part) for task in tasks]))) for part in PARTS)
    first = tasks[0]
    stepped = 2 * RECIPE.epochs * (3 * len(first.train_rows) + len(first.test_rows))
    assert cost.passes == extracted + stepped
    assert cost.flops > 0
    assert cost.seconds > 0


def test_a_finished_study_costs_nothing(made):
    outcomes, out = made
    cost = cost_of_study(CONFIG, out, None)
    assert outcomes
    assert (cost.heads, cost.trainings, cost.passes, cost.flops, cost.seconds) == (0, 0, 0, 0, 0)
