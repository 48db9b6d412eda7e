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

from leepjax.agreement import mean_interval
from leepjax.data.preprocessing import Preprocessing
from leepjax.interrupts import Interrupted
from leepjax.meta.class_sets import open_classes, unseen_classes
from leepjax.meta.learner import new_learner
from leepjax.meta.learner_files import LearnerCard, load_learner
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
    assert all(0 <= row["low"] <= row["accuracy"] <= row["high"] <= 1 for row in rows)


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


def test_tasks_are_made_of_the_chosen_split(tmp_path, caplog):
    for i, label in enumerate(DATA.labels):
        folder = tmp_path / "images" / ("test" if i % 2 else "train") / CLASSES[label]
        folder.mkdir(parents=True, exist_ok=True)
        DATA.read(i).save(folder / f"{i:02}.png")

    def opened(split):
        return open_classes("metatest", tmp_path / "images", tiny_source(), 0, split)

    assert len(opened("all")) == len(DATA)
    assert {each.removeprefix("test/") for each in opened("test").ids}.isdisjoint(opened("train").ids)
    assert caplog.text == ""
    assert opened(None).ids == opened("train").ids
    assert "train is used for scores and training, test for verification" in caplog.text


def test_classes_are_split_once_each():
    split = split_classes([str(i) for i in range(20)], seed=3)
    assert list(map(len, split)) == [12, 4, 4]
    assert {name for part in split for name in part} == {str(i) for i in range(20)}
    assert split_classes("abcde", ["a"], ["b"]) == (("a",), ("b",), ("c", "d", "e"))
    with pytest.raises(InputError, match="'a' in both"):
        split_classes("abc", ["a"], ["a"])


def test_too_few_classes_for_the_episodes_are_named(tmp_path):
    message = "got 2 to train on of the 9 classes of coloured-train; lower --max-ways and"
    with pytest.raises(InputError, match=message):
        run(tmp_path, classes=CLASSES[:2])
    # The smaller part is named first: what suffices for it suffices for the other, too.
    with pytest.raises(InputError, match=r"got 2 to validate on .* name more by --classes and --validation-classes"):
        run(tmp_path, classes=None, validation_classes=None, recipe=replace(RECIPE, max_ways=9, max_support=9))


def card_of(train, validation, test):
    parts = {"train_classes": train, "validation_classes": validation, "test_classes": test}
    plain = {"source": "tiny", "source_hash": "", "preprocessing": Preprocessing(image_size=8), "ridge": 1.0, "seed": 0}
    plain |= {"weights_hash": "", "recipe": {}, "validation_accuracy": None, "command": "", "versions": {}}
    return LearnerCard(name="m", data=DATA.name, identity="", **plain, **parts)


def test_no_trained_class_is_tested_on_unless_named(caplog):
    card = card_of(("a", "b", "c"), ("d",), ("e", "f", "g"))

    def tested(*classes):
        caplog.clear()
        return unseen_classes(replace(DATA, classes=classes), card)

    assert tested("a", "e", "f", "x") == ("e", "f")  # g is missing
    assert "coloured-train: tasks are made of 2 of its 4 classes, those that training held out: e, f." in caplog.text
    assert tested("x", "e") == ("x", "e")
    assert "coloured-train: training saw none of its classes; tasks are made of all 2." in caplog.text
    with pytest.raises(
        InputError, match=r"wasn't trained on in coloured-train, got none of those held out; .* --classes"
    ):
        tested("a", "d", "x")


def test_numbers_as_names_tell_trained_classes_in_the_same_set_alone():
    card = card_of(("0", "1"), ("2",), ("3", "4"))
    numbered = replace(DATA, classes=tuple("12345"))
    assert unseen_classes(numbered, card) == ("3", "4")
    with pytest.raises(InputError, match=r"got numbers; name the classes to test on with --classes: .* \(3, 4\)\."):
        unseen_classes(replace(numbered, name="other"), card)
    assert unseen_classes(replace(numbered, name="other", classes=("7", "8")), card) == ("7", "8")


def test_intervals_of_accuracies_end_at_one():
    interval = mean_interval(np.array([1.0, 1.0, 0.8])).within(0, 1)
    assert (interval.high, interval.low < interval.value < 1) == (1, True)


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
    with pytest.raises(InputError, match=r"load_learner: expected the card of a meta-learner at .*x\.json"):
        load_learner(tmp_path / "x.safetensors")
