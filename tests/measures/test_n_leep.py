"""N-LEEP: its options against the oracle, the key, the number of clusters, and features without any."""

import jax
import numpy as np
import pytest
import reference
from cases import TALL, WIDE, problem, uniforms
from profiles import by_turns
from sklearn.datasets import load_digits

from leepjax import n_leep
from leepjax.types import InputError

KEY = jax.random.key(0)


@pytest.mark.parametrize(
    ("options", "where"),
    by_turns(
        [{"covariance": "spherical"}, {"energy": 0.4}, {"covariance": "full"}, {"energy": 1.0}, {"num_components": 3}],
        ["all", "weights"],
    ),
    ids=str,
)
def test_options_match_the_oracle(options, where):
    p = problem(0, where=where)
    expected = reference.n_leep(p.features, p.labels, uniforms(), p.where, **options)
    found = n_leep(KEY, p.features, p.labels, where=p.where, **options)
    np.testing.assert_allclose(found, expected, rtol=1e-4)


def test_options_change_it():
    p = problem(1)
    options = [{}, {"covariance": "full"}, {"energy": 0.4}, {"num_components": 3}]
    assert len({round(float(n_leep(KEY, p.features, p.labels, **o)), 3) for o in options}) == 4


def test_the_key_changes_the_start():
    p = problem(2, WIDE)
    scores = [float(n_leep(jax.random.key(seed), p.features, p.labels)) for seed in (0, 0, 1, 2)]
    assert scores[0] == scores[1]
    assert len(set(scores)) > 1
    assert float(n_leep(jax.random.PRNGKey(0), p.features, p.labels)) == scores[0]


@pytest.mark.long
def test_it_lies_between_minus_label_entropy_and_zero():
    for shape, several in ((TALL, 3), (WIDE, 50)):
        p = problem(3, shape)
        one, score = (n_leep(KEY, p.features, p.labels, num_components=k) for k in (1, several))
        assert reference.neg_label_entropy(p.labels) - 1e-5 <= score <= 1e-6
        np.testing.assert_allclose(one, reference.neg_label_entropy(p.labels), rtol=1e-5)


@pytest.mark.parametrize("level", [0, 1, 3.3, 1e4])
def test_constant_features_know_nothing(level):
    labels = np.arange(12) % 3
    found = n_leep(KEY, np.full((12, 4), level, np.float32), labels)
    np.testing.assert_allclose(found, -np.log(3), rtol=1e-5)


def test_one_feature_and_one_example():
    assert n_leep(KEY, [[1.0], [1.1], [9.0], [9.1]], [0, 0, 1, 1], num_components=2) > -1e-6
    assert n_leep(KEY, [[3.0, 4.0]], [2]) == 0


def test_digits_are_distinguished():
    """Fifty clusters in the directions that hold four fifths of the variance, far above the labels' entropy, −2.30."""
    x, y = load_digits(return_X_y=True)
    scores = [float(n_leep(jax.random.key(seed), x.astype(np.float32), y)) for seed in range(2)]
    assert -0.4 < min(scores) <= max(scores) < -0.1
    assert abs(scores[0] - scores[1]) < 0.1
    shuffled = np.random.default_rng(0).permutation(y)
    assert n_leep(KEY, x.astype(np.float32), shuffled) < -2.1


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"num_components": 0}, r"num_components must be an int >= 1, got 0; pass one, or leave it out\."),
        ({"num_components": 2.0}, r"num_components must be an int >= 1, got 2\.0;"),
        ({"covariance": "tied"}, r"covariance must be diagonal, spherical or full, got 'tied'; pass one of these\."),
        ({"energy": 0}, r"energy must lie in \(0, 1\], got 0; pass 0\.8, as in the paper\."),
        ({"energy": 1.5}, r"energy must lie in \(0, 1\], got 1\.5;"),
    ],
    ids=str,
)
def test_invalid_options(options, message):
    with pytest.raises(InputError, match=f"^n_leep: {message}"):
        n_leep(KEY, [[1.0], [2.0]], [0, 1], **options)


@pytest.mark.parametrize("key", [0, None, "0", np.ones((2, 2))])
def test_an_invalid_key(key):
    with pytest.raises(InputError, match=r"^n_leep: expected a key first, got \w+; pass jax\.random\.key\(0\)\.$"):
        n_leep(key, [[1.0], [2.0]], [0, 1])
