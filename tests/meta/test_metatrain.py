"""Meta-training: what it learns, that it resumes after an interrupt, and its files."""

import json
import os
import signal
from dataclasses import replace

import numpy as np
import pytest
from flax import nnx
from small_source import coloured
from tiny_learner import tiny_source

from leepjax.interrupts import Interrupted
from leepjax.meta.learner import new_learner
from leepjax.meta.learner_files import load_learner
from leepjax.meta.metatest import metatest
from leepjax.meta.metatrain import metatrain, split_classes
from leepjax.meta.recipe import MetaTraining
from leepjax.types import InputError

RECIPE = MetaTraining(
    min_ways=2,
    max_ways=3,
    max_shots=4,
    max_support=12,
    queries=2,
    episodes=12,
    episodes_per_step=2,
    validate_every=6,
    validation_episodes=3,
    learning_rate=0.01,
)
CLASSES = [f"colour {i}" for i in range(9)]
DATA = coloured(10, seed=4, num_classes=9)


def run(folder, data=DATA, on_step=lambda at: None, **options):
    options = {"classes": CLASSES[:3], "validation_classes": CLASSES[3:6], "name": "m", "recipe": RECIPE} | options
    return metatrain(tiny_source(), data, out=folder, on_step=on_step, **options)


def leaves(learner):
    return {path: np.asarray(leaf[...]) for path, leaf in nnx.to_flat_state(learner.params)}


def test_an_interrupted_run_ends_with_the_same_weights(tmp_path):
    whole, card = run(tmp_path / "whole")
    assert card.test_classes == tuple(CLASSES[6:])

    def interrupt(at):
        if at.episode == 4:
            os.kill(os.getpid(), signal.SIGINT)

    with pytest.raises(Interrupted, match="interrupted after 4 of 12 episodes; the same command resumes from there"):
        run(tmp_path / "two", on_step=interrupt)
    seen = []
    resumed, _ = run(tmp_path / "two", on_step=lambda at: seen.append(at.episode))
    assert seen == [6, 8, 10, 12]
    for path, leaf in leaves(whole).items():
        np.testing.assert_array_equal(leaves(resumed)[path], leaf)
    # Once more, it is read; another run doesn't replace it.
    read, _ = run(tmp_path / "two", on_step=lambda at: pytest.fail("trained again"))
    loaded, _ = load_learner(tmp_path / "two" / "m.safetensors", tiny_source())
    for path, leaf in leaves(whole).items():
        np.testing.assert_array_equal(leaves(read)[path], leaf)
        np.testing.assert_array_equal(leaves(loaded)[path], leaf)
    assert not (tmp_path / "two" / "m.checkpoints").exists()
    with pytest.raises(InputError, match="expected no other meta-learner at"):
        run(tmp_path / "two", ridge=0.5)
    with pytest.raises(InputError, match="expected the source tiny with the weights that m was trained for"):
        load_learner(tmp_path / "two" / "m.safetensors", tiny_source(seed=1))
    rows = metatest(tmp_path / "two" / "m.safetensors", DATA, source=tiny_source(), episodes=5, sizes=RECIPE)
    assert [row["classifier"] for row in rows] == ["Simple CNAPs", "its classifier, unadapted", "nearest class mean"]
    assert {row["classes"] for row in rows} == {3}  # those that were held out
    assert all(row["low"] <= row["accuracy"] <= row["high"] for row in rows)


def test_a_learner_that_only_gets_worse_leaves_its_source_unadapted(tmp_path, caplog):
    learner, card = run(tmp_path, recipe=replace(RECIPE, learning_rate=3.0))
    first, *others = map(json.loads, (tmp_path / "m.curve.jsonl").read_text().splitlines())
    assert (first["episodes"], first["loss"], len(others)) == (0, None, 2)
    assert max(each["validation_accuracy"] for each in others) < first["validation_accuracy"]
    assert card.validation_accuracy == first["validation_accuracy"]
    for path, leaf in leaves(new_learner(tiny_source(), RECIPE.seed)).items():
        np.testing.assert_array_equal(leaves(learner)[path], leaf)
    assert "m: expected a validation better than" in caplog.text


def test_a_folder_of_images_trains_as_its_arrays_do(tmp_path):
    for i, label in enumerate(DATA.labels):
        folder = tmp_path / "images" / CLASSES[label]
        folder.mkdir(parents=True, exist_ok=True)
        DATA.read(i).save(folder / f"{i:02}.png")
    recipe = replace(RECIPE, episodes=6)
    of_folder, card = run(tmp_path, tmp_path / "images", recipe=recipe, name="of-folder")
    of_arrays, _ = run(tmp_path, recipe=recipe, name="of-arrays")
    assert (card.data, card.test_classes) == ("images", tuple(CLASSES[6:]))
    for path, leaf in leaves(of_arrays).items():
        np.testing.assert_array_equal(leaves(of_folder)[path], leaf)
    (row, *_) = metatest(
        tmp_path / "of-folder.safetensors", tmp_path / "images", source=tiny_source(), episodes=2, sizes=RECIPE
    )
    assert (row["target"], row["classes"]) == ("images", 3)


def test_classes_are_split_once_each():
    split = split_classes([str(i) for i in range(20)], seed=3)
    assert list(map(len, split)) == [12, 4, 4]
    assert {name for part in split for name in part} == {str(i) for i in range(20)}
    assert split_classes("abcde", ["a"], ["b"]) == (("a",), ("b",), ("c", "d", "e"))
    with pytest.raises(InputError, match="'a' in both"):
        split_classes("abc", ["a"], ["a"])


def test_too_few_classes_for_the_episodes_are_named(tmp_path):
    with pytest.raises(InputError, match="expected at least 3 classes to draw episodes from, got 2; lower the ways"):
        run(tmp_path, classes=CLASSES[:2])


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"learning_rate": 0.0}, "expected learning_rate > 0"),
        ({"episodes": 3}, "multiple of episodes_per_step"),
        ({"max_ways": 4}, "expected max_ways >= 5, got 4"),
        ({"seed": -1}, "expected seed >= 0"),
    ],
)
def test_impossible_recipes_are_refused(options, message):
    with pytest.raises(InputError, match=message):
        MetaTraining(**options)


def test_a_file_that_is_no_learner_is_named(tmp_path):
    (tmp_path / "x.json").write_text("{}")
    with pytest.raises(InputError, match=r"expected the card of a meta-learner at .*x\.json"):
        load_learner(tmp_path / "x.safetensors")
