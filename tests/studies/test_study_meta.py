"""Meta-transfer as a method of studies: its outcomes, and the sources that it applies to."""

from dataclasses import replace

import numpy as np
import pytest
from small_source import coloured
from tiny_learner import tiny_learner, tiny_source

from leepjax.meta.learner_files import LearnerCard, save_learner
from leepjax.report.figures import draw_all
from leepjax.studies.analysis.analyse import analyse
from leepjax.studies.config import Config
from leepjax.studies.outcome import read_studies
from leepjax.studies.run import run_study
from leepjax.studies.tasks import Each, Profile, read_tasks
from leepjax.transfer.metrics import metrics
from leepjax.types import InputError

TRAIN, TEST = coloured(12, 1), coloured(6, 2, name="coloured-test")


@pytest.fixture(scope="module")
def learner_path(tmp_path_factory):
    learner, path = tiny_learner(scale=0.3), tmp_path_factory.mktemp("learner") / "m.safetensors"
    card = LearnerCard(
        name="m",
        source="tiny",
        source_hash=learner.source.card.weights_hash,
        preprocessing=learner.program.preprocessing,
        ridge=1.0,
        seed=0,
        weights_hash="",
        data="",
        train_classes=(),
        validation_classes=(),
        test_classes=(),
        recipe={},
        validation_accuracy=None,
        command="",
        versions={},
        identity="",
    )
    save_learner(learner, path, card)
    return str(path)


def config(learner_path, **changes):
    chosen = Config(
        study="small-balanced",
        sources=(tiny_source(),),
        targets=((TRAIN, TEST),),
        profiles=(Profile(num_classes=(3, 3), sizes=Each(8)),),
        num_tasks=3,
        measures=("leep",),
        methods=("meta", "head"),
        learners=(learner_path,),
    )
    return replace(chosen, **changes)


def test_a_meta_learner_is_adapted_to_each_task_and_drawn_beside_the_heads(learner_path, tmp_path):
    outcomes = run_study(config(learner_path), scale="smoke", out=tmp_path, command="leepjax study small-balanced")
    adapted = {outcome.task: outcome for outcome in outcomes if outcome.method == "meta"}
    tasks = list(read_tasks(tmp_path / "small-balanced" / "tasks.jsonl.gz"))
    assert len(adapted) == len(tasks) == 3
    learner = tiny_learner(scale=0.3)
    for task in tasks:
        names = [TRAIN.classes[label] for label in task.classes]
        train, test = (
            target.subset(rows).of_classes(names) for target, rows in ((TRAIN, task.train_rows), (TEST, task.test_rows))
        )
        images = [part.images(range(len(part)), learner.program.preprocessing) for part in (train, test)]
        logits = learner.adapt(images[0], train.labels).logits(images[1])
        assert adapted[task.name].accuracy == pytest.approx(metrics(logits, test.labels).accuracy)
        assert np.isfinite(adapted[task.name].scores["leep"])
    drawn = draw_all(analyse(read_studies(tmp_path)[0].outcomes), tmp_path / "figures", formats=())
    (both,) = [each for each in drawn if each.name == "small-balanced-methods-levels"]
    assert "meta-transferred" in both.svg
    assert "re-trained head" in both.svg


def test_a_source_without_a_meta_learner_is_named(learner_path, tmp_path):
    with pytest.raises(InputError, match="expected a meta-learner of tiny, got those of others"):
        run_study(config(learner_path, sources=(tiny_source(1),)), scale="smoke", out=tmp_path)
    with pytest.raises(InputError, match="exactly for the method meta, got methods head and 1 learners"):
        config(learner_path, methods=("head",))


def test_a_missing_meta_learner_is_named_before_a_folder_is_made(tmp_path):
    with pytest.raises(InputError, match=r"study: expected the card of a meta-learner at .*none\.json"):
        run_study(config(str(tmp_path / "none.safetensors")), scale="smoke", out=tmp_path / "out")
    assert not (tmp_path / "out").exists()
