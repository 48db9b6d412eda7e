"""Kinds of examples and of labels: how they are stratified, and which sources read them."""

from dataclasses import replace

import msgspec
import numpy as np
import pytest

from leepjax.data.split import stratified_limit
from leepjax.data.target import Target
from leepjax.extraction.extract import extract
from leepjax.models.opening import load_source
from leepjax.opening.target import open_target
from leepjax.types import InputError


def target(task, labels, kind="text"):
    names = tuple(map(str, range(labels.max() + 1 if labels.ndim == 1 else labels.shape[1])))
    return Target("made", labels, names, "digest", "text {}".format, kind=kind, task=task)


def test_strata_of_numbers_are_tenths_of_their_order():
    values = np.random.default_rng(0).lognormal(size=(100, 1)).astype(np.float32)
    strata = target("regression", values).strata
    assert np.bincount(strata).tolist() == [10] * 10
    assert (np.diff(strata[np.argsort(values[:, 0])]) >= 0).all()
    drawn = values[stratified_limit(strata, 10, seed=0)]
    assert sorted(np.searchsorted(np.sort(values[:, 0])[9::10], drawn[:, 0])) == list(range(10))


def test_the_stratum_of_several_labels_is_the_rarest_that_holds():
    labels = np.array([[1, 1, 0], [1, 0, 0], [1, 0, 1], [0, 0, 0], [1, 0, 1]], np.uint8)
    assert target("multilabel", labels).strata.tolist() == [1, 0, 2, 3, 2]


@pytest.mark.parametrize(
    ("task", "labels", "sentence"),
    [
        ("classes", np.zeros(4, np.int32), "expected at least two classes in made, got only .0.; add texts"),
        (
            "regression",
            np.ones((4, 1), np.float32),
            "expected labels that differ in made, got the same for all 4",
        ),
        ("multilabel", np.ones((4, 2), np.uint8), "expected labels that differ in made, got the same for all 4"),
    ],
)
def test_labels_that_are_all_equal_are_refused(task, labels, sentence):
    with pytest.raises(InputError, match=sentence):
        open_target("rank", target(task, labels), None, 0, False, task=None)


def test_a_source_of_images_does_not_read_texts():
    texts = target("classes", np.array([0, 1], np.int32))
    with pytest.raises(InputError, match=r"source random: expected one that reads texts, as made has them, got one"):
        extract(load_source("random"), texts)


def test_texts_are_not_decoded_before_they_are_used():
    texts = replace(target("classes", np.array([0, 1], np.int32)), read=None)
    assert open_target("rank", texts, None, 0, False).labels.tolist() == [0, 1]


def test_a_card_of_images_has_their_preprocessing():
    with pytest.raises(InputError, match="expected preprocessing of images for random, and of nothing else, got none"):
        msgspec.structs.replace(load_source("random").card, preprocessing=None)
