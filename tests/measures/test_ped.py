"""PED: classes that push each other apart before a measure scores them."""

import jax
import numpy as np
import pytest
import reference
from cases import FEATURES, WHERE, problem

from leepjax import FURTHER, h_score, logme, ped, ped_features
from leepjax.types import InputError

P = problem(1)
REFERENCE = np.random.default_rng(0).normal(1, 2, size=(50, 3)).astype(np.float32)


def same(actual, expected, **tolerance):
    np.testing.assert_allclose(actual, expected, **({"rtol": 2e-5, "atol": 5e-6} | tolerance))


def simulated(features, labels, reference, radius, time_step, stiffness):
    """Balls in float64, pair by pair, as the paper describes; and how many steps were taken."""
    mean, std = reference.mean(axis=0), np.maximum(reference.std(axis=0), 1e-3)
    x, classes, first = (features - mean) / std, np.unique(labels), None
    for steps in range(6):
        moves = np.zeros_like(x)
        for a in classes:
            move = np.zeros(x.shape[1])
            for b in classes[classes != a]:
                line = x[labels == a].mean(axis=0) - x[labels == b].mean(axis=0)
                radii = (np.sqrt(np.sum(np.var(x[labels == y], axis=0))) for y in (a, b))
                overlap = max(radius * sum(radii) - np.linalg.norm(line), 0)
                force = stiffness * overlap
                move += line / np.linalg.norm(line) * min(time_step**2 / 2 * force, overlap)
            moves[labels == a] = move
        change = sum(np.abs(moves[labels == a][0]).sum() for a in classes)
        first = change if first is None else first
        if not change > 0.5 * first:
            return x * std + mean, steps
        x = x + moves
    return x * std + mean, 6


@pytest.mark.parametrize(("time_step", "steps"), [(0.1, 6), (0.5, 2), (2.0, 1)])
def test_the_motion_is_the_papers(time_step, steps):
    options = {"radius": 0.6, "time_step": time_step, "stiffness": 1.0}
    expected, taken = simulated(P.features.astype(np.float64), P.labels, REFERENCE.astype(np.float64), **options)
    same(ped_features(P.features, P.labels, reference=REFERENCE, **options), expected)
    assert taken == steps
    assert np.abs(expected - P.features).max() > 1e-3
    own, _ = simulated(P.features.astype(np.float64), P.labels, P.features.astype(np.float64), **options)
    same(ped_features(P.features, P.labels, **options), own)


@pytest.mark.parametrize("where", WHERE)
@pytest.mark.parametrize("features", FEATURES)
def test_the_features_are_the_oracles(features, where):
    p = problem(2, features=features, labels="a missing class", where=where)
    counted = np.ones(24, bool) if p.where is None else p.where > 0
    options = {"radius": 0.9, "time_step": 0.7}
    moved = ped_features(p.features, p.labels, **options, num_classes=3, where=p.where)
    oracle = reference.ped_features(p.features.astype(np.float64), p.labels, **options, where=p.where)
    same(moved[counted], oracle, rtol=1e-4, atol=1e-5 * np.abs(p.features).max())


def test_it_is_the_measure_of_the_moved_features():
    moved = ped_features(P.features, P.labels, radius=2)
    same(ped(P.features, P.labels, radius=2), logme(moved, P.labels))
    same(ped(P.features, P.labels, radius=2, measure=h_score), h_score(moved, P.labels))
    assert ped(P.features, P.labels, radius=2) > logme(P.features, P.labels)
    assert "ped" in FURTHER


def test_order_labels_weights_and_jit():
    weights = np.random.default_rng(0).permutation(np.arange(24) % 4)
    rows, order = np.repeat(np.arange(24), weights), np.random.default_rng(1).permutation(24)
    whole = ped_features(P.features, P.labels)
    same(ped_features(P.features[order], P.labels[order]), whole[order])
    same(ped_features(P.features, np.array([7, 0, 3])[P.labels]), whole)
    hidden = np.where(weights > 0, 0, np.nan)[:, None].astype(np.float32)
    moved = ped_features(P.features + hidden, np.where(weights > 0, P.labels, -1), num_classes=3, where=weights)
    same(moved[weights > 0], ped_features(P.features[rows], P.labels[rows])[np.unique(rows, return_index=True)[1]])
    score = jax.jit(lambda features, labels: ped(features, labels, num_classes=3))
    same(score(P.features, P.labels), ped(P.features, P.labels))
    with jax.enable_x64(True):
        same(whole, ped_features(P.features.astype(np.float64), P.labels))


def test_classes_that_nothing_pushes_stay():
    apart = P.features + 100 * np.eye(3, dtype=np.float32)[P.labels]
    for features, labels in ((apart, P.labels), (P.features, np.zeros_like(P.labels)), (np.ones_like(apart), P.labels)):
        same(ped_features(features, labels, num_classes=3), features, atol=0)


def test_classes_of_one_mean_have_no_direction():
    features = np.array([[-1.0], [1.0], [-2.0], [2.0]], np.float32)
    same(ped_features(features, [0, 0, 1, 1]), features, atol=0)


def test_errors():
    for option in ("radius", "time_step", "stiffness"):
        with pytest.raises(InputError, match=rf"^ped: expected {option} > 0, got 0; pass a positive number"):
            ped(P.features, P.labels, **{option: 0})
    with pytest.raises(
        InputError, match=r"^ped_features: expected reference of 3 features per row, got shape \(50, 2\)"
    ):
        ped_features(P.features, P.labels, reference=REFERENCE[:, :2])
    with pytest.raises(InputError, match=r"^ped: reference must be finite, got NaN or infinity at row 7; fix it, or"):
        ped(P.features, P.labels, reference=np.where(np.arange(50)[:, None] == 7, np.inf, REFERENCE))
