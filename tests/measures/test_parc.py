"""PARC in float64, where no rank is rounded away: its options, its probe, and what is undefined."""

import re

import jax
import numpy as np
import pytest
import reference
from cases import TALL, WIDE, problem
from profiles import only_long

from leepjax import parc
from leepjax.measures.of_features import parc as module
from leepjax.types import InputError


@pytest.fixture(autouse=True)
def double():
    with jax.enable_x64(True):
        yield


def close(actual, expected):
    np.testing.assert_allclose(actual, expected, rtol=1e-9, atol=1e-9)


def random(n, shape=TALL, where="all"):
    return problem(n, (n, *shape[1:]), where=where).astype(np.float64)


@pytest.mark.parametrize(
    ("num_components", "probe", "where", "shapes"),
    [
        *((32, 10, "weights", [WIDE]), (4, 17, "mask", [TALL]), (32, 500, "weights", [TALL, WIDE])),
        *only_long((2, 500, "all", [TALL]), (32, 3, "all", [WIDE])),
        *only_long((2, 500, "all", [WIDE]), (32, 10, "weights", [TALL]), (4, 17, "mask", [WIDE])),
        *only_long((32, 3, "all", [TALL])),
    ],
)
def test_options_match_the_oracle(num_components, probe, where, shapes):
    for p in (random(31 if shape is TALL else 26, shape, where) for shape in shapes):
        value = parc(p.features, p.labels, num_components=num_components, probe=probe, num_classes=5, where=p.where)
        close(value, reference.parc(p.features, p.labels, p.where, num_components, probe))


def test_a_probe_is_spread_over_all_classes():
    """A probe of 12 of the 40 examples, which lie in random order, scores like all of them."""
    labels = np.random.default_rng(0).permutation(np.arange(40) % 4)
    features = np.eye(4)[labels] + 0.01 * np.random.default_rng(1).normal(size=(40, 4))
    few, all_of_them = parc(features, labels, num_components=3, probe=12), parc(features, labels, num_components=3)
    assert few > 60
    assert abs(few - all_of_them) < 10


def test_masked_examples_are_not_in_the_probe():
    p = random(40)
    kept = np.arange(40) % 3 > 0
    close(parc(p.features, p.labels, probe=20, where=kept), parc(p.features[kept], p.labels[kept], probe=20))
    few = np.arange(40) < 11
    close(parc(p.features, p.labels, probe=20, where=few), parc(p.features[few], p.labels[few]))


def test_it_is_unchanged_by_scale_place_and_other_names_of_classes():
    p = random(30)
    expected = float(parc(p.features, p.labels))
    close(parc(5 * p.features - 100, p.labels), expected)
    close(parc(p.features, np.array([4, 0, 7])[p.labels], num_classes=9), expected)
    with jax.enable_x64(False):
        assert abs(float(parc(p.features.astype(np.float32), p.labels)) - expected) < 0.5


@pytest.mark.parametrize("where", ["weights", *only_long(("all",))])
def test_pairs_counted_by_value_are_pairs_sorted(where, monkeypatch):
    p = problem(3, (40, *TALL[1:]), where=where)
    with jax.enable_x64(False):
        counted = float(parc(p.features, p.labels, where=p.where))
        jax.clear_caches()
        monkeypatch.setattr(module, "MOST_RUNS", 0)
        in_order = float(parc(p.features, p.labels, where=p.where))
        jax.clear_caches()
    assert counted == pytest.approx(in_order, abs=1e-3)


UNDEFINED = {
    "one component": (np.arange(6.0)[:, None] @ [[1.0, 2.0]], [0, 1, 0, 1, 0, 1]),
    "one class": (np.random.default_rng(0).normal(size=(6, 3)), [2] * 6),
    "every example of another class": (np.random.default_rng(0).normal(size=(6, 3)), list(range(6))),
    "constant features": (np.full((6, 3), 3.3), [0, 1, 0, 1, 0, 1]),
    "one example": (np.ones((1, 3)), [0]),
}


@pytest.mark.parametrize("case", UNDEFINED)
def test_what_is_undefined(case):
    assert np.isnan(parc(*UNDEFINED[case]))


@pytest.mark.parametrize(
    ("option", "value", "least"),
    [("num_components", 1, 2), ("num_components", 8.0, 2), ("probe", 2, 3), ("probe", 5000, 3)],
)
def test_options_are_checked(option, value, least):
    message = f"parc: {option} must be an int in [{least}, 4096], got {value!r}; choose one in that range."
    with pytest.raises(InputError, match=re.escape(message)):
        parc(np.eye(3), [0, 1, 1], **{option: value})
